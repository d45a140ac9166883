/* backing.c owns the file or block device under the volume. */
#include "nbd-plugin/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/lock.h"

static int
say_open_failed (const char *path, bool read_only, struct error *err)
{
  int e = errno;

  if (e == ENOENT)
    return error_set (err, ERROR_NOT_FOUND,
                      "%s: there is no such file: make a volume with keyfence create", path);
  if ((e == EACCES || e == EROFS || e == EPERM) && !read_only)
    return error_set_errno (
        err, e, "%s can't be opened for writing (read-only=yes serves it read-only)", path);
  return error_set_errno (err, e, "opening %s", path);
}

/* O_NONBLOCK, so that a FIFO in the volume's place can't hang us; it means nothing to what we take.
 */
static int
open_checked (const char *path, bool read_only, struct stat *st, struct error *err)
{
  CLEANUP_CLOSE int fd =
      open (path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  int ret_fd;

  if (fd < 0)
    return say_open_failed (path, read_only, err);
  if (fstat (fd, st) < 0)
    return error_set_errno (err, errno, "examining %s", path);
  if (!S_ISREG (st->st_mode) && !S_ISBLK (st->st_mode))
    return error_set (err, ERROR_FOREIGN, "%s is neither a regular file nor a block device", path);
  ret_fd = fd;
  fd = -1;
  return ret_fd;
}

/* A lock on a device's node says nothing to who uses another node of it, or has it mounted; the
 * kernel's own exclusive claim does.
 */
static int
claim_device (int *fd, const char *path, struct error *err)
{
  int claimed = reopen_fd (*fd, O_RDWR | O_EXCL);

  if (claimed == -EBUSY)
    return error_set (err, ERROR_BUSY,
                      "%s is in use: mounted, part of another device, or served under another name",
                      path);
  if (claimed < 0)
    return error_set_errno (err, -claimed, "opening %s for this server alone", path);
  close (*fd);
  *fd = claimed;
  return 0;
}

int
backing_open (const char *path, bool read_only, struct backing *ret, struct error *err)
{
  struct backing b = {
      .path = path, .fd = -1, .meta_fd = -1, .read_only = read_only, .align_bytes = 1};
  struct stat st, meta_st;

  b.fd = open_checked (path, read_only, &st, err);
  if (b.fd < 0)
    return -1;
  if (S_ISBLK (st.st_mode) && !read_only && claim_device (&b.fd, path, err) < 0)
    goto err;
  if (volume_lock (b.fd, path, !read_only, err) < 0 || volume_lock_name_holder (b.fd, err) < 0)
    goto err;
  b.meta_fd = open_checked (path, true, &meta_st, err);
  if (b.meta_fd < 0)
    goto err;
  if (st.st_dev != meta_st.st_dev || st.st_ino != meta_st.st_ino) {
    error_set (err, ERROR_BUSY, "%s was replaced while it was being opened: try again", path);
    goto err;
  }
  b.is_block = S_ISBLK (st.st_mode);
  b.can_seek_hole = !b.is_block && lseek (b.meta_fd, 0, SEEK_HOLE) >= 0;
  *ret = b;
  return 0;

err:
  backing_close (&b);
  return -1;
}

void
backing_close (struct backing *backing)
{
  if (backing->fd >= 0)
    close (backing->fd);
  if (backing->meta_fd >= 0)
    close (backing->meta_fd);
  backing->fd = backing->meta_fd = -1;
}

/* The smallest of 512 and 4096 that direct reads accept and `offset_bytes` is a multiple of; 0 when
 * none is.  It is tried in the header: where the data is nothing but a hole, it can be read at any
 * alignment, and then not be written.
 */
static uint32_t
probe_alignment (int fd, uint64_t offset_bytes)
{
  static const uint32_t candidates[] = {512, 4096};
  CLEANUP_FREE void *buf = NULL;

  if (posix_memalign (&buf, 4096, 8192) != 0)
    return 0;
  for (size_t i = 0; i < ARRAY_SIZE (candidates); i++) {
    uint32_t align = candidates[i];

    /* Both memory and file offset at an odd multiple of the candidate. */
    if (is_aligned (offset_bytes, align)
        && pread (fd, (char *)buf + align, align, (off_t)align) >= 0)
      return align;
  }
  return 0;
}

/* Whether RWF_DSYNC does past the page cache what it says.  FUSE hands it to the file system's own
 * program, where hardly anyone looks at it, and says that all is well; so it is believed of those
 * that are known to keep it.
 */
static bool
keeps_dsync (const struct backing *backing)
{
  static const unsigned long known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                        F2FS_SUPER_MAGIC, TMPFS_MAGIC};
  struct statfs s;

  if (backing->is_block)
    return true;
  if (fstatfs (backing->fd, &s) < 0)
    return false;
  for (size_t i = 0; i < ARRAY_SIZE (known); i++)
    if ((unsigned long)s.f_type == known[i])
      return true;
  return false;
}

