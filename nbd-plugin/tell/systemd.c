/* systemd.c owns what the service manager is told, by sd_notify(3)'s protocol: datagrams to the
 * socket that NOTIFY_SOCKET names.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/unix-socket.h"
#include "nbd-plugin/tell/teller.h"

#define SEND_S 1 /* what it gets to make room in its queue */

struct systemd {
  int fd;
  struct sockaddr_un address;
  socklen_t address_size;
  bool ready;   /* READY=1 has been said */
  bool failing; /* and that was told */
};

static void
send_text (struct lane *lane, const char *text)
{
  struct systemd *systemd = lane->self;
  bool failed = sendto (systemd->fd, text, strlen (text), MSG_NOSIGNAL,
                        (struct sockaddr *)&systemd->address, systemd->address_size)
                < 0;

  if (failed && !systemd->failing)
    teller_log (lane->teller, true, "the service manager can't be told the state: %s",
                strerrordesc_np (errno));
  systemd->failing = failed;
}

static void
systemd_deliver (struct lane *lane, const struct record *record)
{
  struct systemd *systemd = lane->self;
  const struct tell_change *c = &record->change;
  char text[1024];

  snprintf (text, sizeof text, "%sSTATUS=%s: %s%s%s", systemd->ready ? "" : "READY=1\n", c->state,
            c->reason, c->detail[0] ? ": " : "", c->detail);
  systemd->ready = true;
  send_text (lane, text);
}

static void
systemd_finish (struct lane *lane)
{
  send_text (lane, "STOPPING=1\nSTATUS=stopping");
}

static int
set_address (struct systemd *systemd, const char *name, struct error *err)
{
  if (unix_socket_notify_address (name, &systemd->address, &systemd->address_size) == 0)
    return 0;
  return error_set (err, ERROR_USAGE,
                    "NOTIFY_SOCKET=%s is neither the path of a socket nor @ and a name", name);
}

static void
systemd_close (void *self)
{
  struct systemd *systemd = self;

  if (systemd && systemd->fd >= 0)
    close (systemd->fd);
  free (systemd);
}

/* It may wait a little, since it has a lane of its own, but not for ever. */
static int
open_socket (struct systemd *systemd, struct error *err)
{
  const struct timeval limit = {.tv_sec = SEND_S};

  systemd->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (systemd->fd < 0
      || setsockopt (systemd->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
    return error_set_errno (err, errno, "a socket for the service manager");
  return 0;
}

/* The variable goes, so that no child speaks to the service manager in our name. */
static int
systemd_open (const struct tell_params *params, void **ret_self, struct error *err)
{
  const char *variable = getenv ("NOTIFY_SOCKET");
  bool wanted = variable && variable[0];
  CLEANUP_FREE char *name = wanted ? strdup (variable) : NULL;
  struct systemd *systemd;

  (void)params;
  unsetenv ("NOTIFY_SOCKET");
  if (!wanted)
    return 0;
  systemd = calloc (1, sizeof *systemd);
  if (!systemd || !name) {
    free (systemd);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  systemd->fd = -1;
  if (set_address (systemd, name, err) < 0 || open_socket (systemd, err) < 0) {
    systemd_close (systemd);
    return -1;
  }
  *ret_self = systemd;
  return 0;
}

const struct lane_work work_systemd = {
    .name = "systemd",
    .kinds = RECORD_BIT (RECORD_CHANGE),
    .open = systemd_open,
    .deliver = systemd_deliver,
    .finish = systemd_finish,
    .close = systemd_close,
};
