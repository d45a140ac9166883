/* Where the parts of keyfence find each other, installed or in a build tree. */
#ifndef COMMON_PATHS_H
#define COMMON_PATHS_H

#include <stdbool.h>

#include "common/cleanup.h"

/* The path of the agent's program for the program or plugin whose own file is `self` (an absolute
 * path; NULL: /proc/self/exe): of the same build tree, where self lies in one, else the installed
 * one.  A new string, or NULL when out of memory.
 */
char *path_agent (const char *self) MUST_CHECK;

/* The same for keyfence-disk-file. */
char *path_disk_file (const char *self) MUST_CHECK;

/* The same for the nbdkit plugin, as nbdkit takes it: a path of the build tree, or "keyfence". */
char *path_plugin (const char *self) MUST_CHECK;

/* The folder of control sockets: $KEYFENCE_RUNDIR, else /run/keyfence where it can be written (or,
 * for root, created), else $XDG_RUNTIME_DIR/keyfence.  With `create` it is made, mode 0700 (0755
 * for /run/keyfence).  A new string; NULL when there is none.
 */
char *path_rundir (bool create) MUST_CHECK;

/* RUNDIR/NAME.sock or RUNDIR/NAME.nbd (which: "sock" or "nbd") of a volume called so by its uuid or
 * its configuration; NULL as above.
 */
char *path_socket (const char *name, const char *which, bool create) MUST_CHECK;

/* A volume's configuration file: NAME.conf in $KEYFENCE_CONFDIR, else in /etc/keyfence.  A new
 * string; NULL when out of memory.
 */
char *path_config (const char *name) MUST_CHECK;

#endif