static int
try_direct (struct backing *backing, uint64_t data_offset_bytes)
{
  int flags = fcntl (backing->fd, F_GETFL);
  uint64_t size_bytes;
  uint32_t align;

  if (flags < 0 || fcntl (backing->fd, F_SETFL, flags | O_DIRECT) < 0) {
    snprintf (backing->cache_note, sizeof backing->cache_note,
              "its file system has no direct I/O (O_DIRECT: %s)", strerrordesc_np (errno));
    return -1;
  }
  align = probe_alignment (backing->fd, data_offset_bytes);
  if (align != 0 && backing_size (backing, &size_bytes) == 0 && is_aligned (size_bytes, align)) {
    backing->align_bytes = align;
    backing->direct = true;
    backing->has_durable_writes = keeps_dsync (backing);
    return 0;
  }
  snprintf (
      backing->cache_note, sizeof backing->cache_note,
      "direct I/O does not accept the volume's data offset or size (they are not multiples of "
      "the device's block)");
  if (fcntl (backing->fd, F_SETFL, flags) < 0)
    snprintf (backing->cache_note, sizeof backing->cache_note, "O_DIRECT could not be turned off");
  return -1;
}

int
backing_choose_cache (struct backing *backing, enum cache_mode cache, uint64_t data_offset_bytes,
                      struct error *err)
{
  if (cache == CACHE_WRITEBACK || try_direct (backing, data_offset_bytes) == 0)
    return 0;
  if (cache == CACHE_NONE)
    return error_set (err, ERROR_USAGE, "cache=none can't be had for %s: %s; use cache=writeback",
                      backing->path, backing->cache_note);
  return 0;
}

int
backing_size (const struct backing *backing, uint64_t *ret_bytes)
{
  struct stat st;

  if (backing->is_block)
    return ioctl (backing->meta_fd, BLKGETSIZE64, ret_bytes) < 0 ? -errno : 0;
  if (fstat (backing->meta_fd, &st) < 0)
    return -errno;
  *ret_bytes = (uint64_t)st.st_size;
  return 0;
}

/* ---- syncs ---- */

/* Guard the syncs of all backings: there is one in a process. */
static pthread_mutex_t syncs_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t syncs_changed = PTHREAD_COND_INITIALIZER;

void
backing_sync_begin (struct backing *backing, struct backing_sync *sync)
{
  LOCK_FOR_SCOPE (&syncs_mutex);

  sync->number = ++backing->last_sync;
  sync->next = backing->syncs;
  backing->syncs = sync;
}

static void
remove_sync (struct backing *backing, const struct backing_sync *sync)
{
  struct backing_sync **p = &backing->syncs;

  while (*p != sync)
    p = &(*p)->next;
  *p = sync->next;
}

