/* The file or block device that create makes a volume of, and its undoing: unless target_keep was
 * called, target_clear leaves no half-made volume (a file that we made goes, one that was there is
 * emptied, the start of a device is overwritten), and so does a signal that ends the process.
 */
#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "tools/volume.h"

struct target {
  struct volume volume; /* open and locked */
  bool created;         /* the file is ours */
  bool touched;         /* what it held before is gone */
};

#define TARGET_INIT       \
  {                       \
    .volume = VOLUME_INIT \
  }
#define CLEANUP_TARGET CLEANUP (target_clear)

/* Makes the file `path`, or opens what is there: a file only with `force`, a block device that is
 * in use never, one that holds something only with `force`.  Nothing is changed yet.
 */
int target_open (const char *path, bool force, struct target *ret, struct error *err) MUST_CHECK;

/* Gives a file its size, `file_bytes`, all zeros; with `preallocate` all of it on the disk, by
 * writing zeros where the file system can't do it otherwise.
 */
int target_resize (struct target *target, uint64_t file_bytes, bool preallocate, struct error *err)
    MUST_CHECK;

/* It is whole and durable: stays. */
int target_keep (struct target *target, struct error *err) MUST_CHECK;

void target_clear (struct target *target);

#endif
