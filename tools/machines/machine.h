/* One machine that a disk's error has paused, and its way back. */
#ifndef TOOLS_MACHINES_MACHINE_H
#define TOOLS_MACHINES_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "tools/machines/disk.h"

enum machine_result {
  MACHINE_FAILED = 0,    /* the error says why */
  MACHINE_RESUMED,       /* goes on */
  MACHINE_WOULD_RESUME,  /* would, but for dry_run */
  MACHINE_RUNNING,       /* was not paused */
  MACHINE_LEFT,          /* is in a state that no disk's error makes: left as it is */
  MACHINE_OTHER_DISK,    /* paused by a disk's error, but has no disk at the place */
  MACHINE_STOPPED_AGAIN, /* resumed, and a disk's error paused it again at once */
};

/* "resumed", "other_disk" … */
const char *machine_result_name (enum machine_result result);

/* Plain memory: it may pass between processes. */
struct machine_report {
  enum machine_result result;
  char name[64];   /* as QEMU's -name has it; may be empty */
  char status[32]; /* the last that QEMU said; may be empty */
  struct error error;
};

struct machine_wish {
  const struct disk_place *place; /* only machines with a disk there; NULL: all */
  bool dry_run;
  uint64_t timeout_ms; /* for all of it */
};

/* Only a machine whose status is "io-error" is resumed: QEMU gives it to those that a disk paused,
 * and "paused" to those that somebody did.
 */
void machine_resume (const char *socket_path, const struct machine_wish *wish,
                     struct machine_report *ret);

#endif
