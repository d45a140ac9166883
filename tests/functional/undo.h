/* undo.h owns the layout of the file by which faultio.c can take back what was never made durable:
 * one flag byte for each 4096 bytes of the watched file, then, from the next page on, a copy of
 * what those bytes were when they were last durable (only where the flag is set).
 */
#ifndef TESTS_UNDO_H
#define TESTS_UNDO_H

#include <stdint.h>

#define UNDO_BLOCK 4096

static inline uint64_t
undo_blocks (uint64_t watched_bytes)
{
  return (watched_bytes + UNDO_BLOCK - 1) / UNDO_BLOCK;
}

/* Where the old contents start; also the size of the (padded) table of flags. */
static inline uint64_t
undo_contents (uint64_t watched_bytes)
{
  return (undo_blocks (watched_bytes) + UNDO_BLOCK - 1) / UNDO_BLOCK * UNDO_BLOCK;
}

static inline uint64_t
undo_size (uint64_t watched_bytes)
{
  return undo_contents (watched_bytes) + undo_blocks (watched_bytes) * UNDO_BLOCK;
}

#endif
