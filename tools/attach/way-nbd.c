/* way-nbd.c owns the attaching by the kernel's NBD client.
 *
 * The device outlives its server: requests wait while there is none, and what was on its way is
 * sent again by a new connection, which the resident process makes.  A request is sent again when
 * it had no answer for timeout_s; the new connection is not made before the server has let go of
 * the old one, so that it never works on the same request twice, in whatever order.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "tools/attach/handshake.h"
#include "tools/attach/netlink.h"
#include "tools/attach/peer.h"
#include "tools/attach/resident.h"
#include "tools/attach/run.h"
#include "tools/attach/way.h"
#include "tools/control.h"
#include "tools/volume-config.h"

#define HANDSHAKE_TIMEOUT_MS 10000
#define NODE_PATIENCE_MS 10000
#define MODPROBE_TIMEOUT_MS 30000
#define PAUSE_MS 10
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 500
#define LOOK_MS 5000 /* whether somebody else has taken the device away */
#define TIMEOUT_LONGEST_S 300

/* The connections of one device; of those that this process has made, in its own copies. */
struct links {
  int fds[CONFIG_CONNECTIONS_MAX];
  size_t count;
  bool unknown; /* the device has connections that another process has made */
};

static struct links links; /* of the one device that this process looks after */

static void
close_links (struct links *closed)
{
  for (size_t i = 0; i < closed->count; i++)
    close (closed->fds[i]);
  closed->count = 0;
}
#define CLEANUP_LINKS CLEANUP (close_links)

static int
nbd_available (struct error *err)
{
  CLEANUP_NETLINK struct netlink *netlink = NULL;
  CLEANUP_FREE char *modprobe = NULL;
  const char *words[] = {"modprobe", "nbd", NULL};
  struct error why = {0};

  if (netlink_open (&netlink, &why) == 0)
    return 0;
  if (run_find ("modprobe", "kmod", &modprobe, &why) < 0
      || run_program (modprobe, words, MODPROBE_TIMEOUT_MS, NULL, &why) < 0)
    return error_set (err, ERROR_UNAVAILABLE, "the kernel has no NBD client (%s)", why.text);
  return netlink_open (&netlink, err);
}

/* ---- the device ---- */

/* What sysfs shows as the device's backend; a new string. */
static char *
backend_of (const struct attachment *a)
{
  char *text;

  return asprintf (&text, "keyfence:%s", a->volume) < 0 ? NULL : text;
}

static bool
has_backend (const char *name, const char *backend)
{
  CLEANUP_FREE char *path = NULL, *text = NULL;

  if (asprintf (&path, "/sys/block/%s/backend", name) < 0) {
    path = NULL;
    return false;
  }
  if (read_file (path, 4096, &text, NULL) < 0)
    return false;
  text[strcspn (text, "\n")] = '\0';
  return strcmp (text, backend) == 0;
}

/* The number of the volume's device, or -1. */
static int
find_index (const struct attachment *a)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir ("/sys/block");
  CLEANUP_FREE char *backend = backend_of (a);

  for (struct dirent *entry; dir && backend && (entry = readdir (dir));) {
    uint64_t index;
    struct error err;

    if (strncmp (entry->d_name, "nbd", 3) == 0
        && parse_uint (entry->d_name + 3, 0, INT32_MAX, &index, &err) == 0
        && has_backend (entry->d_name, backend))
      return (int)index;
  }
  return -1;
}

static int
index_of (const char *device)
{
  uint64_t index;
  struct error err;

  if (!device || parse_uint (device + strlen ("/dev/nbd"), 0, INT32_MAX, &index, &err) < 0)
    return -1;
  return (int)index;
}

static bool
nbd_owns (struct attachment *a)
{
  int index = find_index (a);

  return index >= 0 && index == index_of (a->device);
}

