/* fuse-file.c owns a file behind FUSE that no page cache is before: `fuse-file FILE FOLDER LOG`
 * shows FILE as FOLDER/disk, and adds a line to LOG for each write and each sync that reaches it.
 * It takes no notice of flags that come with a write, as most such programs.
 */
#define FUSE_USE_VERSION 35
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fuse.h>

static int file, log_fd;

static int
get_attributes (const char *path, struct stat *ret, struct fuse_file_info *info)
{
  (void)info;
  memset (ret, 0, sizeof *ret);
  if (strcmp (path, "/") == 0) {
    ret->st_mode = S_IFDIR | 0755;
    ret->st_nlink = 2;
    return 0;
  }
  if (strcmp (path, "/disk") != 0)
    return -ENOENT;
  return fstat (file, ret) < 0 ? -errno : 0;
}

static int
open_disk (const char *path, struct fuse_file_info *info)
{
  (void)path;
  info->direct_io = 1;
  return 0;
}

static int
read_disk (const char *path, char *buf, size_t size, off_t offset, struct fuse_file_info *info)
{
  ssize_t n = pread (file, buf, size, offset);

  (void)path;
  (void)info;
  return n < 0 ? -errno : (int)n;
}

static int
write_disk (const char *path, const char *buf, size_t size, off_t offset,
            struct fuse_file_info *info)
{
  ssize_t n = pwrite (file, buf, size, offset);

  (void)path;
  (void)info;
  dprintf (log_fd, "write\n");
  return n < 0 ? -errno : (int)n;
}

static int
sync_disk (const char *path, int data_only, struct fuse_file_info *info)
{
  (void)path;
  (void)data_only;
  (void)info;
  dprintf (log_fd, "sync\n");
  return fdatasync (file) < 0 ? -errno : 0;
}

int
main (int argc, char **argv)
{
  static const struct fuse_operations operations = {.getattr = get_attributes,
                                                    .open = open_disk,
                                                    .read = read_disk,
                                                    .write = write_disk,
                                                    .fsync = sync_disk};
  char *arguments[] = {argv[0], (char[]){"-f"}, argv[2], NULL};

  if (argc != 4)
    errx (2, "usage: fuse-file FILE FOLDER LOG");
  file = open (argv[1], O_RDWR | O_CLOEXEC);
  log_fd = open (argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || log_fd < 0)
    err (1, "%s, %s", argv[1], argv[3]);
  return fuse_main (3, arguments, &operations, NULL);
}
