/* volume.c owns the opening of a volume's file or block device. */
#include "tools/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/lock.h"
#include "common/paths.h"

int
volume_measure (struct volume *volume, struct error *err)
{
  struct stat st;

  if (fstat (volume->fd, &st) < 0)
    return error_set_errno (err, errno, "%s", volume->path);
  volume->block_device = S_ISBLK (st.st_mode);
  if (S_ISREG (st.st_mode))
    volume->file_bytes = (uint64_t)st.st_size;
  else if (!volume->block_device)
    return error_set (err, ERROR_USAGE, "%s is neither a regular file nor a block device",
                      volume->path);
  else if (ioctl (volume->fd, BLKGETSIZE64, &volume->file_bytes) < 0)
    return error_set_errno (err, errno, "%s: its size", volume->path);
  return 0;
}

/* A lock on a device's node says nothing to who has it mounted, or serves it by another node.  The
 * kernel's claim does; it is not kept, since libcryptsetup makes it for itself.
 */
static int
check_unclaimed (const struct volume *volume, struct error *err)
{
  CLEANUP_CLOSE int fd = reopen_fd (volume->fd, O_RDONLY | O_EXCL);

  if (fd >= 0)
    return 0;
  if (fd == -EBUSY)
    return error_set (err, ERROR_BUSY,
                      "%s is in use: mounted, part of another device, or served under another name",
                      volume->path);
  return error_set_errno (err, -fd, "%s", volume->path);
}

/* A word without a slash may have been meant as a configuration's name. */
static int
not_found (const char *path, struct error *err)
{
  CLEANUP_FREE char *config = strchr (path, '/') ? NULL : path_config (path);

  return error_set (err, ERROR_NOT_FOUND, "%s does not exist%s%s", path,
                    config ? ", and neither does " : "", config ? config : "");
}

int
volume_open (const char *path, bool exclusive, struct volume *ret, struct error *err)
{
  /* O_NONBLOCK: a FIFO of that name must not hang us. */
  int flags = (exclusive ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;

  volume.path = path;
  volume.fd = open (path, flags);
  if (volume.fd < 0 && errno == ENOENT)
    return not_found (path, err);
  if (volume.fd < 0 && errno == EISDIR)
    return error_set (err, ERROR_USAGE, "%s is neither a regular file nor a block device", path);
  if (volume.fd < 0)
    return error_set_errno (err, errno, "%s", path);
  if (volume_measure (&volume, err) < 0)
    return -1;
  if (exclusive
      && (volume_lock (volume.fd, path, true, err) < 0
          || volume_lock_name_holder (volume.fd, err) < 0
          || (volume.block_device && check_unclaimed (&volume, err) < 0)))
    return -1;
  *ret = volume;
  volume.fd = -1;
  return 0;
}

int
volume_check_same (const struct volume *volume, struct error *err)
{
  struct stat opened, named;

  if (fstat (volume->fd, &opened) == 0 && stat (volume->path, &named) == 0
      && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
    return 0;
  return error_set (err, ERROR_BUSY,
                    "%s is not what it was: something else has taken its place meanwhile; nothing "
                    "was changed",
                    volume->path);
}

int
volume_load (struct volume *volume, bool want_token, struct error *err)
{
  return header_load (volume->fd, volume->path, want_token, &volume->header, err);
}

int
volume_load_copy (struct volume *volume, struct error *err)
{
  return header_load_backup (volume->fd, volume->path, false, &volume->header, err);
}

void
volume_clear (struct volume *volume)
{
  header_free (volume->header);
  volume->header = NULL;
  cleanup_close (&volume->fd);
  volume->fd = -1;
}

uint64_t
volume_data_bytes (const struct volume *volume)
{
  const struct header_info *info = header_info (volume->header);

  if (volume->file_bytes <= info->data_offset_bytes)
    return 0;
  return round_down (volume->file_bytes - info->data_offset_bytes, info->sector_size);
}
