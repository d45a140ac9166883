/* connect.c owns the connection to an agent that listens, and who is trusted on either end of it.
 */
#include "kms/connect.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/unix-socket.h"

bool
peer_is_trusted (int fd)
{
  struct ucred peer;
  socklen_t size = sizeof peer;

  return getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0
         && (peer.uid == 0 || peer.uid == geteuid ());
}

int
agent_connect (const char *path, int *ret_fd)
{
  CLEANUP_CLOSE int fd = -1;
  int r = unix_socket_connect (path, SOCK_SEQPACKET, &fd);

  if (r < 0)
    return r;
  if (!peer_is_trusted (fd))
    return -EPERM;
  *ret_fd = fd;
  fd = -1;
  return 0;
}
