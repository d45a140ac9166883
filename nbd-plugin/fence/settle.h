/* Settling: what was acknowledged before a fence is made durable after it.
 *
 * A thread of its own flushes the backing, since that may take as long as the disk likes and nobody
 * who decides may wait for a disk.  Writes that were on their way flush themselves (gate.h).
 */
#ifndef NBD_PLUGIN_SETTLE_H
#define NBD_PLUGIN_SETTLE_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "nbd-plugin/backing.h"

struct settler;

/* `settled` is called by the thread after each flush, with its result (0 or a negative errno) and
 * the time it took.
 */
int
settle_start (struct backing *backing, void (*settled) (void *opaque, int result, uint64_t took_ms),
              void *opaque, struct settler **ret_settler, struct error *err) MUST_CHECK;

/* Wants a flush that begins after this call; never waits. */
void settle_now (struct settler *settler);

/* Ends the thread, after the flush that is wanted or under way.  NULL is accepted. */
void settle_stop (struct settler *settler);

#endif
