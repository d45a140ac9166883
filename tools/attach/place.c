/* place.c owns which paths are safe to act on, and the names of devices. */
#include "tools/attach/place.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Whether others than root and us can change what is in this folder.  In a sticky one (/tmp) they
 * can't touch what is ours.
 */
static bool
others_may_write (const struct stat *st)
{
  if (st->st_uid != 0 && st->st_uid != geteuid ())
    return true;
  if (st->st_mode & S_ISVTX)
    return false;
  return (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0);
}

/* Every folder above the real path `path`. */
static int
check_above (const char *path, struct error *err)
{
  CLEANUP_FREE char *above = strdup (path);
  char *slash;
  struct stat st;

  if (!above)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  while ((slash = strrchr (above, '/'))) {
    slash[slash == above ? 1 : 0] = '\0';
    if (lstat (above, &st) < 0)
      return error_set_errno (err, errno, "%s", above);
    if (others_may_write (&st))
      return error_set (err, ERROR_USAGE,
                        "%s: others may write to the folder %s (owner %u, mode %o): choose a place "
                        "that only root can change",
                        path, above, (unsigned)st.st_uid, st.st_mode & 07777u);
    if (slash == above)
      break;
  }
  return 0;
}

/* In a sticky folder, too, its owner can put another thing in its place, as a symlink to where
 * nothing is to be mounted.
 */
static int
check_stays (const char *path, const struct stat *st, struct error *err)
{
  CLEANUP_FREE char *copy = strdup (path);
  struct stat above;

  if (!copy)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (stat (dirname (copy), &above) < 0)
    return error_set_errno (err, errno, "%s", copy);
  if (st->st_uid == 0 || st->st_uid == geteuid () || !(above.st_mode & (S_IWGRP | S_IWOTH)))
    return 0;
  return error_set (err, ERROR_USAGE,
                    "%s belongs to user %u, who can replace it, since others may write to the "
                    "folder %s: choose a place that only root can change",
                    path, (unsigned)st->st_uid, copy);
}

int
place_folder (const char *path, char **ret_path, struct error *err)
{
  CLEANUP_FREE char *real = realpath (path, NULL);
  struct stat st;

  if (!real && errno == ENOENT)
    return error_set (err, ERROR_NOT_FOUND, "%s does not exist", path);
  if (!real || lstat (real, &st) < 0)
    return error_set_errno (err, errno, "%s", path);
  if (!S_ISDIR (st.st_mode))
    return error_set (err, ERROR_USAGE, "%s is no folder", path);
  if (strcmp (real, "/") == 0)
    return error_set (err, ERROR_USAGE, "nothing is mounted over /");
  if (check_above (real, err) < 0 || check_stays (real, &st, err) < 0)
    return -1;
  *ret_path = real;
  real = NULL;
  return 0;
}

/* The folder for our names in /dev, as /dev/mapper is device mapper's. */
static int
make_dev_folder (const char *folder, struct error *err)
{
  if (strcmp (folder, "/dev/keyfence") != 0 || mkdir (folder, 0755) == 0 || errno == EEXIST)
    return 0;
  return error_set_errno (err, errno, "%s", folder);
}

/* A symlink may be ours from before a crash; anything else stays. */
static int
check_name (const char *name, struct error *err)
{
  struct stat st;

  if (lstat (name, &st) < 0)
    return errno == ENOENT ? 0 : error_set_errno (err, errno, "%s", name);
  if (S_ISLNK (st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid ()))
    return 0;
  return error_set (err, ERROR_USAGE,
                    "%s exists: expected a name for the device that is still free, or a folder to "
                    "mount the file system on",
                    name);
}

int
place_name (const char *path, char **ret_path, struct error *err)
{
  CLEANUP_FREE char *copy = strdup (path), *again = strdup (path), *folder = NULL, *name = NULL;
  const char *above, *last;
  int n;

  if (!copy || !again)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  above = dirname (copy);
  last = basename (again);
  if (make_dev_folder (above, err) < 0)
    return -1;
  folder = realpath (above, NULL);
  if (!folder)
    return error_set_errno (err, errno, "%s", above);
  if (path[strlen (path) - 1] == '/' || strcmp (last, ".") == 0 || strcmp (last, "..") == 0)
    return error_set (err, ERROR_NOT_FOUND, "%s does not exist", path);
  n = asprintf (&name, "%s/%s", strcmp (folder, "/") == 0 ? "" : folder, last);
  if (n < 0) {
    name = NULL;
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  if (check_above (name, err) < 0 || check_name (name, err) < 0)
    return -1;
  *ret_path = name;
  name = NULL;
  return 0;
}

int
place_link (const char *name, const char *device, struct error *err)
{
  CLEANUP_FREE char *next = NULL;

  if (asprintf (&next, "%s.new", name) < 0) {
    next = NULL;
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  if (check_name (name, err) < 0)
    return -1;
  if ((unlink (next) < 0 && errno != ENOENT) || symlink (device, next) < 0
      || rename (next, name) < 0)
    return error_set_errno (err, errno, "making the name %s", name);
  return 0;
}

/* udev, too, makes it, and in other words: so where it leads is compared. */
void
place_unlink (const char *name, const char *device)
{
  struct stat link, named, wanted;

  if (lstat (name, &link) < 0 || !S_ISLNK (link.st_mode))
    return;
  if (!device || stat (name, &named) < 0
      || (stat (device, &wanted) == 0 && named.st_rdev == wanted.st_rdev))
    unlink (name);
}