bool
backing_sync_end (struct backing *backing, struct backing_sync *sync, bool lost)
{
  LOCK_FOR_SCOPE (&syncs_mutex);

  remove_sync (backing, sync);
  if (lost)
    atomic_store (&backing->flush_failed, true);
  pthread_cond_broadcast (&syncs_changed);
  return !atomic_load (&backing->flush_failed);
}

/* The newest are first. */
static bool
is_older_under_way (const struct backing *backing, uint64_t number)
{
  for (const struct backing_sync *sync = backing->syncs; sync; sync = sync->next)
    if (sync->number < number)
      return true;
  return false;
}

/* A device tells what it has lost out of its cache once only: to a sync that began before, perhaps,
 * which has not said so yet.
 */
static bool
wait_for_older (const struct backing *backing, uint64_t number)
{
  LOCK_FOR_SCOPE (&syncs_mutex);

  while (!atomic_load (&backing->flush_failed) && is_older_under_way (backing, number))
    pthread_cond_wait (&syncs_changed, &syncs_mutex);
  return !atomic_load (&backing->flush_failed);
}

/* Notes whether a write was lost on its way from the page cache.  `fd` tells it once; `meta_fd`, a
 * description of its own by which nobody syncs, is asked by one thread at a time.  It waits for
 * nothing but the header's first byte.  Where the call is not to be had, it fails also when it is
 * to do nothing.
 */
static void
look_for_lost_write (struct backing *backing)
{
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  LOCK_FOR_SCOPE (&mutex);

  if (sync_file_range (backing->meta_fd, 0, 1, SYNC_FILE_RANGE_WAIT_BEFORE) < 0
      && sync_file_range (backing->meta_fd, 0, 1, 0) == 0)
    atomic_store (&backing->flush_failed, true);
}

int
backing_flush (struct backing *backing)
{
  struct backing_sync sync;
  int e;

  if (atomic_load (&backing->flush_failed))
    return -EIO;
  backing_sync_begin (backing, &sync);
  do
    e = fdatasync (backing->fd) < 0 ? errno : 0;
  while (e == EINTR);
  if (e == 0)
    look_for_lost_write (backing);
  if (!backing_sync_end (backing, &sync, e != 0) || !wait_for_older (backing, sync.number))
    return e != 0 ? -e : -EIO;
  return 0;
}

int
backing_discard (struct backing *backing, uint64_t offset_bytes, uint64_t size_bytes)
{
  uint64_t range[2] = {offset_bytes, size_bytes};
  int r;

  do {
    if (backing->is_block)
      r = ioctl (backing->fd, BLKDISCARD, range);
    else
      r = fallocate (backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset_bytes,
                     (off_t)size_bytes);
  } while (r < 0 && errno == EINTR);
  if (r == 0)
    return 0;
  return errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int
backing_next_extent (const struct backing *backing, uint64_t offset_bytes, uint64_t end_bytes,
                     bool *ret_hole, uint64_t *ret_end_bytes)
{
  off_t data = lseek (backing->meta_fd, (off_t)offset_bytes, SEEK_DATA), next;

  if (data < 0 && errno == ENXIO) { /* nothing but a hole up to the end of the file */
    *ret_hole = true;
    *ret_end_bytes = end_bytes;
    return 0;
  }
  if (data < 0)
    return -errno;
  *ret_hole = (uint64_t)data > offset_bytes;
  next = *ret_hole ? data : lseek (backing->meta_fd, (off_t)offset_bytes, SEEK_HOLE);
  if (next < 0)
    return -errno;
  *ret_end_bytes = MIN ((uint64_t)next, end_bytes);
  return 0;
}

void
backing_prefetch (struct backing *backing, uint64_t offset_bytes, uint64_t size_bytes)
{
  if (!backing->direct)
    posix_fadvise (backing->fd, (off_t)offset_bytes, (off_t)size_bytes, POSIX_FADV_WILLNEED);
}
