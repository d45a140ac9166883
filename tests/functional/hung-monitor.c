/* hung-monitor.c owns a server whose watch over its key hangs: an LD_PRELOAD library that stops the
 * one thread of nbdkit that sets a timer by timerfd_settime, which is keymon's.
 *
 * KEYFENCE_HANG_FILE: while this file exists that thread does not come back; with the word "poll"
 * in it from waiting, with "busy" from the middle of its work, where it holds its locks.  Each hang
 * makes FILE.hits.
 */
#undef _FORTIFY_SOURCE /* its headers define some of the calls themselves */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PUBLIC __attribute__ ((visibility ("default")))

static __thread bool is_monitor;

/* Whether the file asks for a hang in this place. */
static bool
is_wanted (const char *place)
{
  const char *path = getenv ("KEYFENCE_HANG_FILE");
  char word[16] = "";
  int fd = path ? open (path, O_RDONLY | O_CLOEXEC) : -1;

  if (fd < 0)
    return false;
  if (read (fd, word, sizeof word - 1) < 0)
    word[0] = '\0';
  close (fd);
  return strncmp (word, place, strlen (place)) == 0;
}

static void
note_hit (void)
{
  char path[4096];
  int fd;

  snprintf (path, sizeof path, "%s.hits", getenv ("KEYFENCE_HANG_FILE"));
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0)
    close (fd);
}

static void
hang_if_wanted (const char *place)
{
  if (!is_monitor || !is_wanted (place))
    return;
  note_hit ();
  while (is_wanted (place))
    usleep (5000);
}

PUBLIC int
timerfd_settime (int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
  int (*real) (int, int, const struct itimerspec *, struct itimerspec *) =
      dlsym (RTLD_NEXT, "timerfd_settime");

  is_monitor = true;
  hang_if_wanted ("busy");
  return real (fd, flags, new, old);
}

/* A poll that has come back may be about to work: it hangs behind it. */
static int
poll_and_hang (struct pollfd *fds, nfds_t count, int timeout_ms)
{
  int (*real) (struct pollfd *, nfds_t, int) = dlsym (RTLD_NEXT, "poll");
  int r = real (fds, count, timeout_ms);

  hang_if_wanted ("poll");
  return r;
}

PUBLIC int
poll (struct pollfd *fds, nfds_t count, int timeout_ms)
{
  return poll_and_hang (fds, count, timeout_ms);
}

/* The name that fortified code uses. */
PUBLIC int __poll_chk (struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);

int
__poll_chk (struct pollfd *fds, nfds_t count, int timeout_ms, size_t size)
{
  if (size / sizeof *fds < count)
    abort ();
  return poll_and_hang (fds, count, timeout_ms);
}
