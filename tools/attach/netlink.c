/* netlink.c owns the use of libnl: the kernel's generic netlink family "nbd". */
#include "tools/attach/netlink.h"

#include <errno.h>
#include <string.h>

#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

/* The commands and events of this version of the family. */
#define VERSION NBD_GENL_VERSION

struct netlink {
  struct nl_sock *requests, *events;
  int family;
  /* Of the request under way. */
  bool done;
  int errnum, index;
  /* Of the events that are being read. */
  int watched;
  bool died;
};

/* ---- requests ---- */

static int
on_reply (struct nl_msg *msg, void *opaque)
{
  struct netlink *netlink = opaque;
  struct nlattr *attributes[NBD_ATTR_MAX + 1];

  if (genlmsg_parse (nlmsg_hdr (msg), 0, attributes, NBD_ATTR_MAX, NULL) == 0
      && attributes[NBD_ATTR_INDEX])
    netlink->index = (int)nla_get_u32 (attributes[NBD_ATTR_INDEX]);
  return NL_OK;
}

static int
on_ack (struct nl_msg *msg, void *opaque)
{
  struct netlink *netlink = opaque;

  (void)msg;
  netlink->done = true;
  return NL_STOP;
}

static int
on_error (struct sockaddr_nl *from, struct nlmsgerr *answer, void *opaque)
{
  struct netlink *netlink = opaque;

  (void)from;
  netlink->errnum = -answer->error;
  netlink->done = true;
  return NL_STOP;
}

/* Sends it (and frees it) and waits for the kernel's answer.  0 or a negative errno. */
static int
ask (struct netlink *netlink, struct nl_msg *msg)
{
  struct nl_cb *cb = nl_socket_get_cb (netlink->requests);
  int r = nl_send_auto (netlink->requests, msg);

  nlmsg_free (msg);
  netlink->done = false;
  netlink->errnum = 0;
  netlink->index = -1;
  while (r >= 0 && !netlink->done)
    r = nl_recvmsgs (netlink->requests, cb);
  nl_cb_put (cb);
  return netlink->done ? -netlink->errnum : -EIO;
}

static struct nl_msg *
message (struct netlink *netlink, uint8_t command)
{
  struct nl_msg *msg = nlmsg_alloc ();

  if (msg
      && !genlmsg_put (msg, NL_AUTO_PORT, NL_AUTO_SEQ, netlink->family, 0, NLM_F_ACK, command,
                       VERSION)) {
    nlmsg_free (msg);
    msg = NULL;
  }
  return msg;
}

static int
put_sockets (struct nl_msg *msg, const int *fds, size_t count)
{
  struct nlattr *list = nla_nest_start (msg, NBD_ATTR_SOCKETS);

  if (!list)
    return -1;
  for (size_t i = 0; i < count; i++) {
    struct nlattr *item = nla_nest_start (msg, NBD_SOCK_ITEM);

    if (!item || nla_put_u32 (msg, NBD_SOCK_FD, (uint32_t)fds[i]) < 0)
      return -1;
    nla_nest_end (msg, item);
  }
  return nla_nest_end (msg, list);
}

/* What connecting and reconnecting have in common. */
static int
put_disk (struct nl_msg *msg, int index, const struct netlink_disk *disk, const int *fds,
          size_t count)
{
  if (index >= 0 && nla_put_u32 (msg, NBD_ATTR_INDEX, (uint32_t)index) < 0)
    return -1;
  if (nla_put_u64 (msg, NBD_ATTR_TIMEOUT, disk->timeout_s) < 0
      || nla_put_u64 (msg, NBD_ATTR_DEAD_CONN_TIMEOUT, disk->dead_s) < 0
      || nla_put_string (msg, NBD_ATTR_BACKEND_IDENTIFIER, disk->backend) < 0)
    return -1;
  return put_sockets (msg, fds, count);
}

