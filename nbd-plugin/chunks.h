/* The memory that data passes through between client and backing: the chunks of a connection's
 * workers.
 *
 * Past the page cache, the kernel describes a transfer to the device piece by piece of physical
 * memory.  In ordinary pages these are pieces of 4 KiB, and a virtual disk works on each of them: a
 * virtio disk read 0.9 to 1.5 GB/s into such memory and 2.5 to 2.9 GB/s into huge pages (fio,
 * io_uring, 1 MiB x 8 and 256 KiB x 16, Linux 6.18).  So chunks lie in blocks that are one huge
 * page each, where the kernel has them (transparent huge pages, "always" or "madvise").  A worker
 * that has only small requests never touches its chunks, and no memory is behind them then.
 */
#ifndef NBD_PLUGIN_CHUNKS_H
#define NBD_PLUGIN_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: has nothing yet.  Guarded by its owner. */
struct chunks {
  struct chunk_block *blocks;
  size_t left_bytes; /* of the newest block */
};

/* `size_bytes` (a power of two of 4096 … 2 MiB, the same in each call) of untouched memory, aligned
 * to its size, which stays until chunks_free; NULL when out of memory.  `huge`: in huge pages if
 * possible; else never.
 */
uint8_t *chunks_take (struct chunks *chunks, size_t size_bytes, bool huge);

/* Gives everything back to the kernel. */
void chunks_free (struct chunks *chunks);

#endif
