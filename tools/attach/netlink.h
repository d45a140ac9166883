/* The kernel's NBD client, by netlink: devices that stay when their server goes for a while. */
#ifndef ATTACH_NETLINK_H
#define ATTACH_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct netlink;

struct netlink_disk {
  uint64_t size_bytes, block_bytes;
  uint64_t flags;      /* of the protocol: NBD_FLAG_… */
  uint64_t timeout_s;  /* of one request */
  uint64_t dead_s;     /* how long requests wait for a new connection */
  const char *backend; /* a name for what it is, which sysfs shows */
};

/* ERROR_UNAVAILABLE when this kernel has no NBD client (loaded), or we may not speak to it. */
int netlink_open (struct netlink **ret, struct error *err) MUST_CHECK;
void netlink_free (struct netlink *netlink);
void cleanup_netlink (struct netlink **netlink);
#define CLEANUP_NETLINK CLEANUP (cleanup_netlink)

/* Gives the sockets, whose handshake is over, to device number `index` (-1: any free one).  The
 * kernel keeps them; the caller closes its descriptors.
 */
int netlink_connect (struct netlink *netlink, int index, const struct netlink_disk *disk,
                     const int *fds, size_t count, int *ret_index, struct error *err) MUST_CHECK;

/* Puts sockets in the place of connections that have died; what is too many is left alone. */
int netlink_reconnect (struct netlink *netlink, int index, const struct netlink_disk *disk,
                       const int *fds, size_t count, struct error *err) MUST_CHECK;

int netlink_disconnect (struct netlink *netlink, int index, struct error *err) MUST_CHECK;

/* Becomes readable when the kernel has something to tell; then whether a connection of device
 * `index` has died.
 */
int netlink_events_fd (const struct netlink *netlink);
bool netlink_take_events (struct netlink *netlink, int index);

#endif
