/* unix-socket.c owns the client's first step to a Unix socket, and the end of stale ones. */
#include "common/unix-socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int
unix_socket_address (const char *path, struct sockaddr_un *ret_address)
{
  size_t length = strlen (path);

  if (length > UNIX_SOCKET_PATH_MAX)
    return -ENAMETOOLONG;
  *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy (ret_address->sun_path, path, length + 1);
  return 0;
}

int
unix_socket_notify_address (const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
  size_t length = strlen (name);

  if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof ret_address->sun_path)
    return -EINVAL;
  *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy (ret_address->sun_path, name, length);
  if (name[0] == '@')
    ret_address->sun_path[0] = '\0';
  *ret_size = (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length);
  return 0;
}

int
unix_socket_connect (const char *path, int type, int *ret_fd)
{
  struct sockaddr_un address;
  CLEANUP_CLOSE int fd = -1;
  int r = unix_socket_address (path, &address);

  if (r < 0)
    return r;
  fd = socket (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *)&address, sizeof address) < 0)
    return -errno;
  *ret_fd = fd;
  fd = -1;
  return 0;
}

int
unix_socket_error (const char *path, int r, struct error *err)
{
  if (r == -ENAMETOOLONG)
    return error_set (err, ERROR_USAGE, "%s: the path of a socket has at most %zu bytes", path,
                      UNIX_SOCKET_PATH_MAX);
  return error_set_errno (err, -r, "%s", path);
}

int
unix_socket_remove_stale (const char *path)
{
  CLEANUP_CLOSE int fd = -1;
  struct stat st;
  int r;

  if (lstat (path, &st) < 0)
    return errno == ENOENT ? 0 : -errno;
  if (!S_ISSOCK (st.st_mode))
    return -ENOTSOCK;
  r = unix_socket_connect (path, SOCK_STREAM, &fd);
  if (r == 0 || r == -EAGAIN)
    return -EADDRINUSE;
  if (r == -ENOENT) /* gone meanwhile */
    return 0;
  if (r != -ECONNREFUSED)
    return r;
  return unlink (path) < 0 && errno != ENOENT ? -errno : 0;
}
