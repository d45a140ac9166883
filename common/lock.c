/* lock.c owns who may use a volume, and who is told to be in the way. */
#include "common/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"

#define LOCK_BYTE (INT64_C (1) << 62)
#define HOLDER_BYTE(pid) (LOCK_BYTE + 1 + (pid))
#define PID_LIMIT (INT64_C (1) << 32)
#define GONE_WAIT_MS 2000 /* for the I/O of a holder that is dead */
#define GONE_PAUSE_MS 5

static struct flock
range (short type, int64_t start, int64_t length)
{
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

/* The process that has named itself, or 0. */
static pid_t
find_holder (int fd)
{
  struct flock lock = range (F_WRLCK, HOLDER_BYTE (0), PID_LIMIT);

  if (fcntl (fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK
      || lock.l_start < HOLDER_BYTE (0))
    return 0;
  return (pid_t)(lock.l_start - HOLDER_BYTE (0));
}

/* False when it can't be told who it is. */
static bool
describe_holder (int fd, char ret_holder[VOLUME_HOLDER_MAX])
{
  pid_t pid = find_holder (fd);
  char comm_path[64];
  CLEANUP_FREE char *comm = NULL;

  snprintf (ret_holder, VOLUME_HOLDER_MAX, "another process");
  if (pid == 0)
    return false;
  snprintf (comm_path, sizeof comm_path, "/proc/%jd/comm", (intmax_t)pid);
  if (read_file (comm_path, 64, &comm, NULL) < 0)
    comm = NULL;
  if (comm)
    comm[strcspn (comm, "\n")] = '\0';
  snprintf (ret_holder, VOLUME_HOLDER_MAX, "process %jd (%.24s)", (intmax_t)pid,
            comm ? comm : "not visible from here");
  return true;
}

static int
say_busy (int fd, const char *path, struct error *err)
{
  char holder[VOLUME_HOLDER_MAX];
  bool known = describe_holder (fd, holder);

  return error_set (err, ERROR_BUSY, "%s is in use by %s: one volume has one server%s", path,
                    holder, known ? "; stop that one first" : "");
}

bool
volume_is_in_use (int fd, char ret_holder[VOLUME_HOLDER_MAX])
{
  struct flock lock = range (F_WRLCK, LOCK_BYTE, 1);

  if (fcntl (fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
    return false;
  (void)describe_holder (fd, ret_holder);
  return true;
}

/* A holder without a name may have let go just now: worth a second try. */
static bool
holder_is_gone (int fd, bool first_try)
{
  pid_t pid = find_holder (fd);

  return pid == 0 ? first_try : kill (pid, 0) < 0 && errno == ESRCH;
}

/* What a killed process had in flight by io_uring goes on after its end, and the lock with it. */
static int
lock_patiently (int fd, short type)
{
  struct flock lock = range (type, LOCK_BYTE, 1);
  struct timespec pause = {.tv_nsec = GONE_PAUSE_MS * 1000000};

  for (int waited_ms = 0;; waited_ms += GONE_PAUSE_MS) {
    int e;

    if (fcntl (fd, F_OFD_SETLK, &lock) == 0)
      return 0;
    e = errno;
    if ((e != EAGAIN && e != EACCES) || waited_ms >= GONE_WAIT_MS
        || !holder_is_gone (fd, waited_ms == 0)) {
      errno = e;
      return -1;
    }
    nanosleep (&pause, NULL);
  }
}

int
volume_lock (int fd, const char *path, bool exclusive, struct error *err)
{
  if (lock_patiently (fd, exclusive ? F_WRLCK : F_RDLCK) == 0)
    return 0;
  if (errno == EAGAIN || errno == EACCES)
    return say_busy (fd, path, err);
  return error_set_errno (err, errno, "locking %s", path);
}

int
volume_lock_name_holder (int fd, struct error *err)
{
  struct flock none = range (F_UNLCK, HOLDER_BYTE (0), PID_LIMIT);
  struct flock self = range (F_RDLCK, HOLDER_BYTE (getpid ()), 1);

  if (fcntl (fd, F_OFD_SETLK, &none) < 0 || fcntl (fd, F_OFD_SETLK, &self) < 0)
    return error_set_errno (err, errno, "naming the holder of the volume's lock");
  return 0;
}
