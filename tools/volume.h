/* An open volume, as the subcommands name it by its path. */
#ifndef TOOLS_VOLUME_H
#define TOOLS_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/header.h"

struct volume {
  int fd;
  const char *path; /* as the user wrote it */
  bool block_device;
  uint64_t file_bytes;   /* of the whole file or device */
  struct header *header; /* NULL until volume_load */
};

#define VOLUME_INIT \
  {                 \
    .fd = -1        \
  }

/* Opens an existing regular file or block device, for writing too when `exclusive`: then with the
 * lock, so ERROR_BUSY names a process that serves it.  ERROR_NOT_FOUND when there is none.
 */
int
volume_open (const char *path, bool exclusive, struct volume *ret, struct error *err) MUST_CHECK;

/* Reads its header and checks the profile; see header_load. */
int volume_load (struct volume *volume, bool want_token, struct error *err) MUST_CHECK;

/* The same for what may also be a header backup. */
int volume_load_copy (struct volume *volume, struct error *err) MUST_CHECK;

void volume_clear (struct volume *volume);
#define CLEANUP_VOLUME CLEANUP (volume_clear)

/* Whether the path still names what was opened and locked: to be asked right before the path is
 * used to change it.  ERROR_BUSY when something else has taken its place.
 */
int volume_check_same (const struct volume *volume, struct error *err) MUST_CHECK;

/* Fills in block_device and file_bytes from fd. */
int volume_measure (struct volume *volume, struct error *err) MUST_CHECK;

/* The size of the disk that clients see: 0 for a header backup. */
uint64_t volume_data_bytes (const struct volume *volume);

#endif
