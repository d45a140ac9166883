/* File systems on an attached disk: mounted, unmounted, and who is in the way of the latter. */
#ifndef ATTACH_MOUNTS_H
#define ATTACH_MOUNTS_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Whether something is mounted at this very (real) path, and whether it is `device` (NULL: any). */
bool mounts_at (const char *path, const char *device);

/* Mounts the file system that is on `device`.  ERROR_FOREIGN when there is none. */
int mounts_add (const char *device, const char *path, const char *options, bool read_only,
                struct error *err) MUST_CHECK;

/* Unmounts it: ERROR_BUSY names who uses it, and it stays; with `lazily` it goes out of sight then,
 * and ends with its last user.
 */
int mounts_remove (const char *path, bool lazily, struct error *err) MUST_CHECK;

/* Nobody uses the device: ERROR_BUSY names the mount point, the device on top of it or the process.
 */
int mounts_check_unused (const char *device, struct error *err) MUST_CHECK;

#endif
