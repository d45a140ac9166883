/* The attaching and detaching of a volume, step by step, with everything undone that was done when
 * a step fails.
 */
#ifndef ATTACH_ATTACH_H
#define ATTACH_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "tools/attach/attachment.h"

/* Strings belong to others and must stay. */
struct attach_plan {
  const char *volume, *target; /* as the user named them */
  const char *name;            /* of its configuration file; NULL: none */
  const char *by;              /* a way's name; NULL: the first that works */
  const char *options;         /* of mount(8); NULL: none */
  const char *socket;          /* the server's, for NBD; NULL: where keyfence serve puts it */
  uint64_t connections;
  uint64_t timeout_s; /* 0: by itself */
  uint64_t reconnect_s;
};

/* Attaches it, or takes over what another process that is gone has attached in the same way; this
 * process is the resident one then.  ERROR_BUSY when it is attached; ERROR_DENIED when a file
 * system that is to be mounted is fenced.  *ret_fenced: the device is there, but refuses I/O.
 */
int attach_begin (const struct attach_plan *plan, struct attachment *ret, bool *ret_fenced,
                  struct error *err) MUST_CHECK;

/* Unmounts, syncs and releases it, removes the record and ends the resident process.  ERROR_BUSY
 * names who uses it, and then nothing was changed.  With `force` I/O fails from now on, and users
 * are left with a file system without a disk.
 */
int attach_end (struct attachment *a, bool force, struct error *err) MUST_CHECK;

#endif
