/* The way to an agent that listens on a socket (kms/listen.h), from both ends. */
#ifndef KMS_CONNECT_H
#define KMS_CONNECT_H

#include <stdbool.h>

#include "common/cleanup.h"

/* Whether the process at the other end of a Unix socket runs as root or as this process does.  Of
 * someone else neither a request for a key nor an answer about one is to be believed.  (A listening
 * socket's "other end" is who made it listen: the service manager, for one.)
 */
bool peer_is_trusted (int fd);

/* A new socket (SOCK_SEQPACKET, close-on-exec) that is connected to who listens at `path`.  Never
 * waits.  0, or a negative errno: -ENOENT and -ECONNREFUSED when nobody listens there, -EAGAIN when
 * the queue there is full, -EPROTOTYPE when it is no agent's socket, -EACCES when we may not, and
 * -EPERM when who listens is not trusted.
 */
int agent_connect (const char *path, int *ret_fd) MUST_CHECK;

#endif
