/* The blocks that a drill looks at: a sample of the disk by their hashes, and a scratch range by a
 * journal of what was written.  No locks: one thread at a time.
 */
#ifndef DRILL_SAMPLE_H
#define DRILL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "tools/drill/prober.h"

#define SAMPLE_HASH_SIZE 32

struct sample {
  unsigned count;
  struct sample_block {
    uint64_t offset_bytes;
    uint8_t hash[SAMPLE_HASH_SIZE];
    bool known, unstable, compared, same;
  } blocks[PROBE_BLOCKS_MAX];
};

/* Blocks spread over the disk, none of them in the scratch range. */
void sample_choose (struct sample *sample, uint64_t size_bytes, uint64_t scratch_offset_bytes,
                    uint64_t scratch_bytes);

/* What was read of block i. */
void sample_take (struct sample *sample, unsigned i, const void *block, enum prober_mode mode);

struct scratch {
  uint64_t offset_bytes;
  unsigned count;
  uint64_t number; /* of the last write */
  struct scratch_block {
    uint64_t tried, acknowledged; /* numbers of writes; 0: none */
    bool compared, right;
  } blocks[PROBE_SCRATCH_MAX];
};

/* The next block to write: its index, and what to write into it (NBD_BLOCK_BYTES). */
unsigned scratch_next (struct scratch *scratch, void *ret_block);
void scratch_acknowledge (struct scratch *scratch, unsigned i);

/* What was read of block i: right when it is, as a whole, what the last acknowledged write or one
 * that was tried after it has put there.
 */
void scratch_take (struct scratch *scratch, unsigned i, const void *block);

void
sample_report (const struct sample *sample, const struct scratch *scratch, struct prober_data *ret);

#endif
