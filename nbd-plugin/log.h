/* What the data plane says.  plugin.c implements it with nbdkit's log, unit tests with their own.
 *
 * Both may be called from any thread.  An error is for the administrator: it goes to stderr or
 * syslog as nbdkit was told.  A notice is said at most a few times in the life of a process.
 */
#ifndef NBD_PLUGIN_LOG_H
#define NBD_PLUGIN_LOG_H

void log_error (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));
void log_notice (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

#endif
