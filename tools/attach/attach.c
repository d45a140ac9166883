/* attach.c owns the order of the steps, there and back. */
#include "tools/attach/attach.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/parse.h"
#include "common/paths.h"
#include "tools/attach/mounts.h"
#include "tools/attach/place.h"
#include "tools/attach/udev.h"
#include "tools/attach/way.h"
#include "tools/control.h"
#include "tools/print.h"
#include "tools/volume.h"

/* Long enough for a slow disk, short enough for who waits for a request that a dead server took. */
#define TIMEOUT_DEFAULT_S 5
/* A server that holds requests back while fenced must not be taken for a dead one. */
#define TIMEOUT_BEYOND_STALL_S 15
#define RESIDENT_WAIT_MS 10000

/* ---- what is to be attached ---- */

static int
copy (const char *text, char **ret, struct error *err)
{
  free (*ret);
  *ret = text ? strdup (text) : NULL;
  return text && !*ret ? error_set (err, ERROR_SYSTEM, "out of memory") : 0;
}

static uint64_t
choose_timeout_s (const struct attach_plan *plan, const struct json *status)
{
  const struct json *parameters = json_get (status, "parameters");
  const char *on_fence = json_get_string (parameters, "on_fence");
  double stall_s = 0;

  if (plan->timeout_s != 0)
    return plan->timeout_s;
  if (on_fence && strcmp (on_fence, "stall") == 0
      && json_get_number (parameters, "stall_limit_s", &stall_s) == 0)
    return MAX ((uint64_t)stall_s + TIMEOUT_BEYOND_STALL_S, TIMEOUT_DEFAULT_S);
  return TIMEOUT_DEFAULT_S;
}

/* The unit of encryption, from the header: smaller writes would be read, changed and written back.
 */
static int
read_sector_size (const char *path, uint64_t *ret_bytes, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;

  if (volume_open (path, false, &volume, err) < 0 || volume_load (&volume, false, err) < 0)
    return -1;
  *ret_bytes = header_info (volume.header)->sector_size;
  return 0;
}

/* The NBD socket of the server. */
static int
find_socket (const struct attach_plan *plan, const char *uuid, char **ret_socket, struct error *err)
{
  CLEANUP_FREE char *usual = path_socket (uuid, "nbd", false), *real = NULL;
  const char *path = plan->socket ? plan->socket : usual;
  struct stat st;

  if (!path || stat (path, &st) < 0 || !S_ISSOCK (st.st_mode))
    return error_set (
        err, plan->socket ? ERROR_USAGE : ERROR_NOT_FOUND,
        "%s is no socket: the volume's NBD server must listen at a Unix socket; where "
        "it is not keyfence serve's default, name it with --socket",
        path ? path : "UUID.nbd");
  real = realpath (path, NULL);
  if (!real)
    return error_set_errno (err, errno, "%s", path);
  free (*ret_socket);
  *ret_socket = real;
  real = NULL;
  return 0;
}

static int
take_status (const struct attach_plan *plan, const struct json *status, struct attachment *a,
             struct error *err)
{
  const char *path = json_get_string (status, "path");
  const char *uuid = json_get_string (status, "volume");

  /* The uuid becomes part of paths. */
  if (!path || !uuid || !is_uuid (uuid)
      || json_get_uint64 (status, "size_bytes", &a->size_bytes) < 0
      || json_get_bool (status, "read_only", &a->read_only) < 0)
    return error_set (
        err, ERROR_UNAVAILABLE,
        "the server's status lacks its uuid, path, size or mode: are both of the same "
        "version?");
  a->connections = plan->connections;
  a->timeout_s = choose_timeout_s (plan, status);
  a->reconnect_s = plan->reconnect_s;
  if (read_sector_size (path, &a->sector_size, err) < 0 || copy (path, &a->path, err) < 0
      || copy (uuid, &a->volume, err) < 0 || copy (plan->name, &a->name, err) < 0
      || copy (json_get_string (status, "label"), &a->label, err) < 0
      || copy (plan->options, &a->options, err) < 0)
    return -1;
  return find_socket (plan, a->volume, &a->socket, err);
}

/* /dev/nbd5 is a device of the kernel's own, which is taken as it is. */
static bool
names_nbd (const char *target)
{
  static const char prefix[] = "/dev/nbd";
  size_t digits;

  if (strncmp (target, prefix, sizeof prefix - 1) != 0)
    return false;
  digits = strspn (target + sizeof prefix - 1, "0123456789");
  return digits > 0 && digits <= 5 && target[sizeof prefix - 1 + digits] == '\0';
}

