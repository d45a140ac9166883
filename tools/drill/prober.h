/* The client that a drill plays: a thread that reads one block after another of a sample of the
 * disk, every PROBE_EVERY_MS, and writes into a scratch range where it was given one; what was
 * answered, and when; and whether the data are the same after the fence as before.
 */
#ifndef DRILL_PROBER_H
#define DRILL_PROBER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "tools/drill/figures.h"

#define PROBE_EVERY_MS 100
#define PROBE_BLOCKS_MAX 64   /* in the sample */
#define PROBE_SCRATCH_MAX 256 /* blocks of the scratch range that are used */

struct prober;

struct prober_params {
  const char *uri;
  uint64_t scratch_offset_bytes, scratch_bytes; /* multiples of NBD_BLOCK_BYTES; 0: no writes */
  uint64_t start_ms;                            /* the drill's, on clock_ms () */
};

/* What a block that is read says about the data. */
enum prober_mode {
  PROBER_BEFORE, /* it is what must be there afterwards, too */
  PROBER_DURING, /* nothing */
  PROBER_AFTER,  /* it is compared */
};

struct prober_data {
  unsigned sampled, same, changed;
  unsigned written_before; /* of the sample, by others before the fence: not compared */
  unsigned scratch_blocks, scratch_wrong;
  uint64_t scratch_writes;
};

/* Connects, reads the whole sample once, and begins. */
int prober_start (const struct prober_params *params, struct prober **ret, struct error *err)
    MUST_CHECK;

uint64_t prober_size_bytes (const struct prober *prober);
bool prober_read_only (const struct prober *prober);

/* From here on. */
void prober_set_mode (struct prober *prober, enum prober_mode mode);

/* Whether, since PROBER_AFTER, the whole sample and the scratch range have been read. */
bool prober_compared (const struct prober *prober);

/* How many probes there are, and of them how many were served; the outcome of the last. */
struct prober_state {
  size_t count, served;
  enum probe_outcome last;
  int64_t last_end_ms;
};
struct prober_state prober_state (struct prober *prober);

/* Ends the thread.  Afterwards the probes and what is known of the data can be taken. */
void prober_stop (struct prober *prober);
const struct probe *prober_probes (const struct prober *prober, size_t *ret_count);
struct prober_data prober_data (const struct prober *prober);

/* Stops, too.  NULL is accepted. */
void prober_free (struct prober *prober);

#endif
