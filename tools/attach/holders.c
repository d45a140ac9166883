/* holders.c owns the search through /proc for who uses something. */
#include "tools/attach/holders.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/cleanup.h"
#include "common/io.h"
#include "common/text.h"

#define NAMED_MAX 3

/* What is looked for: files of a file system, or one block device. */
struct sought {
  dev_t number;
  bool device;
};

static bool
matches (const struct sought *sought, const struct stat *st)
{
  if (sought->device)
    return S_ISBLK (st->st_mode) && st->st_rdev == sought->number;
  return st->st_dev == sought->number;
}

static bool
link_matches (int folder, const char *name, const struct sought *sought)
{
  struct stat st;

  return fstatat (folder, name, &st, AT_NO_AUTOMOUNT) == 0 && matches (sought, &st);
}

/* Mapped files: "ADDRESSES PERMISSIONS OFFSET MAJOR:MINOR INODE PATH". */
static bool
maps_match (int process, const struct sought *sought)
{
  int fd = openat (process, "maps", O_RDONLY | O_CLOEXEC);
  CLEANUP_FCLOSE FILE *f = fd < 0 ? NULL : fdopen (fd, "r");
  CLEANUP_FREE char *line = NULL;
  size_t size = 0;

  if (fd >= 0 && !f)
    close (fd);
  while (f && !sought->device && getline (&line, &size, f) >= 0) {
    unsigned major_number, minor_number;

    if (sscanf (line, "%*s %*s %*s %x:%x", &major_number, &minor_number) == 2
        && makedev (major_number, minor_number) == sought->number)
      return true;
  }
  return false;
}

static bool
uses (int process, const struct sought *sought)
{
  static const char *const links[] = {"cwd", "root", "exe"};
  int fd;
  CLEANUP_CLOSEDIR DIR *dir = NULL;

  for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
    if (link_matches (process, links[i], sought))
      return true;
  fd = openat (process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  dir = fd < 0 ? NULL : fdopendir (fd);
  if (fd >= 0 && !dir)
    close (fd);
  for (struct dirent *entry; dir && (entry = readdir (dir));)
    if (entry->d_name[0] != '.' && link_matches (dirfd (dir), entry->d_name, sought))
      return true;
  return maps_match (process, sought);
}

static void
add_name (const char *pid, char who[HOLDERS_MAX])
{
  CLEANUP_FREE char *path = NULL, *comm = NULL;
  size_t used = strlen (who);

  if (asprintf (&path, "/proc/%s/comm", pid) < 0 || read_file (path, 64, &comm, NULL) < 0)
    comm = NULL;
  if (comm)
    comm[strcspn (comm, "\n")] = '\0';
  text_print (who + used, HOLDERS_MAX - used, "%sprocess %s (%s)", used > 0 ? ", " : "", pid,
              comm ? comm : "?");
}

static bool
is_self (const char *pid)
{
  return strtoul (pid, NULL, 10) == (unsigned long)getpid ();
}

static void
search (const struct sought *sought, char ret_who[HOLDERS_MAX])
{
  CLEANUP_CLOSEDIR DIR *dir = opendir ("/proc");
  unsigned found = 0;

  ret_who[0] = '\0';
  for (struct dirent *entry; dir && (entry = readdir (dir));) {
    CLEANUP_CLOSE int process = -1;

    if (!isdigit ((unsigned char)entry->d_name[0]) || is_self (entry->d_name))
      continue;
    process = openat (dirfd (dir), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process >= 0 && uses (process, sought) && ++found <= NAMED_MAX)
      add_name (entry->d_name, ret_who);
  }
  if (found > NAMED_MAX) {
    size_t used = strlen (ret_who);

    text_print (ret_who + used, HOLDERS_MAX - used, " and %u more", found - NAMED_MAX);
  }
}

void
holders_of_mount (const char *path, char ret_who[HOLDERS_MAX])
{
  struct stat st;

  ret_who[0] = '\0';
  if (stat (path, &st) == 0)
    search (&(struct sought){.number = st.st_dev}, ret_who);
}

void
holders_of_device (const char *device, char ret_who[HOLDERS_MAX])
{
  struct stat st;

  ret_who[0] = '\0';
  if (stat (device, &st) == 0 && S_ISBLK (st.st_mode))
    search (&(struct sought){.number = st.st_rdev, .device = true}, ret_who);
}
