/* mounts.c owns the mounting of what is on an attached disk. */
#include "tools/attach/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "common/io.h"
#include "tools/attach/holders.h"
#include "tools/attach/run.h"
#include "tools/holds.h"

/* A journal may have to be replayed, and one that was cut off waits for its last requests. */
#define MOUNT_TIMEOUT_MS 600000
/* udev and blkid look at devices for a moment. */
#define BRIEF_USE_MS 2000
#define PAUSE_MS 50

/* ---- /proc/self/mountinfo ---- */

struct mount {
  dev_t device;
  char *path;
};

/* As octal numbers are written there: "\040" for a space. */
static void
unescape (char *text)
{
  char *to = text;

  for (const char *from = text; *from; to++) {
    if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7'
        && from[3] >= '0' && from[3] <= '7') {
      *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
      from += 4;
    }
    else
      *to = *from++;
  }
  *to = '\0';
}

static dev_t
number_of (const char *device)
{
  struct stat st;

  return stat (device, &st) == 0 && S_ISBLK (st.st_mode) ? st.st_rdev : 0;
}

/* Btrfs has numbers of its own, and tells its device by name.  (Only its word is taken for that:
 * who mounts by FUSE may name any.)
 */
static dev_t
device_of (const char *line, dev_t number)
{
  const char *rest = strstr (line, " - ");
  CLEANUP_FREE char *source = NULL;

  if (major (number) != 0 || !rest || sscanf (rest, " - btrfs %ms", &source) != 1)
    return number;
  unescape (source);
  return number_of (source);
}

/* The next line with its path (a new string); false at the end.  "ID PARENT MAJOR:MINOR ROOT PATH
 * ... - TYPE SOURCE ..."
 */
static bool
next_mount (FILE *f, struct mount *ret)
{
  CLEANUP_FREE char *line = NULL;
  size_t size = 0;

  while (getline (&line, &size, f) >= 0) {
    unsigned major_number, minor_number;
    char *path;

    if (sscanf (line, "%*s %*s %u:%u %*s %ms", &major_number, &minor_number, &path) != 3)
      continue;
    unescape (path);
    *ret = (struct mount){device_of (line, makedev (major_number, minor_number)), path};
    return true;
  }
  return false;
}

/* Some mount of the device `number` (0: any) at `path` (NULL: any): its path, or NULL. */
static char *
find_mount (dev_t number, const char *path)
{
  CLEANUP_FCLOSE FILE *f = fopen ("/proc/self/mountinfo", "re");
  struct mount mount;

  while (f && next_mount (f, &mount)) {
    if ((number == 0 || mount.device == number) && (!path || strcmp (mount.path, path) == 0))
      return mount.path;
    free (mount.path);
  }
  return NULL;
}

bool
mounts_at (const char *path, const char *device)
{
  dev_t number = device ? number_of (device) : 0;
  CLEANUP_FREE char *found = device && number == 0 ? NULL : find_mount (number, path);

  return found;
}

/* ---- mounting ---- */

static int
check_file_system (const char *device, char ret_type[HOLDS_MAX], struct error *err)
{
  CLEANUP_CLOSE int fd = open (device, O_RDONLY | O_CLOEXEC);
  bool found;

  if (fd < 0)
    return error_set_errno (err, errno, "%s", device);
  if (holds_file_system (fd, device, &found, ret_type, err) < 0)
    return -1;
  if (!found)
    return error_set (err, ERROR_FOREIGN,
                      "there is no file system on the disk%s%s: attach it as a device (keyfence "
                      "attach VOLUME /dev/keyfence/NAME), make one (mkfs.ext4 /dev/keyfence/NAME), "
                      "detach, and attach it here",
                      *ret_type ? " but " : "", ret_type);
  return 0;
}

int
mounts_add (const char *device, const char *path, const char *options, bool read_only,
            struct error *err)
{
  CLEANUP_FREE char *mount = NULL, *all = NULL;
  char type[HOLDS_MAX];
  const char *words[] = {"mount", "-t", type, "-o", NULL, device, path, NULL};

