/* The ways in which a served volume becomes a block device. */
#ifndef ATTACH_WAY_H
#define ATTACH_WAY_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "tools/attach/attachment.h"

struct way {
  const char *name;

  /* 0, or ERROR_UNAVAILABLE that says what is missing for it on this host. */
  int (*available) (struct error *err);

  /* Makes the device and fills in a->device and what else there is to be recorded, saving the
   * record at every step: `end` must find all of it when we are killed between two.
   */
  int (*begin) (struct attachment *a, struct error *err);

  /* Whether a->device is there and (still) this volume's; and whether it works, too. */
  bool (*owns) (struct attachment *a);
  bool (*works) (struct attachment *a);

  /* Looks after it until quit_fd can be read (0), or the device is broken (-1). */
  int (*stay) (struct attachment *a, int quit_fd, struct error *err);

  /* Requests fail from now on, those that wait for the server, too. */
  void (*cut) (struct attachment *a);

  /* Takes the device away, whose users are gone; also one that was never finished or is broken. */
  int (*end) (struct attachment *a, struct error *err);
};

/* Ends in NULL; the order is that in which they are tried. */
extern const struct way *const ways[];
const struct way *way_find (const char *name);

/* The first that works here: ERROR_UNAVAILABLE says what each lacks. */
int way_choose (const struct way **ret_way, struct error *err) MUST_CHECK;

extern const struct way way_fuse, way_nbd;

#endif
