/* sample.c owns what a drill knows of the disk's data. */
#include "tools/drill/sample.h"

#include <string.h>

#include <openssl/sha.h>

#include "common/checked.h"
#include "tools/drill/nbd.h"

void
sample_choose (struct sample *sample, uint64_t size_bytes, uint64_t scratch_offset_bytes,
               uint64_t scratch_bytes)
{
  uint64_t blocks = size_bytes / NBD_BLOCK_BYTES, most = MIN (blocks, PROBE_BLOCKS_MAX);

  *sample = (struct sample){0};
  for (uint64_t i = 0; i < most; i++) {
    uint64_t offset_bytes = blocks / most * i * NBD_BLOCK_BYTES;

    if (offset_bytes >= scratch_offset_bytes && offset_bytes - scratch_offset_bytes < scratch_bytes)
      continue;
    sample->blocks[sample->count++].offset_bytes = offset_bytes;
  }
}

void
sample_take (struct sample *sample, unsigned i, const void *block, enum prober_mode mode)
{
  struct sample_block *b = &sample->blocks[i];
  uint8_t hash[SAMPLE_HASH_SIZE];
  bool same;

  SHA256 (block, NBD_BLOCK_BYTES, hash);
  same = memcmp (hash, b->hash, sizeof hash) == 0;
  if (mode == PROBER_AFTER && b->known && !b->compared) {
    b->compared = true;
    b->same = same;
  }
  if (mode != PROBER_BEFORE)
    return;
  if (b->known && !same)
    b->unstable = true;
  memcpy (b->hash, hash, sizeof hash);
  b->known = true;
}

/* Every block's contents are different, and say which write they are of. */
static void
fill (uint64_t number, uint8_t block[NBD_BLOCK_BYTES])
{
  static const char mark[16] = "keyfence drill ";
  uint64_t x = number;

  for (size_t i = 0; i < NBD_BLOCK_BYTES; i += sizeof x) {
    x = x * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    memcpy (block + i, &x, sizeof x);
  }
  memcpy (block, mark, sizeof mark);
  memcpy (block + sizeof mark, &number, sizeof number);
}

unsigned
scratch_next (struct scratch *scratch, void *ret_block)
{
  uint64_t number = ++scratch->number;
  unsigned i = (unsigned)(number % scratch->count);

  fill (number, ret_block);
  scratch->blocks[i].tried = number;
  return i;
}

void
scratch_acknowledge (struct scratch *scratch, unsigned i)
{
  scratch->blocks[i].acknowledged = scratch->blocks[i].tried;
}

/* Block i's writes are `count` numbers apart. */
void
scratch_take (struct scratch *scratch, unsigned i, const void *block)
{
  struct scratch_block *b = &scratch->blocks[i];
  uint8_t expected[NBD_BLOCK_BYTES];

  b->compared = true;
  b->right = b->acknowledged == 0; /* whatever was there before us */
  for (uint64_t n = b->acknowledged; n != 0 && n <= b->tried && !b->right; n += scratch->count) {
    fill (n, expected);
    b->right = memcmp (block, expected, sizeof expected) == 0;
  }
}

void
sample_report (const struct sample *sample, const struct scratch *scratch, struct prober_data *ret)
{
  *ret = (struct prober_data){.sampled = sample->count, .scratch_writes = scratch->number};
  for (unsigned i = 0; i < sample->count; i++) {
    const struct sample_block *b = &sample->blocks[i];

    ret->written_before += b->unstable;
    ret->same += !b->unstable && b->compared && b->same;
    ret->changed += !b->unstable && b->compared && !b->same;
  }
  for (unsigned i = 0; i < scratch->count; i++) {
    const struct scratch_block *b = &scratch->blocks[i];

    ret->scratch_blocks += b->acknowledged != 0 && b->compared;
    ret->scratch_wrong += b->compared && !b->right;
  }
}
