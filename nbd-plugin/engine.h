/* How transfers reach the backing store: the one interface under the request path.
 *
 * A queue belongs to one worker thread and is used by it alone.  The request path submits
 * transfers, at most `depth` at a time, and waits for them in whatever order they finish.  Until a
 * transfer has come back, it and its buffer belong to the queue; every submitted transfer comes
 * back exactly once, complete or failed: short, interrupted and repeated calls are the engine's
 * business.
 */
#ifndef NBD_PLUGIN_ENGINE_H
#define NBD_PLUGIN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "nbd-plugin/backing.h"

/* The largest transfer: small enough that what is encrypted is still in the second-level cache when
 * it is written, large enough that calls don't count.
 */
#define CHUNK_BYTES ((size_t)256 * 1024)
#define ENGINE_DEPTH_MAX 8

struct transfer {
  void *buf; /* aligned to 4096 bytes */
  size_t size_bytes;
  uint64_t offset_bytes; /* in the backing; offset and size are multiples of backing->align_bytes */
  bool write;
  bool durable; /* a write that is on stable storage, with the metadata to find it, when it is back
                 */
  int result;   /* set by the engine: 0 or a negative errno; reading past the end is -EIO */
};

struct engine_queue; /* each engine has its own */

struct engine {
  const char *name;
  unsigned depth; /* 1 … ENGINE_DEPTH_MAX */
  int (*queue_new) (struct backing *backing, struct engine_queue **ret_queue);
  void (*queue_free) (struct engine_queue *queue); /* nothing is under way; NULL is accepted */
  void (*submit) (struct engine_queue *queue, struct transfer *transfer);
  struct transfer *(*wait) (struct engine_queue *queue); /* NULL when nothing is under way */
};

extern const struct engine engine_sync;

/* The engine called `name` ("auto", "sync"). */
const struct engine *engine_by_name (const char *name);

#endif
