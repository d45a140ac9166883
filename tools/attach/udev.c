/* udev.c owns what udev's rule reads: /run/keyfence/udev/DEVICE, which has the device's name. */
#include "tools/attach/udev.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/io.h"

#define FOLDER "/run/keyfence/udev"
#define NAMES "/dev/keyfence/"

/* What neither udev nor the form of the file gives a meaning to. */
static bool
is_plain (const char *name)
{
  for (const char *p = name; *p; p++)
    if (!isalnum ((unsigned char)*p) && !strchr ("._-", *p))
      return false;
  return *name && *name != '.';
}

/* The file for a device; NULL for what is no name in /dev. */
static char *
file_of (const char *device)
{
  const char *name = strncmp (device, "/dev/", 5) == 0 ? device + 5 : "";
  char *path;

  return is_plain (name) && asprintf (&path, FOLDER "/%s", name) >= 0 ? path : NULL;
}

/* udev looks at it again. */
static void
trigger (const char *device)
{
  CLEANUP_FREE char *path = NULL;
  CLEANUP_CLOSE int fd = -1;

  if (asprintf (&path, "/sys/class/block/%s/uevent", device + 5) < 0) {
    path = NULL;
    return;
  }
  fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0)
    (void)!write_full (fd, "change", 6);
}

void
udev_name (const char *device, const char *link)
{
  CLEANUP_FREE char *path = file_of (device);
  CLEANUP_CLOSE int fd = -1;
  const char *name = strncmp (link, NAMES, sizeof NAMES - 1) == 0 ? link + sizeof NAMES - 1 : "";

  if (!path || !is_plain (name) || (mkdir (FOLDER, 0755) < 0 && errno != EEXIST))
    return;
  fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd >= 0 && dprintf (fd, "KEYFENCE_NAME=%s\n", name) > 0)
    trigger (device);
}

void
udev_unname (const char *device)
{
  CLEANUP_FREE char *path = file_of (device);

  if (path && unlink (path) == 0)
    trigger (device);
}
