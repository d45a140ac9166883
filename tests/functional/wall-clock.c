/* wall-clock.c owns a wall clock that can be set: an LD_PRELOAD library for the server and its
 * agent, which passes the others (CLOCK_BOOTTIME, CLOCK_MONOTONIC) on as they are.
 *
 * KEYFENCE_WALL_CLOCK: a file with the seconds that it is ahead (with a minus: behind), looked at
 * at each call; no file: it is right.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__ ((visibility ("default")))

static time_t
ahead_s (void)
{
  const char *path = getenv ("KEYFENCE_WALL_CLOCK");
  char text[32] = "";
  int fd = path ? open (path, O_RDONLY | O_CLOEXEC) : -1;

  if (fd < 0)
    return 0;
  if (read (fd, text, sizeof text - 1) < 0)
    text[0] = '\0';
  close (fd);
  return (time_t)strtol (text, NULL, 10);
}

PUBLIC int
clock_gettime (clockid_t clock, struct timespec *ret)
{
  int (*real) (clockid_t, struct timespec *) = dlsym (RTLD_NEXT, "clock_gettime");
  int r = real (clock, ret);

  if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    ret->tv_sec += ahead_s ();
  return r;
}

PUBLIC time_t
time (time_t *ret)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  if (ret)
    *ret = now.tv_sec;
  return now.tv_sec;
}

PUBLIC int
gettimeofday (struct timeval *restrict ret, void *restrict zone)
{
  struct timespec now;

  (void)zone;
  clock_gettime (CLOCK_REALTIME, &now);
  ret->tv_sec = now.tv_sec;
  ret->tv_usec = now.tv_nsec / 1000;
  return 0;
}
