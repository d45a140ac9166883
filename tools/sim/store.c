/* store.c owns the files of the state folder. */
#include "tools/sim/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/io.h"

#define FILE_MAX (1024 * 1024)
#define PATH_SIZE (2 * STORE_NAME_MAX + 16)

int
store_open (const char *path, int *ret_fd, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  struct stat st;

  if (mkdir (path, 0700) < 0 && errno != EEXIST)
    return error_set_errno (err, errno, "can't make the state folder %s", path);
  fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &st) < 0)
    return error_set_errno (err, errno, "can't open the state folder %s", path);
  if (st.st_mode & 022)
    return error_set (err, ERROR_USAGE,
                      "others can write to the state folder %s: use one of your own (mode 0700)",
                      path);
  *ret_fd = fd;
  fd = -1;
  return 0;
}

bool
store_name_ok (const char *name)
{
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-_.,~";
  size_t length = strlen (name);

  return length > 0 && length < STORE_NAME_MAX && name[0] != '.'
         && strspn (name, allowed) == length;
}

static bool
file_path (const char *folder, const char *name, const char *suffix, char ret[PATH_SIZE])
{
  return store_name_ok (name)
         && snprintf (ret, PATH_SIZE, "%s/%s%s", folder, name, suffix) < PATH_SIZE;
}

struct json *
store_load (int dir_fd, const char *folder, const char *name)
{
  char path[PATH_SIZE], self[32 + PATH_SIZE];
  CLEANUP_FREE
  char *text = NULL;
  size_t size;

  if (!file_path (folder, name, ".json", path))
    return NULL;
  snprintf (self, sizeof self, "/proc/self/fd/%d/%s", dir_fd, path);
  if (read_file (self, FILE_MAX, &text, &size) < 0)
    return NULL;
  return json_parse (text, size);
}

static void
die (const char *path)
{
  fprintf (stderr, "keyfence-kms-sim: can't write %s of the state folder: %s\n", path,
           strerror (errno));
  exit (EXIT_FAILURE);
}

/* Makes every folder of the path "a/b". */
static void
make_folders (int dir_fd, const char *folder)
{
  char path[PATH_SIZE];

  for (size_t i = 1; i <= strlen (folder) && i < sizeof path; i++)
    if (folder[i] == '/' || folder[i] == '\0') {
      memcpy (path, folder, i);
      path[i] = '\0';
      if (mkdirat (dir_fd, path, 0700) < 0 && errno != EEXIST)
        die (path);
    }
}

void
store_save (int dir_fd, const char *folder, const char *name, const struct json *json)
{
  char path[PATH_SIZE], temporary[PATH_SIZE];
  CLEANUP_FREE
  char *text = json_print (json, true);
  CLEANUP_CLOSE int fd = -1;

  if (!text || !file_path (folder, name, ".json", path)
      || !file_path (folder, name, ".new", temporary)) {
    errno = EINVAL;
    die (name);
  }
  make_folders (dir_fd, folder);
  fd = openat (dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || write_full (fd, text, strlen (text)) < 0 || fdatasync (fd) < 0
      || renameat (dir_fd, temporary, dir_fd, path) < 0)
    die (path);
}

bool
store_remove (int dir_fd, const char *folder, const char *name)
{
  char path[PATH_SIZE];

  return file_path (folder, name, ".json", path) && unlinkat (dir_fd, path, 0) == 0;
}

static int
by_name (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

/* "name" of "name.json"; a new string, or NULL for any other file. */
static char *
listed_name (const char *file)
{
  size_t length = strlen (file);

  if (length <= 5 || strcmp (file + length - 5, ".json") != 0)
    return NULL;
  return strndup (file, length - 5);
}

size_t
store_list (int dir_fd, const char *folder, char ***ret_names)
{
  int fd = openat (dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CLEANUP_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  struct dirent *entry;
  size_t count = 0;

  *ret_names = NULL;
  while (dir && (entry = readdir (dir))) {
    char *name = listed_name (entry->d_name);
    char **more;

    if (!name)
      continue;
    more = realloc (*ret_names, (count + 1) * sizeof *more);
    if (!more)
      abort ();
    *ret_names = more;
    more[count++] = name;
  }
  if (count > 0)
    qsort (*ret_names, count, sizeof **ret_names, by_name);
  return count;
}

void
store_names_free (char **names, size_t count)
{
  for (size_t i = 0; i < count; i++)
    free (names[i]);
  free (names);
}