int
netlink_connect (struct netlink *netlink, int index, const struct netlink_disk *disk,
                 const int *fds, size_t count, int *ret_index, struct error *err)
{
  struct nl_msg *msg = message (netlink, NBD_CMD_CONNECT);
  int r;

  if (!msg || nla_put_u64 (msg, NBD_ATTR_SIZE_BYTES, disk->size_bytes) < 0
      || nla_put_u64 (msg, NBD_ATTR_BLOCK_SIZE_BYTES, disk->block_bytes) < 0
      || nla_put_u64 (msg, NBD_ATTR_SERVER_FLAGS, disk->flags) < 0
      || put_disk (msg, index, disk, fds, count) < 0) {
    nlmsg_free (msg);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  r = ask (netlink, msg);
  if (r == -EBUSY && index >= 0)
    return error_set (err, ERROR_BUSY, "/dev/nbd%d is in use", index);
  if (r < 0)
    return error_set_errno (err, -r, "the kernel's NBD client takes no device");
  *ret_index = netlink->index >= 0 ? netlink->index : index;
  return 0;
}

int
netlink_reconnect (struct netlink *netlink, int index, const struct netlink_disk *disk,
                   const int *fds, size_t count, struct error *err)
{
  struct nl_msg *msg = message (netlink, NBD_CMD_RECONFIGURE);
  int r;

  if (!msg || put_disk (msg, index, disk, fds, count) < 0) {
    nlmsg_free (msg);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  r = ask (netlink, msg);
  return r < 0 ? error_set_errno (err, -r, "/dev/nbd%d takes no new connection", index) : 0;
}

int
netlink_disconnect (struct netlink *netlink, int index, struct error *err)
{
  struct nl_msg *msg = message (netlink, NBD_CMD_DISCONNECT);
  int r;

  if (!msg || nla_put_u32 (msg, NBD_ATTR_INDEX, (uint32_t)index) < 0) {
    nlmsg_free (msg);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  r = ask (netlink, msg);
  return r < 0 ? error_set_errno (err, -r, "disconnecting /dev/nbd%d", index) : 0;
}

/* ---- events ---- */

static int
on_event (struct nl_msg *msg, void *opaque)
{
  struct netlink *netlink = opaque;
  struct nlattr *attributes[NBD_ATTR_MAX + 1];

  if (genlmsg_hdr (nlmsg_hdr (msg))->cmd == NBD_CMD_LINK_DEAD
      && genlmsg_parse (nlmsg_hdr (msg), 0, attributes, NBD_ATTR_MAX, NULL) == 0
      && attributes[NBD_ATTR_INDEX]
      && (int)nla_get_u32 (attributes[NBD_ATTR_INDEX]) == netlink->watched)
    netlink->died = true;
  return NL_OK;
}

int
netlink_events_fd (const struct netlink *netlink)
{
  return nl_socket_get_fd (netlink->events);
}

/* Events that were lost for want of room may have been ours. */
bool
netlink_take_events (struct netlink *netlink, int index)
{
  int r;

  netlink->watched = index;
  netlink->died = false;
  while ((r = nl_recvmsgs_default (netlink->events)) >= 0)
    ;
  return netlink->died || r != -NLE_AGAIN;
}

/* ---- opening ---- */

void
netlink_free (struct netlink *netlink)
{
  if (!netlink)
    return;
  nl_socket_free (netlink->requests);
  nl_socket_free (netlink->events);
  free (netlink);
}

void
cleanup_netlink (struct netlink **netlink)
{
  netlink_free (*netlink);
}

static int
open_events (struct netlink *netlink, struct error *err)
{
  int group =
      genl_ctrl_resolve_grp (netlink->requests, NBD_GENL_FAMILY_NAME, NBD_GENL_MCAST_GROUP_NAME);

  nl_socket_disable_seq_check (netlink->events);
  if (group < 0 || genl_connect (netlink->events) < 0
      || nl_socket_add_membership (netlink->events, group) < 0
      || nl_socket_set_nonblocking (netlink->events) < 0
      || nl_socket_modify_cb (netlink->events, NL_CB_VALID, NL_CB_CUSTOM, on_event, netlink) < 0)
    return error_set (err, ERROR_UNAVAILABLE, "the kernel's NBD client tells no events");
  return 0;
}

int
netlink_open (struct netlink **ret, struct error *err)
{
  CLEANUP_NETLINK struct netlink *netlink = calloc (1, sizeof *netlink);

  if (!netlink || !(netlink->requests = nl_socket_alloc ())
      || !(netlink->events = nl_socket_alloc ()))
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (genl_connect (netlink->requests) < 0
      || (netlink->family = genl_ctrl_resolve (netlink->requests, NBD_GENL_FAMILY_NAME)) < 0)
    return error_set (err, ERROR_UNAVAILABLE, "the kernel has no NBD client (modprobe nbd)");
  if (nl_socket_modify_cb (netlink->requests, NL_CB_VALID, NL_CB_CUSTOM, on_reply, netlink) < 0
      || nl_socket_modify_cb (netlink->requests, NL_CB_ACK, NL_CB_CUSTOM, on_ack, netlink) < 0
      || nl_socket_modify_err_cb (netlink->requests, NL_CB_CUSTOM, on_error, netlink) < 0)
    return error_set (err, ERROR_SYSTEM, "libnl takes no callbacks");
  if (open_events (netlink, err) < 0)
    return -1;
  *ret = netlink;
  netlink = NULL;
  return 0;
}
