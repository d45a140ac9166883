/* way-fuse.c owns the attaching by a file of FUSE and a loop device.
 *
 * The file is made by keyfence-disk-file (disk-file.c): its requests wait for a server that is
 * started anew.  Others' will not do.  nbdfuse does not connect again; of qemu-storage-daemon 7.2,
 * two writes at a time overwrite each other's data; and to both, a hole that is punched is a trim,
 * though file systems have the loop device punch holes where they want zeros.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "common/paths.h"
#include "tools/attach/run.h"
#include "tools/attach/way.h"

#define DAEMON "keyfence-disk-file"
#define START_PATIENCE_MS 30000
#define STOP_PATIENCE_MS 10000
#define LOOSE_PATIENCE_MS 10000
#define TOOL_TIMEOUT_MS 30000
#define PAUSE_MS 10
#define LOG_MAX 65536

static void
rest (void)
{
  nanosleep (&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
}

static int
fuse_available (struct error *err)
{
  CLEANUP_FREE char *path = path_disk_file (NULL);

  if (access ("/dev/fuse", R_OK | W_OK) < 0)
    return error_set (err, ERROR_UNAVAILABLE, "/dev/fuse can't be used (%s)",
                      strerrordesc_np (errno));
  if (access ("/dev/loop-control", R_OK | W_OK) < 0)
    return error_set (err, ERROR_UNAVAILABLE, "/dev/loop-control can't be used (%s)",
                      strerrordesc_np (errno));
  if (!path || access (path, X_OK) < 0)
    return error_set (err, ERROR_UNAVAILABLE,
                      "%s is not installed: keyfence was built without FUSE", path ? path : DAEMON);
  return 0;
}

/* ---- the loop device ---- */

/* The loop device of `file`: a new string, NULL when there is none. */
static char *
find_loop (const char *file)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir ("/sys/block");

  for (struct dirent *entry; dir && (entry = readdir (dir));) {
    CLEANUP_FREE char *path = NULL, *backing = NULL;
    char *device;

    if (strncmp (entry->d_name, "loop", 4) != 0)
      continue;
    if (asprintf (&path, "/sys/block/%s/loop/backing_file", entry->d_name) < 0) {
      path = NULL;
      return NULL;
    }
    if (read_file (path, 8192, &backing, NULL) < 0)
      continue;
    backing[strcspn (backing, "\n")] = '\0';
    if (strcmp (backing, file) == 0)
      return asprintf (&device, "/dev/%s", entry->d_name) < 0 ? NULL : device;
  }
  return NULL;
}

/* A discard would be a hole to the file, and so zeros that have to be written. */
static void
forbid_discard (const char *device)
{
  CLEANUP_FREE char *path = NULL;
  CLEANUP_CLOSE int fd = -1;

  if (asprintf (&path, "/sys/block/%s/queue/discard_max_bytes", strrchr (device, '/') + 1) < 0) {
    path = NULL;
    return;
  }
  fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0)
    (void)!write (fd, "0", 1);
}

static int
make_loop (struct attachment *a, const char *file, struct error *err)
{
  CLEANUP_FREE char *losetup = NULL;
  char sector_size[32];
  const char *words[] = {"losetup",
                         "--find",
                         "--show",
                         "--direct-io=on",
                         "--sector-size",
                         sector_size,
                         a->read_only ? "--read-only" : file,
                         a->read_only ? file : NULL,
                         NULL};

  snprintf (sector_size, sizeof sector_size, "%" PRIu64, a->sector_size);
  if (run_find ("losetup", "mount", &losetup, err) < 0
      || run_program (losetup, words, TOOL_TIMEOUT_MS, NULL, err) < 0)
    return -1;
  a->device = find_loop (file);
  if (!a->device)
    return error_set (err, ERROR_SYSTEM, "the loop device of %s is not there", file);
  forbid_discard (a->device);
  return attachment_save (a, err);
}

/* The kernel lets go of the file some time after losetup has ended. */
static int
end_loop (const char *file, struct error *err)
{
  CLEANUP_FREE char *device = find_loop (file), *losetup = NULL;
  uint64_t deadline_ms = clock_ms () + LOOSE_PATIENCE_MS;
  const char *words[] = {"losetup", "--detach", device, NULL};

  if (!device)
    return 0;
  if (run_find ("losetup", "mount", &losetup, err) < 0
      || run_program (losetup, words, TOOL_TIMEOUT_MS, NULL, err) < 0)
    return -1;
  while (clock_ms () < deadline_ms) {
    CLEANUP_FREE char *left = find_loop (file);

    if (!left)
      return 0;
    rest ();
  }
  return error_set (err, ERROR_BUSY, "%s is still in use", device);
}

/* ---- the daemon ---- */

static int
make_file (const char *path, struct error *err)
{
  CLEANUP_CLOSE int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

  return fd < 0 ? error_set_errno (err, errno, "%s", path) : 0;
}

