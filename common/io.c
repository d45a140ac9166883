/* io.c owns complete reads and writes, and the packets that our processes exchange. */
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"

uint64_t
clock_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_BOOTTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct timespec
monotonic_after (uint64_t ms)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  t.tv_sec += (time_t)(ms / 1000);
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  if (t.tv_nsec >= 1000000000) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000;
  }
  return t;
}

int
pread_full (int fd, void *buf, size_t size, uint64_t offset_bytes)
{
  char *p = buf;

  while (size > 0) {
    ssize_t n = pread (fd, p, size, (off_t)offset_bytes);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0 ? -ENODATA : -errno;
    p += n;
    size -= (size_t)n;
    offset_bytes += (uint64_t)n;
  }
  return 0;
}

int
pwrite_full (int fd, const void *buf, size_t size, uint64_t offset_bytes)
{
  const char *p = buf;

  while (size > 0) {
    ssize_t n = pwrite (fd, p, size, (off_t)offset_bytes);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0 ? -EIO : -errno;
    p += n;
    size -= (size_t)n;
    offset_bytes += (uint64_t)n;
  }
  return 0;
}

int
write_full (int fd, const void *buf, size_t size)
{
  const char *p = buf;

  while (size > 0) {
    ssize_t n = write (fd, p, size);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0 ? -EIO : -errno;
    p += n;
    size -= (size_t)n;
  }
  return 0;
}

int
read_full (int fd, void *buf, size_t size, size_t *ret_used)
{
  size_t used = 0;

  while (used < size) {
    ssize_t n = read (fd, (char *)buf + used, size - used);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    if (n == 0)
      break;
    used += (size_t)n;
  }
  *ret_used = used;
  return 0;
}

int
reopen_fd (int fd, int flags)
{
  char path[64];
  int again;

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  again = open (path, flags | O_CLOEXEC | O_NOCTTY);
  return again < 0 ? -errno : again;
}

int
read_file_fd (int fd, size_t max, char **ret_text, size_t *ret_size)
{
  CLEANUP_FREE char *text = malloc (max + 2);
  size_t size = 0;
  int r;

  if (!text)
    return -ENOMEM;
  r = read_full (fd, text, max + 1, &size); /* tells "max" from "more" */
  if (r < 0)
    return r;
  if (size > max)
    return -EFBIG;
  text[size] = '\0';
  *ret_text = text;
  text = NULL;
  if (ret_size)
    *ret_size = size;
  return 0;
}

int
read_file (const char *path, size_t max, char **ret_text, size_t *ret_size)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

  return fd < 0 ? -errno : read_file_fd (fd, max, ret_text, ret_size);
}

void
eventfd_signal (int fd)
{
  uint64_t one = 1;
  ssize_t n = write (fd, &one, sizeof one);

  (void)n; /* full: it has been told already */
}

int
packet_pair (int ret_fds[2])
{
  return socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

/* Waits for `events`; 0 when they came (or the peer has gone), else a negative errno. */
static int
wait_until (int fd, short events, uint64_t deadline_ms)
{
  for (;;) {
    uint64_t now_ms = clock_ms ();
    struct pollfd pfd = {.fd = fd, .events = events};
    int n;

    if (now_ms >= deadline_ms)
      return -ETIMEDOUT;
    n = poll (&pfd, 1, (int)MIN (deadline_ms - now_ms, 3600 * 1000));
    if (n > 0)
      return 0;
    if (n < 0 && errno != EINTR)
      return -errno;
  }
}

int
packet_send (int fd, const void *data, size_t size, int passed_fd, uint64_t deadline_ms)
{
  struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
  union {
    char buf[CMSG_SPACE (sizeof (int))];
    struct cmsghdr align;
  } control = {.buf = {0}};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

  if (passed_fd >= 0) {
    struct cmsghdr *cmsg;

    msg.msg_control = control.buf;
    msg.msg_controllen = sizeof control.buf;
    cmsg = CMSG_FIRSTHDR (&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN (sizeof (int));
    memcpy (CMSG_DATA (cmsg), &passed_fd, sizeof (int));
  }
  for (;;) {
    if (sendmsg (fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
      return 0;
    if (errno == EAGAIN) {
      int r = wait_until (fd, POLLOUT, deadline_ms);

      if (r < 0)
        return r;
    }
    else if (errno != EINTR)
      return -errno;
  }
}

/* The first file descriptor in the message; any further one is closed. */
static int
take_passed_fd (struct msghdr *msg)
{
  int passed_fd = -1;

  for (struct cmsghdr *cmsg = CMSG_FIRSTHDR (msg); cmsg; cmsg = CMSG_NXTHDR (msg, cmsg)) {
    size_t count;

    if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
      continue;
    count = (cmsg->cmsg_len - CMSG_LEN (0)) / sizeof (int);
    for (size_t i = 0; i < count; i++) {
      int fd;

      memcpy (&fd, CMSG_DATA (cmsg) + i * sizeof (int), sizeof fd);
      if (passed_fd < 0)
        passed_fd = fd;
      else
        close (fd);
    }
  }
  return passed_fd;
}

ssize_t
packet_recv (int fd, void *buf, size_t max, int *ret_passed_fd, uint64_t deadline_ms)
{
  struct iovec iov = {.iov_base = buf, .iov_len = max};
  union {
    char buf[CMSG_SPACE (4 * sizeof (int))];
    struct cmsghdr align;
  } control;
  struct msghdr msg;
  CLEANUP_CLOSE int passed_fd = -1;
  ssize_t n;

  do {
    int r = wait_until (fd, POLLIN, deadline_ms);

    if (r < 0)
      return r;
    msg = (struct msghdr){.msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.buf,
                          .msg_controllen = sizeof control.buf};
    n = recvmsg (fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && (errno == EINTR || errno == EAGAIN));
  if (n < 0)
    return errno == ECONNRESET ? 0 : -errno;
  passed_fd = take_passed_fd (&msg);
  if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
    return -EMSGSIZE;
  if (ret_passed_fd) {
    *ret_passed_fd = passed_fd;
    passed_fd = -1;
  }
  return n;
}