/* A folder to mount on, a device, or a name that a device is to get. */
static int
take_target (const struct attach_plan *plan, struct attachment *a, struct error *err)
{
  struct stat st;

  if (names_nbd (plan->target)) {
    if (strcmp (a->way->name, "nbd") != 0)
      return error_set (err, ERROR_USAGE, "%s goes with --by nbd only", plan->target);
    return copy (plan->target, &a->device, err);
  }
  if (stat (plan->target, &st) == 0 && S_ISDIR (st.st_mode)) {
    free (a->mountpoint);
    a->mountpoint = NULL;
    return place_folder (plan->target, &a->mountpoint, err);
  }
  if (plan->options)
    return error_set (err, ERROR_USAGE, "%s is no folder: --options are for what is mounted",
                      plan->target);
  free (a->link);
  a->link = NULL;
  return place_name (plan->target, &a->link, err);
}

static int
choose_way (const struct attach_plan *plan, struct attachment *a, struct error *err)
{
  if (!plan->by)
    return way_choose (&a->way, err);
  a->way = way_find (plan->by);
  if (!a->way)
    return error_set (err, ERROR_UNAVAILABLE,
                      "--by %s: this program was built without what it needs", plan->by);
  return a->way->available (err) < 0 ? error_prefix (err, "--by %s", plan->by) : 0;
}

/* ---- release ---- */

/* What is in the page cache goes to the server: a negative errno when it does not take it.  Then
 * the flush; a fenced volume refuses that, too, but has done it for itself when it was fenced.
 */
static int
write_back (const char *device, int *ret_flush)
{
  CLEANUP_CLOSE int fd = open (device, O_RDONLY | O_CLOEXEC);
  const unsigned all =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

  if (fd < 0 || sync_file_range (fd, 0, 0, all) < 0)
    return -errno;
  *ret_flush = fsync (fd) < 0 ? -errno : 0;
  return 0;
}

static int
flush (struct attachment *a, bool give_up, struct error *err)
{
  int flushed = 0, r = a->read_only ? 0 : write_back (a->device, &flushed);

  if (r < 0 && !give_up)
    return error_set_errno (err, -r,
                            "%s holds writes that the volume does not take now (keyfence status "
                            "says why); detach it again later, or --force to give them up",
                            a->device);
  if (r < 0)
    print_warning ("what was written to %s last and not synced is lost (%s)", a->device,
                   strerrordesc_np (-r));
  else if (flushed < 0)
    print_warning ("%s: the last flush was refused (%s); what was synced before is durable",
                   a->device, strerrordesc_np (-flushed));
  return 0;
}

/* Everything but the record. */
static int
release (struct attachment *a, bool force, struct error *err)
{
  bool owned = a->device && a->way->owns (a), mounted;

  mounted = owned && a->mountpoint && mounts_at (a->mountpoint, a->device);
  if (force)
    a->way->cut (a);
  if (mounted && mounts_remove (a->mountpoint, force, err) < 0)
    return -1;
  if (owned && !force
      && (mounts_check_unused (a->device, err) < 0
          || (a->way->works (a) && flush (a, mounted, err) < 0)))
    return -1;
  if (a->way->end (a, err) < 0)
    return -1;
  if (a->link && a->device) {
    place_unlink (a->link, a->device);
    udev_unname (a->device);
  }
  return 0;
}

/* ---- attaching ---- */

static bool
same (const char *a, const char *b)
{
  return a && b ? strcmp (a, b) == 0 : a == b;
}

/* The one that is there was made by a process that is gone. */
static bool
is_wanted (const struct attachment *found, const struct attachment *wanted)
{
  return found->way == wanted->way && same (found->link, wanted->link)
         && same (found->mountpoint, wanted->mountpoint)
         && (!wanted->device || same (found->device, wanted->device));
}

/* What a crash has left is taken over (1) or cleared away (0). */
static int
settle_found (struct attachment *found, struct attachment *wanted, struct error *err)
{
  CLEANUP_FREE char *where = attachment_where (found);
  pid_t resident = attachment_resident (found);

  if (resident != 0)
    return error_set (
        err, ERROR_BUSY,
        "the volume is attached already, as %s (process %jd looks after it): keyfence "
        "detach comes first",
        where, (intmax_t)resident);
  if (found->way->works (found)) {
    if (!is_wanted (found, wanted))
      return error_set (err, ERROR_BUSY,
                        "the volume is attached already, as %s (by %s, and the process that looked "
                        "after it is gone): attach it there again, or detach it first",
                        where, found->way->name);
    return copy (found->device, &wanted->device, err) < 0 ? -1 : 1;
  }
  if (release (found, false, err) < 0)
    return error_prefix (err, "what a crash has left of %s", where);
  return 0;
}

