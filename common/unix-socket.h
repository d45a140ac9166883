/* Unix sockets by their path: reaching who listens there, and clearing away what a dead server
 * left.
 */
#ifndef COMMON_UNIX_SOCKET_H
#define COMMON_UNIX_SOCKET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/error.h"

/* The longest path that a Unix socket can have, in bytes. */
#define UNIX_SOCKET_PATH_MAX (sizeof ((struct sockaddr_un *)0)->sun_path - 1)

/* The address of `path`; 0 or -ENAMETOOLONG. */
int unix_socket_address (const char *path, struct sockaddr_un *ret_address) MUST_CHECK;

/* The address of the service manager's socket that NOTIFY_SOCKET names (sd_notify(3)): a path, or
 * "@" and a name that is in no folder.  0 or -EINVAL.
 */
int unix_socket_notify_address (const char *name, struct sockaddr_un *ret_address,
                                socklen_t *ret_size) MUST_CHECK;

/* A new socket of this type (SOCK_STREAM, SOCK_SEQPACKET; close-on-exec, not blocking), connected
 * to who listens at `path`.  0 or a negative errno: -ENOENT and -ECONNREFUSED when nobody listens
 * there, -EAGAIN when somebody does who has no room for one more just now.
 */
int unix_socket_connect (const char *path, int type, int *ret_fd) MUST_CHECK;

/* What the failure `r` of connecting to `path` means to the user; who listens there, and so what it
 * means that nobody does, the caller knows.  Returns -1.
 */
int unix_socket_error (const char *path, int r, struct error *err);

/* Removes the socket at `path` if nobody listens there any more.  0 when the place is free now, or
 * a negative errno: -EADDRINUSE when somebody listens, -ENOTSOCK when something else is there.
 */
int unix_socket_remove_stale (const char *path) MUST_CHECK;

#endif