/* udev, or the kernel itself, makes the node. */
static int
await_node (const struct attachment *a, struct error *err)
{
  uint64_t deadline_ms = clock_ms () + NODE_PATIENCE_MS;

  for (;;) {
    CLEANUP_CLOSE int fd = open (a->device, O_RDONLY | O_CLOEXEC);
    uint64_t size_bytes = 0;

    if (fd >= 0 && ioctl (fd, BLKGETSIZE64, &size_bytes) == 0 && size_bytes == a->size_bytes)
      return 0;
    if (clock_ms () >= deadline_ms)
      return error_set (err, ERROR_UNAVAILABLE, "%s does not come, with the size of the disk",
                        a->device);
    nanosleep (&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
  }
}

/* ---- connections ---- */

/* It must still be this volume which is served.  (Who listens at the NBD socket can't be asked: it
 * may be systemd, or a process that has become nbdkit and is gone.)
 */
static int
add_link (const struct attachment *a, struct links *to, struct handshake *ret, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;

  if (handshake (a->socket, HANDSHAKE_TIMEOUT_MS, &fd, ret, err) < 0
      || control_check_volume (a->control, a->volume, CONTROL_TIMEOUT_MS, err) < 0)
    return -1;
  if (ret->size_bytes != a->size_bytes)
    return error_set (err, ERROR_FOREIGN, "the disk at %s has another size than it had", a->socket);
  to->fds[to->count++] = fd;
  fd = -1;
  return 0;
}

static struct netlink_disk
disk_of (const struct attachment *a, const char *backend)
{
  return (struct netlink_disk){.size_bytes = a->size_bytes,
                               .block_bytes = a->sector_size,
                               .timeout_s = a->timeout_s,
                               .dead_s = a->reconnect_s,
                               .backend = backend};
}

static int
nbd_begin (struct attachment *a, struct error *err)
{
  CLEANUP_NETLINK struct netlink *netlink = NULL;
  CLEANUP_FREE char *backend = backend_of (a);
  struct netlink_disk disk = disk_of (a, backend);
  struct handshake greeting = {0};
  int index;

  if (!backend)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (netlink_open (&netlink, err) < 0)
    return -1;
  for (uint64_t i = 0; i < a->connections; i++)
    if (add_link (a, &links, &greeting, err) < 0)
      return -1;
  disk.flags = greeting.flags;
  if (netlink_connect (netlink, index_of (a->device), &disk, links.fds, links.count, &index, err)
      < 0)
    return -1;
  free (a->device);
  if (asprintf (&a->device, "/dev/nbd%d", index) < 0) {
    a->device = NULL;
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  return attachment_save (a, err) < 0 ? -1 : await_node (a, err);
}

/* ---- staying ---- */

static bool
is_shut (int fd)
{
  struct pollfd pfd = {.fd = fd};

  return poll (&pfd, 1, 0) > 0 && (pfd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* Lets go of our copies of dead connections; how many of them the server has not let go of. */
static size_t
drop_dead (void)
{
  size_t kept = 0, held = 0;

  for (size_t i = 0; i < links.count; i++) {
    bool dead = is_shut (links.fds[i]), busy = dead && peer_is_open (links.fds[i]) == 1;

    if (dead && !busy)
      close (links.fds[i]);
    else
      links.fds[kept++] = links.fds[i];
    held += busy;
  }
  links.count = kept;
  return held;
}

/* The server lives, and was too slow for the kernel: a request must not time out for ever.  The
 * record keeps the time that was asked for: somebody else may have its lock now.
 */
static void
be_patient (struct attachment *a)
{
  if (a->timeout_s < TIMEOUT_LONGEST_S)
    a->timeout_s = MIN (a->timeout_s * 2, TIMEOUT_LONGEST_S);
  resident_log (true,
                "%s: the server did not answer a request in time; it is sent again when the server "
                "is done with it, and may take %g s from now on",
                a->device, (double)a->timeout_s);
}

/* New connections for those that have died: 0 when all is well, 1 when it is to be tried again. */
static int
mend (struct netlink *netlink, struct attachment *a, bool *told_slow, struct error *err)
{
  CLEANUP_LINKS struct links fresh = {.count = 0};
  CLEANUP_FREE char *backend = backend_of (a);
  struct handshake greeting;
  struct netlink_disk disk;

  if (drop_dead () > 0) {
    if (!*told_slow)
      be_patient (a);
    *told_slow = true;
    return 1;
  }
  *told_slow = false;
  while (links.count + fresh.count < a->connections)
    if (add_link (a, &fresh, &greeting, err) < 0)
      return err->class == ERROR_FOREIGN ? -1 : 1;
  if (fresh.count == 0)
    return 0;
  disk = disk_of (a, backend);
  if (!backend
      || netlink_reconnect (netlink, index_of (a->device), &disk, fresh.fds, fresh.count, err) < 0)
    return -1;
  if (links.unknown) /* the kernel has taken as many of them as it needed */
    return 0;
  memcpy (links.fds + links.count, fresh.fds, fresh.count * sizeof fresh.fds[0]);
  links.count += fresh.count;
  fresh.count = 0;
  return 0;
}

/* At most one line for an outage of the server, and one for its end. */
static void
tell (const struct attachment *a, int r, bool *told, const struct error *err)
{
  if (r == 0 && *told)
    resident_log (false, "%s: connected to the server again", a->device);
  else if (r > 0 && !*told && *err->text)
    resident_log (true, "%s: the server is gone (%s); requests wait up to %g s for it", a->device,
                  err->text, (double)a->reconnect_s);
  *told = r > 0 && (*told || *err->text);
}

/* At first there may be connections that have died unseen, also some of another process's. */
static int
nbd_stay (struct attachment *a, int quit_fd, struct error *err)
{
  CLEANUP_NETLINK struct netlink *netlink = NULL;
  struct pollfd fds[] = {{.fd = quit_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
  bool told = false, told_slow = false;
  int r = 1, wait_ms = RETRY_MIN_MS;

  if (netlink_open (&netlink, err) < 0)
    return -1;
  links.unknown = links.count == 0;
  fds[1].fd = netlink_events_fd (netlink);
  for (;;) {
    if (r > 0) {
      struct error why = {0};

      r = mend (netlink, a, &told_slow, &why);
      if (r < 0)
        return error_set (err, why.class, "%s", why.text);
      tell (a, r, &told, &why);
      wait_ms = r > 0 ? MIN (wait_ms * 2, RETRY_MAX_MS) : RETRY_MIN_MS;
    }
    if (poll (fds, ARRAY_SIZE (fds), r > 0 ? wait_ms : LOOK_MS) > 0 && fds[0].revents)
      return 0;
    if (netlink_take_events (netlink, index_of (a->device)))
      r = 1;
    if (r == 0 && !nbd_owns (a))
      return error_set (err, ERROR_SYSTEM, "it was disconnected by somebody else");
  }
}

/* ---- the end ---- */

/* Ours alone, found by its backend, is disconnected. */
static int
nbd_end (struct attachment *a, struct error *err)
{
  CLEANUP_NETLINK struct netlink *netlink = NULL;
  uint64_t deadline_ms = clock_ms () + NODE_PATIENCE_MS;
  int index = find_index (a);

  close_links (&links);
  if (index < 0)
    return 0;
  if (netlink_open (&netlink, err) < 0 || netlink_disconnect (netlink, index, err) < 0)
    return -1;
  while (find_index (a) >= 0) {
    if (clock_ms () >= deadline_ms)
      return error_set (err, ERROR_BUSY, "/dev/nbd%d is still in use", index);
    nanosleep (&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
  }
  return 0;
}

static void
nbd_cut (struct attachment *a)
{
  CLEANUP_NETLINK struct netlink *netlink = NULL;
  int index = find_index (a);
  struct error err;

  if (index >= 0 && netlink_open (&netlink, &err) == 0)
    (void)!netlink_disconnect (netlink, index, &err);
}

const struct way way_nbd = {
    .name = "nbd",
    .available = nbd_available,
    .begin = nbd_begin,
    .owns = nbd_owns,
    .works = nbd_owns,
    .stay = nbd_stay,
    .cut = nbd_cut,
    .end = nbd_end,
};