/* Takes the folder and the lock over from one record into another. */
static void
move_folder (struct attachment *from, struct attachment *to)
{
  to->folder = from->folder;
  to->lock_fd = from->lock_fd;
  from->folder = NULL;
  from->lock_fd = -1;
}

static int
open_record (struct attachment *wanted, bool *ret_adopted, struct error *err)
{
  CLEANUP_ATTACHMENT struct attachment found = ATTACHMENT_INIT;
  int r;

  if (attachment_open (wanted->volume, &found, err) < 0)
    return -1;
  r = attachment_load (&found, err);
  if (r > 0)
    r = settle_found (&found, wanted, err);
  if (r > 0)
    wanted->helper_pid = found.helper_pid;
  if (r >= 0) {
    move_folder (&found, wanted);
    *ret_adopted = r > 0;
  }
  return r < 0 ? -1 : 0;
}

static int
check_mountpoint (const struct attachment *a, struct error *err)
{
  if (a->mountpoint && mounts_at (a->mountpoint, NULL))
    return error_set (err, ERROR_BUSY, "something is mounted at %s already", a->mountpoint);
  return 0;
}

/* The steps that make it, each of which finds its work done when it was taken over. */
static int
make (struct attachment *a, bool adopted, struct error *err)
{
  if (!adopted && check_mountpoint (a, err) < 0)
    return -1;
  if (attachment_save (a, err) < 0 || (!adopted && a->way->begin (a, err) < 0))
    return -1;
  if (a->link) {
    if (place_link (a->link, a->device, err) < 0)
      return -1;
    udev_name (a->device, a->link);
  }
  if (a->mountpoint && !mounts_at (a->mountpoint, a->device)
      && (check_mountpoint (a, err) < 0
          || mounts_add (a->device, a->mountpoint, a->options, a->read_only, err) < 0))
    return -1;
  return attachment_stay (a, err);
}

static int
check_state (const struct json *status, const struct attachment *a, bool *ret_fenced,
             struct error *err)
{
  const char *state = json_get_string (status, "state");
  const char *detail = json_get_string (status, "detail");

  *ret_fenced = state && strcmp (state, "fenced") == 0;
  if (*ret_fenced && a->mountpoint)
    return error_set (err, ERROR_DENIED,
                      "the volume is fenced, so what is on it can't be mounted: %s",
                      detail && *detail ? detail : "see keyfence status");
  return 0;
}

/* The undoing of what could not be finished keeps its own troubles to itself. */
static void
undo (struct attachment *a)
{
  struct error err = {0};

  if (release (a, false, &err) == 0 || release (a, true, &err) == 0)
    attachment_remove (a);
  else
    print_warning ("undoing it: %s", err.text);
}

int
attach_begin (const struct attach_plan *plan, struct attachment *ret, bool *ret_fenced,
              struct error *err)
{
  CLEANUP_ATTACHMENT struct attachment a = ATTACHMENT_INIT;
  CLEANUP_FREE char *control = NULL;
  CLEANUP_JSON struct json *status = NULL;
  bool adopted = false;

  if (choose_way (plan, &a, err) < 0 || take_target (plan, &a, err) < 0
      || control_find (plan->volume, &control, err) < 0
      || control_ask (control, "status", &status, err) < 0
      || take_status (plan, status, &a, err) < 0)
    return -1;
  a.control = realpath (control, NULL);
  /* All paths are absolute now; where we were started is not kept busy. */
  if (chdir ("/") < 0)
    return error_set_errno (err, errno, "going to /");
  if (open_record (&a, &adopted, err) < 0)
    return -1;
  if ((!adopted && check_state (status, &a, ret_fenced, err) < 0) || make (&a, adopted, err) < 0) {
    if (adopted)
      return -1;
    undo (&a);
    return -1;
  }
  attachment_settle (&a);
  *ret = a;
  a = (struct attachment)ATTACHMENT_INIT;
  return 0;
}

/* ---- detaching ---- */

/* It finds no record any more, and ends. */
static void
end_resident (struct attachment *a)
{
  pid_t pid = attachment_resident (a);
  CLEANUP_CLOSE int pidfd = pid > 0 && pid != getpid () ? pidfd_open (pid, 0) : -1;
  struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

  attachment_settle (a);
  if (pidfd < 0 || attachment_resident (a) != pid)
    return;
  pidfd_send_signal (pidfd, SIGTERM, NULL, 0);
  (void)!poll (&pfd, 1, RESIDENT_WAIT_MS);
}

int
attach_end (struct attachment *a, bool force, struct error *err)
{
  if (release (a, force, err) < 0)
    return -1;
  attachment_remove (a);
  end_resident (a);
  return 0;
}