/* What the daemon said, as the reason of an error. */
static int
daemon_failed (const struct attachment *a, struct error *err)
{
  CLEANUP_FREE char *path = attachment_file (a, "helper.log"), *text = NULL;
  const char *message;

  if (!path || read_file (path, LOG_MAX, &text, NULL) < 0)
    text = NULL;
  for (char *p = text; p && *p; p++)
    if (*p == '\n')
      *p = p[1] ? ' ' : '\0';
  message = text && *text ? text : "it said nothing";
  return error_set (err, ERROR_UNAVAILABLE, DAEMON ": %.600s", message);
}

/* The disk is there when the file has its size. */
static int
await_file (const struct attachment *a, const char *file, struct error *err)
{
  uint64_t deadline_ms = clock_ms () + START_PATIENCE_MS;
  struct stat st;

  while (stat (file, &st) < 0 || (uint64_t)st.st_size != a->size_bytes) {
    if (!run_is ((pid_t)a->helper_pid, file))
      return daemon_failed (a, err);
    if (clock_ms () >= deadline_ms)
      return error_set (err, ERROR_UNAVAILABLE, DAEMON " does not make %s within %d seconds", file,
                        START_PATIENCE_MS / 1000);
    rest ();
  }
  return 0;
}

static int
start_daemon (struct attachment *a, const char *file, struct error *err)
{
  CLEANUP_FREE char *path = path_disk_file (NULL);
  CLEANUP_FREE char *log = attachment_file (a, "helper.log");
  CLEANUP_FREE char *pidfile = attachment_file (a, "helper.pid");
  CLEANUP_CLOSE int log_fd = -1;
  char patience[32];
  const char *words[] = {DAEMON,  a->socket,  file,      patience, a->read_only ? "ro" : "rw",
                         pidfile, a->control, a->volume, NULL};
  pid_t pid;

  if (!path || !log || !pidfile)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  snprintf (patience, sizeof patience, "%" PRIu64, a->reconnect_s);
  log_fd = open (log, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (log_fd < 0)
    return error_set_errno (err, errno, "%s", log);
  if (run_start (path, words, log_fd, &pid, err) < 0)
    return -1;
  a->helper_pid = (uint64_t)pid;
  return attachment_save (a, err);
}

/* We may have been killed before its number was recorded: it has written it down itself. */
static void
recall_daemon (struct attachment *a)
{
  CLEANUP_FREE char *path = attachment_file (a, "helper.pid"), *text = NULL;
  struct error err;

  if (a->helper_pid != 0 || !path || read_file (path, 32, &text, NULL) < 0)
    return;
  text[strcspn (text, "\n")] = '\0';
  if (parse_uint (text, 1, INT32_MAX, &a->helper_pid, &err) < 0)
    a->helper_pid = 0;
}

/* ---- the way ---- */

static int
fuse_begin (struct attachment *a, struct error *err)
{
  CLEANUP_FREE char *file = attachment_file (a, "disk");

  if (!file)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (make_file (file, err) < 0 || start_daemon (a, file, err) < 0 || await_file (a, file, err) < 0)
    return -1;
  return make_loop (a, file, err);
}

static bool
fuse_owns (struct attachment *a)
{
  CLEANUP_FREE char *file = attachment_file (a, "disk");
  CLEANUP_FREE char *device = file ? find_loop (file) : NULL;

  return device && a->device && strcmp (device, a->device) == 0;
}

static bool
fuse_works (struct attachment *a)
{
  CLEANUP_FREE char *file = attachment_file (a, "disk");

  recall_daemon (a);
  return file && fuse_owns (a) && run_is ((pid_t)a->helper_pid, file);
}

static int
fuse_stay (struct attachment *a, int quit_fd, struct error *err)
{
  CLEANUP_CLOSE int pidfd = pidfd_open ((pid_t)a->helper_pid, 0);
  struct pollfd fds[] = {{.fd = quit_fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

  if (pidfd < 0)
    return daemon_failed (a, err);
  while (poll (fds, ARRAY_SIZE (fds), -1) < 0 && errno == EINTR)
    ;
  return fds[0].revents ? 0 : daemon_failed (a, err);
}

static void
fuse_cut (struct attachment *a)
{
  CLEANUP_FREE char *file = attachment_file (a, "disk");
  struct error err;

  recall_daemon (a);
  if (file)
    (void)!run_stop ((pid_t)a->helper_pid, file, 0, &err);
}

/* The daemon has unmounted it when it ended well. */
static int
fuse_end (struct attachment *a, struct error *err)
{
  CLEANUP_FREE char *file = attachment_file (a, "disk");

  if (!file)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  recall_daemon (a);
  if (end_loop (file, err) < 0 || run_stop ((pid_t)a->helper_pid, file, STOP_PATIENCE_MS, err) < 0)
    return -1;
  if (umount2 (file, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
    return error_set_errno (err, errno, "unmounting %s", file);
  return 0;
}

const struct way way_fuse = {
    .name = "fuse",
    .available = fuse_available,
    .begin = fuse_begin,
    .owns = fuse_owns,
    .works = fuse_works,
    .stay = fuse_stay,
    .cut = fuse_cut,
    .end = fuse_end,
};
