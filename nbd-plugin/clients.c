/* clients.c owns which of the process's sockets are NBD clients', when they are to go. */
#include "nbd-plugin/clients.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/sockios.h>

static char spared[sizeof ((struct sockaddr_un *)0)->sun_path + 1];
static atomic_bool spares; /* release when `spared` is written, acquire before it is read */

void
clients_spare (const char *socket_path)
{
  snprintf (spared, sizeof spared, "%s", socket_path);
  atomic_store_explicit (&spares, true, memory_order_release);
}

static bool
is_connected_stream (int fd)
{
  struct sockaddr_storage peer;
  socklen_t size = sizeof (int), peer_size = sizeof peer;
  int type;

  return getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM
         && getpeername (fd, (struct sockaddr *)&peer, &peer_size) == 0;
}

/* By the name of the listening socket that it came from. */
static bool
is_clients (int fd)
{
  struct sockaddr_un name = {0};
  socklen_t size = sizeof name - 1; /* a whole path has no NUL at its end */

  if (!is_connected_stream (fd) || getsockname (fd, (struct sockaddr *)&name, &size) < 0)
    return false;
  if (name.sun_family != AF_UNIX)
    return true;
  if (size <= offsetof (struct sockaddr_un, sun_path))
    return false;
  return !(atomic_load_explicit (&spares, memory_order_acquire)
           && strcmp (name.sun_path, spared) == 0);
}

/* Whether it has read all that was answered.  Of one that never does, nbdkit 1.32 must not lose the
 * connection while it answers: it would abort.
 */
static bool
has_read_all (int fd)
{
  int unread = 0;

  return ioctl (fd, SIOCOUTQ, &unread) == 0 && unread == 0;
}

void
clients_hang_up (void)
{
  DIR *fds = opendir ("/proc/self/fd");
  const struct dirent *entry;

  while (fds && (entry = readdir (fds))) {
    int fd = (int)strtol (entry->d_name, NULL, 10);

    if (entry->d_name[0] != '.' && is_clients (fd) && has_read_all (fd))
      shutdown (fd, SHUT_RD);
  }
  if (fds)
    closedir (fds);
}
