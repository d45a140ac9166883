/* attachment.c owns the record of what is attached, and its locks. */
#include "tools/attach/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "common/paths.h"
#include "common/text.h"
#include "tools/attach/way.h"
#include "tools/volume-config.h"

#define STATE_MAX 65536
#define SUFFIX ".attach"
#define LOCK_PATIENCE_MS 15000
#define LOCK_PAUSE_MS 20

/* Bytes of the lock file. */
enum { LOCK_CHANGE, LOCK_RESIDENT };

/* The members of the facts. */
static const struct {
  const char *name;
  size_t offset;
} texts[] =
    {
        {"volume", offsetof (struct attachment, volume)},
        {"name", offsetof (struct attachment, name)},
        {"label", offsetof (struct attachment, label)},
        {"path", offsetof (struct attachment, path)},
        {"control", offsetof (struct attachment, control)},
        {"socket", offsetof (struct attachment, socket)},
        {"device", offsetof (struct attachment, device)},
        {"link", offsetof (struct attachment, link)},
        {"mountpoint", offsetof (struct attachment, mountpoint)},
        {"options", offsetof (struct attachment, options)},
},
  numbers[] = {
      {"size_bytes", offsetof (struct attachment, size_bytes)},
      {"sector_size", offsetof (struct attachment, sector_size)},
      {"connections", offsetof (struct attachment, connections)},
      {"timeout_s", offsetof (struct attachment, timeout_s)},
      {"reconnect_s", offsetof (struct attachment, reconnect_s)},
      {"helper_pid", offsetof (struct attachment, helper_pid)},
};

static char **
text_of (const struct attachment *a, size_t i)
{
  return (char **)((char *)(uintptr_t)a + texts[i].offset);
}

static uint64_t *
number_of (const struct attachment *a, size_t i)
{
  return (uint64_t *)(void *)((char *)(uintptr_t)a + numbers[i].offset);
}

void
attachment_clear (struct attachment *a)
{
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++)
    free (*text_of (a, i));
  free (a->folder);
  cleanup_close (&a->lock_fd);
  *a = (struct attachment)ATTACHMENT_INIT;
}

char *
attachment_file (const struct attachment *a, const char *name)
{
  char *path = NULL;

  return asprintf (&path, "%s/%s", a->folder, name) < 0 ? NULL : path;
}

char *
attachment_where (const struct attachment *a)
{
  const char *name = a->link ? a->link : a->device ? a->device : "no device yet";
  char *text = NULL;
  int n;

  if (a->mountpoint)
    n = asprintf (&text, "%s, mounted at %s", name, a->mountpoint);
  else
    n = asprintf (&text, "%s%s%s", name, a->link && a->device ? ", which is " : "",
                  a->link && a->device ? a->device : "");
  return n < 0 ? NULL : text;
}

/* ---- locks ---- */

static int
lock (const struct attachment *a, int which, short type)
{
  struct flock flock = {.l_type = type, .l_whence = SEEK_SET, .l_start = which, .l_len = 1};

  return fcntl (a->lock_fd, F_SETLK, &flock);
}

static pid_t
holder (const struct attachment *a, int which)
{
  struct flock flock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = which, .l_len = 1};

  if (fcntl (a->lock_fd, F_GETLK, &flock) < 0 || flock.l_type == F_UNLCK)
    return 0;
  return flock.l_pid;
}

pid_t
attachment_resident (const struct attachment *a)
{
  return holder (a, LOCK_RESIDENT);
}

int
attachment_resume (struct attachment *a, struct error *err)
{
  const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000};
  uint64_t deadline_ms = clock_ms () + LOCK_PATIENCE_MS;

  while (lock (a, LOCK_CHANGE, F_WRLCK) < 0) {
    if (errno != EAGAIN && errno != EACCES)
      return error_set_errno (err, errno, "locking %s", a->folder);
    if (clock_ms () >= deadline_ms)
      return error_set (err, ERROR_BUSY,
                        "process %jd attaches or detaches this volume just now: wait for its end",
                        (intmax_t)holder (a, LOCK_CHANGE));
    nanosleep (&pause, NULL);
  }
  return 0;
}

void
attachment_settle (struct attachment *a)
{
  (void)!lock (a, LOCK_CHANGE, F_UNLCK);
}

int
attachment_stay (struct attachment *a, struct error *err)
{
  if (lock (a, LOCK_RESIDENT, F_WRLCK) == 0)
    return 0;
  return error_set (err, ERROR_BUSY, "process %jd looks after this volume already",
                    (intmax_t)attachment_resident (a));
}

/* ---- the folder ---- */

static bool
is_ours (int fd, const char *path)
{
  struct stat opened, named;

  return fstat (fd, &opened) == 0 && lstat (path, &named) == 0 && opened.st_dev == named.st_dev
         && opened.st_ino == named.st_ino;
}

