/* chunks.c owns the blocks of memory that a connection's chunks come from. */
#include "nbd-plugin/chunks.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/checked.h"

#define BLOCK_BYTES ((size_t)2 * 1024 * 1024) /* a huge page of most processors */

struct chunk_block {
  struct chunk_block *next;
  uint8_t *memory;
};

/* Takes no memory before it is used.  NULL when there is none. */
static uint8_t *
map_aligned (void)
{
  uint8_t *whole =
      mmap (NULL, 2 * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  size_t head;

  if (whole == MAP_FAILED)
    return NULL;
  head = (size_t)(round_up ((uintptr_t)whole, BLOCK_BYTES) - (uintptr_t)whole);
  if (head > 0)
    munmap (whole, head);
  munmap (whole + head + BLOCK_BYTES, BLOCK_BYTES - head);
  return whole + head;
}

static int
add_block (struct chunks *chunks, bool huge)
{
  struct chunk_block *block = malloc (sizeof *block);

  if (!block)
    return -1;
  block->memory = map_aligned ();
  if (!block->memory) {
    free (block);
    return -1;
  }
  /* A wish: a kernel without huge pages refuses it, and ordinary ones do. */
  madvise (block->memory, BLOCK_BYTES, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  block->next = chunks->blocks;
  chunks->blocks = block;
  chunks->left_bytes = BLOCK_BYTES;
  return 0;
}

uint8_t *
chunks_take (struct chunks *chunks, size_t size_bytes, bool huge)
{
  assert (size_bytes <= BLOCK_BYTES && is_power_of_2 (size_bytes));
  if (chunks->left_bytes < size_bytes && add_block (chunks, huge) < 0)
    return NULL;
  chunks->left_bytes -= size_bytes;
  return chunks->blocks->memory + chunks->left_bytes;
}

void
chunks_free (struct chunks *chunks)
{
  while (chunks->blocks) {
    struct chunk_block *block = chunks->blocks;

    chunks->blocks = block->next;
    munmap (block->memory, BLOCK_BYTES);
    free (block);
  }
  chunks->left_bytes = 0;
}
