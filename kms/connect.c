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
  struct sockaddr_un address;
  CLEANUP_CLOSE int fd = -1;
  int r = unix_socket_address (path, &address);

  if (r < 0)
    return r;
  /* Not blocking for connect; packets are waited for by poll, with a deadline. */
  fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *)&address, sizeof address) < 0)
    return -errno;
  if (!peer_is_trusted (fd))
    return -EPERM;
  *ret_fd = fd;
  fd = -1;
  return 0;
}