  if (check_file_system (device, type, err) < 0 || run_find ("mount", "mount", &mount, err) < 0)
    return -1;
  if (asprintf (&all, "%s%s%s", read_only ? "ro" : "rw", options ? "," : "", options ? options : "")
      < 0) {
    all = NULL;
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  words[4] = all;
  if (run_program (mount, words, MOUNT_TIMEOUT_MS, NULL, err) < 0)
    return error_prefix (err, "mounting %s at %s", type, path);
  return 0;
}

/* Other file systems that are mounted inside. */
static char *
find_inside (const char *path)
{
  CLEANUP_FCLOSE FILE *f = fopen ("/proc/self/mountinfo", "re");
  size_t length = strlen (path);
  struct mount mount;

  while (f && next_mount (f, &mount)) {
    if (strncmp (mount.path, path, length) == 0 && mount.path[length] == '/')
      return mount.path;
    free (mount.path);
  }
  return NULL;
}

static int
say_busy (const char *path, struct error *err)
{
  CLEANUP_FREE char *inside = find_inside (path);
  char who[HOLDERS_MAX] = "";

  if (inside)
    return error_set (err, ERROR_BUSY, "%s is busy: %s is mounted inside; unmount that first", path,
                      inside);
  holders_of_mount (path, who);
  return error_set (err, ERROR_BUSY, "%s is busy: %s; end what uses it first. Nothing was changed",
                    path,
                    *who ? who
                         : "nobody who can be seen from here (another mount namespace, a "
                           "swap file, an NFS export?)");
}

int
mounts_remove (const char *path, bool lazily, struct error *err)
{
  CLEANUP_FREE char *umount = NULL;
  const char *words[] = {"umount", path, NULL, NULL};
  uint64_t deadline_ms = clock_ms () + BRIEF_USE_MS;
  struct error why = {0};

  if (run_find ("umount", "mount", &umount, err) < 0)
    return -1;
  do {
    if (run_program (umount, words, MOUNT_TIMEOUT_MS, NULL, &why) == 0 || !mounts_at (path, NULL))
      return 0;
    nanosleep (&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
  } while (clock_ms () < deadline_ms);
  if (!lazily)
    return strstr (why.text, "busy") ? say_busy (path, err)
                                     : error_set (err, why.class, "%s", why.text);
  words[1] = "--lazy";
  words[2] = path;
  return run_program (umount, words, MOUNT_TIMEOUT_MS, NULL, err);
}

/* ---- who uses the device ---- */

/* A device on top of it, as LVM and dm-crypt make them. */
static char *
find_on_top (const char *device)
{
  CLEANUP_FREE char *folder = NULL;
  CLEANUP_CLOSEDIR DIR *dir = NULL;
  dev_t number = number_of (device);

  if (asprintf (&folder, "/sys/dev/block/%u:%u/holders", major (number), minor (number)) < 0) {
    folder = NULL;
    return NULL;
  }
  dir = opendir (folder);
  for (struct dirent *entry; dir && (entry = readdir (dir));)
    if (entry->d_name[0] != '.')
      return strdup (entry->d_name);
  return NULL;
}

static int
check_once (const char *device, struct error *err)
{
  dev_t number = number_of (device);
  CLEANUP_FREE char *path = number ? find_mount (number, NULL) : NULL;
  CLEANUP_FREE char *on_top = find_on_top (device);
  CLEANUP_CLOSE int fd = -1;
  char who[HOLDERS_MAX] = "";

  if (path)
    return error_set (err, ERROR_BUSY, "%s is mounted at %s: unmount that first", device, path);
  if (on_top)
    return error_set (err, ERROR_BUSY, "%s is part of /dev/%s: end that first", device, on_top);
  holders_of_device (device, who);
  if (*who)
    return error_set (err, ERROR_BUSY, "%s is in use: %s", device, who);
  fd = open (device, O_RDONLY | O_EXCL | O_CLOEXEC);
  if (fd < 0 && errno == EBUSY)
    return error_set (err, ERROR_BUSY, "%s is in use (swap space, or mounted in another namespace)",
                      device);
  return 0;
}

int
mounts_check_unused (const char *device, struct error *err)
{
  uint64_t deadline_ms = clock_ms () + BRIEF_USE_MS;

  while (check_once (device, err) < 0) {
    if (clock_ms () >= deadline_ms)
      return -1;
    nanosleep (&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
  }
  return 0;
}
