/* target.c owns the making of a volume's file, and that nothing half-made is left. */
#include "tools/target.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/lock.h"
#include "tools/holds.h"
#include "tools/progress.h"

#define ALLOCATE_BYTES (UINT64_C (1) << 30)
#define ZEROS_BYTES (UINT64_C (4) << 20)

/* The file to remove when a signal ends us; read by the handler. */
static const char *volatile half_made;

static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void
remove_and_die (int sig)
{
  if (half_made)
    unlink (half_made);
  signal (sig, SIG_DFL);
  raise (sig);
}

static void
deadly_set (sigset_t *set)
{
  sigemptyset (set);
  for (size_t i = 0; i < ARRAY_SIZE (deadly); i++)
    sigaddset (set, deadly[i]);
}

/* Signals that were ignored (nohup) stay so. */
static void
catch_signals (void)
{
  for (size_t i = 0; i < ARRAY_SIZE (deadly); i++)
    if (signal (deadly[i], remove_and_die) == SIG_IGN)
      signal (deadly[i], SIG_IGN);
}

/* Makes the file; no signal comes between that and our knowing about it. */
static int
make_file (const char *path, struct target *target)
{
  sigset_t set, before;

  catch_signals ();
  deadly_set (&set);
  sigprocmask (SIG_BLOCK, &set, &before);
  target->volume.fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (target->volume.fd >= 0) {
    target->created = true;
    half_made = path;
  }
  sigprocmask (SIG_SETMASK, &before, NULL);
  return target->volume.fd < 0 ? -errno : 0;
}

/* A device that is mounted, or part of something else that is in use, can't be opened with O_EXCL.
 */
static int
check_device (struct target *target, bool force, struct error *err)
{
  const char *path = target->volume.path;
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_EXCL | O_CLOEXEC);
  char what[HOLDS_MAX];
  bool holds;

  if (fd < 0 && errno == EBUSY)
    return error_set (err, ERROR_BUSY, "%s is in use (mounted, or part of another device)", path);
  if (fd < 0)
    return error_set_errno (err, errno, "%s", path);
  if (force)
    return 0;
  if (holds_something (fd, path, &holds, what, err) < 0)
    return -1;
  if (holds)
    return error_set (err, ERROR_FOREIGN,
                      "%s holds %s: --force overwrites it, and what is on it is lost", path, what);
  return 0;
}

static int
check_existing (struct target *target, bool force, struct error *err)
{
  const char *path = target->volume.path;
  char what[HOLDS_MAX];
  bool holds;

  if (target->volume.block_device)
    return check_device (target, force, err);
  if (force)
    return 0;
  if (holds_something (target->volume.fd, path, &holds, what, err) < 0)
    return -1;
  return error_set (err, ERROR_FOREIGN, "%s exists%s%s: --force overwrites it%s", path,
                    holds ? " and holds " : "", holds ? what : "",
                    holds ? ", and what is in it is lost" : "");
}

int
target_open (const char *path, bool force, struct target *ret, struct error *err)
{
  CLEANUP_TARGET struct target target = TARGET_INIT;
  int r = make_file (path, &target);

  target.volume.path = path;
  if (r == -EEXIST) {
    if (volume_open (path, true, &target.volume, err) < 0
        || check_existing (&target, force, err) < 0)
      return -1;
  }
  else if (r == -ENOENT)
    return error_set (err, ERROR_NOT_FOUND, "%s: the folder for it does not exist: make it first",
                      path);
  else if (r < 0)
    return error_set_errno (err, -r, "creating %s", path);
  else if (volume_lock (target.volume.fd, path, true, err) < 0
           || volume_lock_name_holder (target.volume.fd, err) < 0)
    return -1;
  *ret = target;
  target = (struct target)TARGET_INIT;
  return 0;
}

static int
write_zeros (int fd, uint64_t from_bytes, uint64_t to_bytes, struct progress *progress)
{
  CLEANUP_FREE void *zeros = calloc (1, ZEROS_BYTES);

  if (!zeros)
    return -ENOMEM;
  for (uint64_t at = from_bytes; at < to_bytes; at += ZEROS_BYTES) {
    int r = pwrite_full (fd, zeros, MIN (ZEROS_BYTES, to_bytes - at), at);

    if (r < 0)
      return r;
    progress_set (progress, at);
  }
  return 0;
}

static int
allocate (int fd, uint64_t bytes)
{
  CLEANUP_PROGRESS struct progress *progress = progress_start ("allocating", bytes);

  for (uint64_t at = 0; at < bytes; at += ALLOCATE_BYTES) {
    int r;

    do
      r = fallocate (fd, 0, (off_t)at, (off_t)MIN (ALLOCATE_BYTES, bytes - at));
    while (r < 0 && errno == EINTR);
    if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
      return write_zeros (fd, at, bytes, progress);
    if (r < 0)
      return -errno;
    progress_set (progress, at);
  }
  return 0;
}

int
target_resize (struct target *target, uint64_t file_bytes, bool preallocate, struct error *err)
{
  int fd = target->volume.fd, r = 0;

  target->touched = true;
  if (ftruncate (fd, 0) < 0 || (!preallocate && ftruncate (fd, (off_t)file_bytes) < 0))
    r = -errno;
  else if (preallocate)
    r = allocate (fd, file_bytes);
  if (r < 0)
    return r == -EFBIG
               ? error_set (err, ERROR_SYSTEM,
                            "%s: its file system, or the limit on sizes of files (ulimit -f), "
                            "allows none of that size: make it smaller",
                            target->volume.path)
               : error_set_errno (err, -r, "giving %s its size", target->volume.path);
  target->volume.file_bytes = file_bytes;
  return 0;
}

/* A new name is durable when its folder is. */
static int
sync_folder (const char *path)
{
  CLEANUP_FREE char *copy = strdup (path);
  CLEANUP_CLOSE int fd = -1;

  if (!copy)
    return -ENOMEM;
  fd = open (dirname (copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 || (fsync (fd) < 0 && errno != EINVAL) ? -errno : 0;
}

int
target_keep (struct target *target, struct error *err)
{
  int r = fsync (target->volume.fd) < 0 ? -errno : 0;

  if (r == 0 && target->created)
    r = sync_folder (target->volume.path);
  if (r < 0)
    return error_set_errno (err, -r, "making %s durable", target->volume.path);
  half_made = NULL;
  target->created = target->touched = false;
  return 0;
}

static void
undo (struct target *target)
{
  if (target->created) {
    if (volume_check_same (&target->volume, NULL) == 0)
      unlink (target->volume.path);
    half_made = NULL;
  }
  else if (target->touched && target->volume.block_device)
    (void)!header_destroy (target->volume.path, HEADER_DATA_OFFSET_BYTES, NULL);
  else if (target->touched)
    (void)!ftruncate (target->volume.fd, 0);
}

void
target_clear (struct target *target)
{
  undo (target);
  volume_clear (&target->volume);
}
