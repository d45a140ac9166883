/* The place at which a volume's disk is served, and whether a block node of a machine is there. */
#ifndef TOOLS_MACHINES_DISK_H
#define TOOLS_MACHINES_DISK_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

#define DISK_PLACE_MAX 1024

/* Either a Unix socket or a host and port; the other is empty. */
struct disk_place {
  char socket[DISK_PLACE_MAX];
  char host[DISK_PLACE_MAX];
  char port[8];
};

/* From the path of a Unix socket (it begins with "/"), or a URI as the NBD specification has it
 * (nbd+unix:///?socket=PATH, nbd://HOST[:PORT], nbds…); the name of the export is not looked at.
 * ERROR_USAGE.
 */
int disk_place_parse (const char *text, struct disk_place *ret, struct error *err) MUST_CHECK;

/* Whether one of QEMU's block nodes, an object of query-named-block-nodes, is an NBD client of that
 * place.  Sockets are the same by their path, or when both paths lead to the same one; hosts by
 * their name, as it was given to QEMU.
 */
bool disk_place_is_of (const struct disk_place *place, const struct json *node);

#endif