/* Who detaches removes the folder: then the lock that we got was on nothing, and we begin again. */
static int
open_folder (struct attachment *a, bool create, struct error *err)
{
  CLEANUP_FREE char *lock_path = attachment_file (a, "lock");

  if (!lock_path)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  for (;;) {
    if (create && mkdir (a->folder, 0700) < 0 && errno != EEXIST)
      return error_set_errno (err, errno, "making the folder %s", a->folder);
    a->lock_fd = open (lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
    if (a->lock_fd < 0 && errno == ENOENT && create)
      continue;
    if (a->lock_fd < 0)
      return error_set_errno (err, errno, "%s", lock_path);
    if (attachment_resume (a, err) < 0)
      return -1;
    if (is_ours (a->lock_fd, lock_path))
      return 0;
    close (a->lock_fd);
    a->lock_fd = -1;
  }
}

/* The real one, as the kernel shows it for what is made of files in it; NULL: none. */
static char *
find_rundir (bool create)
{
  CLEANUP_FREE char *rundir = path_rundir (create);

  return rundir ? realpath (rundir, NULL) : NULL;
}

int
attachment_open (const char *uuid, struct attachment *ret, struct error *err)
{
  CLEANUP_ATTACHMENT struct attachment a = ATTACHMENT_INIT;
  CLEANUP_FREE char *rundir = find_rundir (true);

  if (!rundir)
    return error_set (err, ERROR_SYSTEM,
                      "there is no folder to keep what is attached: /run/keyfence can't be written "
                      "and neither XDG_RUNTIME_DIR nor KEYFENCE_RUNDIR is set");
  if (asprintf (&a.folder, "%s/%s" SUFFIX, rundir, uuid) < 0) {
    a.folder = NULL;
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  if (open_folder (&a, true, err) < 0)
    return -1;
  *ret = a;
  a = (struct attachment)ATTACHMENT_INIT;
  return 0;
}

void
attachment_remove (struct attachment *a)
{
  static const char *const files[] = {"state.json", "state.json.new", "helper.log",
                                      "helper.pid", "disk",           "lock"};

  for (size_t i = 0; i < ARRAY_SIZE (files); i++) {
    CLEANUP_FREE char *path = attachment_file (a, files[i]);

    if (path)
      unlink (path);
  }
  rmdir (a->folder);
}

/* ---- the facts ---- */

struct json *
attachment_facts (const struct attachment *a)
{
  struct json *json = json_object_new ();

  if (!json)
    return NULL;
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++)
    json_set_string (json, texts[i].name, *text_of (a, i));
  for (size_t i = 0; i < ARRAY_SIZE (numbers); i++)
    json_set_number (json, numbers[i].name, (double)*number_of (a, i));
  json_set_bool (json, "read_only", a->read_only);
  json_set_string (json, "by", a->way ? a->way->name : NULL);
  return json;
}

static int
write_new (const char *path, const char *text, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  int r;

  if (unlink (path) < 0 && errno != ENOENT)
    return error_set_errno (err, errno, "%s", path);
  fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  r = fd < 0 ? -errno : write_full (fd, text, strlen (text));
  return r < 0 ? error_set_errno (err, -r, "writing %s", path) : 0;
}

int
attachment_save (const struct attachment *a, struct error *err)
{
  CLEANUP_JSON struct json *json = attachment_facts (a);
  CLEANUP_FREE char *text = json ? json_print (json, true) : NULL;
  CLEANUP_FREE char *path = attachment_file (a, "state.json");
  CLEANUP_FREE char *next = attachment_file (a, "state.json.new");

  if (!text || !path || !next)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (write_new (next, text, err) < 0)
    return -1;
  if (rename (next, path) < 0)
    return error_set_errno (err, errno, "writing %s", path);
  return 0;
}

static int
take_facts (const struct json *json, struct attachment *a)
{
  const char *by = json_get_string (json, "by");

  for (size_t i = 0; i < ARRAY_SIZE (texts); i++) {
    const char *text = json_get_string (json, texts[i].name);

    free (*text_of (a, i));
    *text_of (a, i) = text ? strdup (text) : NULL;
    if (text && !*text_of (a, i))
      return -1;
  }
  for (size_t i = 0; i < ARRAY_SIZE (numbers); i++)
    if (json_get_uint64 (json, numbers[i].name, number_of (a, i)) < 0)
      return -1;
  a->way = by ? way_find (by) : NULL;
  return json_get_bool (json, "read_only", &a->read_only) < 0 || !a->way || !a->volume ? -1 : 0;
}

/* Of a folder, without a lock: the facts or NULL. */
static struct json *
read_facts (const char *folder)
{
  CLEANUP_FREE char *path = NULL, *text = NULL;
  size_t size;

  if (asprintf (&path, "%s/state.json", folder) < 0) {
    path = NULL;
    return NULL;
  }
  return read_file (path, STATE_MAX, &text, &size) < 0 ? NULL : json_parse (text, size);
}

int
attachment_load (struct attachment *a, struct error *err)
{
  CLEANUP_JSON struct json *json = read_facts (a->folder);

  if (!json)
    return 0;
  if (take_facts (json, a) < 0)
    return error_set (err, ERROR_CORRUPT,
                      "%s/state.json is damaged, or another version's: detach by hand (umount, "
                      "losetup -d or nbd-client -d) and remove the folder",
                      a->folder);
  return 1;
}

/* ---- by name ---- */

static bool
same_file (const char *a, const char *b)
{
  struct stat one, other;

  if (stat (a, &one) < 0 || stat (b, &other) < 0)
    return false;
  if (S_ISBLK (one.st_mode) && S_ISBLK (other.st_mode))
    return one.st_rdev == other.st_rdev;
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* How well a name fits.  The label is anybody's who may write the disk, so it comes last, and not
 * at all where the name is that of a configuration.
 */
enum fit { FITS_NOT, FITS_LABEL, FITS };

struct sought {
  const char *name, *config_path; /* of the volume in the configuration of that name; NULL: none */
};

/* A mount point whose disk is gone can't be looked at, so names are compared, too. */
static bool
is_place (const char *text, const char *name)
{
  size_t length = text ? strlen (text) : 0;

  if (!text)
    return false;
  if (strncmp (text, name, length) == 0
      && (name[length] == '\0' || strcmp (name + length, "/") == 0))
    return true;
  return same_file (text, name);
}

static enum fit
fit (const struct json *facts, const struct sought *sought)
{
  static const char *const places[] = {"path", "control", "device", "link", "mountpoint"};
  const char *uuid = json_get_string (facts, "volume"), *config = json_get_string (facts, "name");
  const char *label = json_get_string (facts, "label"), *name = sought->name;

  if ((uuid && strcasecmp (uuid, name) == 0) || (config && strcmp (config, name) == 0))
    return FITS;
  for (size_t i = 0; i < ARRAY_SIZE (places); i++)
    if (is_place (json_get_string (facts, places[i]), name))
      return FITS;
  if (sought->config_path)
    return is_place (json_get_string (facts, "path"), sought->config_path) ? FITS : FITS_NOT;
  return label && *label && strcmp (label, name) == 0 ? FITS_LABEL : FITS_NOT;
}

/* The folder of what is called so. */
static int
find_folder (const char *rundir, const struct sought *sought, char **ret_folder, struct error *err)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir (rundir);
  CLEANUP_FREE char *best = NULL;
  enum fit best_fit = FITS_NOT;
  bool several = false;

  for (struct dirent *entry; dir && (entry = readdir (dir));) {
    CLEANUP_FREE char *folder = NULL;
    CLEANUP_JSON struct json *facts = NULL;
    enum fit found;

    if (!text_ends_with (entry->d_name, SUFFIX))
      continue;
    if (asprintf (&folder, "%s/%s", rundir, entry->d_name) < 0) {
      folder = NULL;
      return error_set (err, ERROR_SYSTEM, "out of memory");
    }
    facts = read_facts (folder);
    found = facts ? fit (facts, sought) : FITS_NOT;
    if (found == FITS_NOT || found < best_fit)
      continue;
    several = found == best_fit;
    best_fit = found;
    free (best);
    best = folder;
    folder = NULL;
  }
  if (several)
    return error_set (err, ERROR_USAGE,
                      "several attached volumes are called %s: name one by its device, mount point "
                      "or uuid",
                      sought->name);
  *ret_folder = best;
  best = NULL;
  return 0;
}

int
attachment_find (const char *name, struct attachment *ret, struct error *err)
{
  CLEANUP_ATTACHMENT struct attachment a = ATTACHMENT_INIT;
  CLEANUP_CONFIG struct config config = {0};
  CLEANUP_FREE char *rundir = find_rundir (false);
  struct sought sought = {.name = name};
  struct error ignored = {0}; /* one that is damaged by now must not keep it attached */
  int r;

  if (config_is_meant (name))
    sought.config_path = config_load (name, &config, &ignored) < 0 ? "" : config.path;
  if (rundir && find_folder (rundir, &sought, &a.folder, err) < 0)
    return -1;
  if (!a.folder)
    return error_set (err, ERROR_NOT_FOUND,
                      "nothing called %s is attached, neither a volume nor a device nor a mount "
                      "point",
                      name);
  if (open_folder (&a, false, err) < 0)
    return -1;
  r = attachment_load (&a, err);
  if (r < 0)
    return -1;
  if (r == 0) /* detached while we waited */
    return error_set (err, ERROR_NOT_FOUND, "%s is detached already", name);
  *ret = a;
  a = (struct attachment)ATTACHMENT_INIT;
  return 0;
}
