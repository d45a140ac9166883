/* The agent's one-shot mode: posts one message, for a process that has no network. */
#ifndef KMS_NOTIFY_H
#define KMS_NOTIFY_H

/* Reads from stdin the URL, a newline and the body (JSON) up to the end, and posts the body: to
 * https, or to a loopback address by http; redirects are not followed; 10 seconds.
 *
 * Returns the exit status: 0 when the answer was 2xx; else 1, with one line on stdout that says why
 * and never holds more of the URL than its host.
 */
int notify_main (void);

#endif
