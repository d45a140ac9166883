/* handover.c owns the pipe through which a child gets its parent's secrets. */
#include "kms/handover.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/io.h"

int
handover_give (const struct secret *s, int *ret_fd)
{
  CLEANUP_CLOSE int in = -1;
  int fds[2];

  if (!s->bytes || s->size > HANDOVER_MAX || pipe2 (fds, O_CLOEXEC | O_NONBLOCK) < 0)
    return -1;
  in = fds[1];
  if (write_full (in, s->bytes, s->size) < 0) {
    close (fds[0]);
    return -1;
  }
  *ret_fd = fds[0];
  return 0;
}

/* The writing end is closed before the fork, so that the end of the text is the end of the pipe. */
int
handover_take (int fd, struct secret *ret)
{
  CLEANUP_SECRET struct secret s = {0};
  size_t used = 0;

  if (secret_init (&s, HANDOVER_MAX + 1, NULL) < 0)
    return -1;
  if (read_full (fd, s.bytes, s.size, &used) < 0 || used == 0 || used == s.size)
    return -1;
  s.size = used;
  secret_take (ret, &s);
  return 0;
}
