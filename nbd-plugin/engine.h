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
 * it is written, large enough that calls don't count.  engine.c has the measurements.
 */
#define CHUNK_BYTES ((size_t)256 * 1024)
#define ENGINE_DEPTH_MAX 8

/* Transfers up to this size have a buffer apart, so that they leave the chunks untouched: the page
 * of a database. */
#define SMALL_BYTES ((size_t)16 * 1024)

struct transfer {
  void *buf; /* aligned to 4096 bytes; in the queue's buffers, or SMALL_BYTES at most elsewhere */
  size_t size_bytes;
  uint64_t offset_bytes; /* in the backing; offset and size are multiples of backing->align_bytes */
  bool write;
  bool durable; /* a write that is on stable storage, with the metadata to find it, when it is back
                 */
  bool more;    /* another transfer of the same request follows */
  int result;   /* set by the engine: 0 or a negative errno; reading past the end is -EIO */
};

struct engine_queue; /* each engine has its own */

struct engine {
  const char *name;
  unsigned depth; /* 1 … ENGINE_DEPTH_MAX */

  /* `buffers`: depth chunks, aligned to 4096 bytes, from which the transfers' `buf` come; they
   * outlive the queue.  Called by the thread that will use the queue.
   */
  int (*queue_new) (struct backing *backing, void *buffers, struct engine_queue **ret_queue);

  /* Nothing is under way; from any thread, also when the queue's own has ended; NULL is accepted.
   */
  void (*queue_free) (struct engine_queue *queue);

  void (*submit) (struct engine_queue *queue, struct transfer *transfer);
  struct transfer *(*wait) (struct engine_queue *queue); /* NULL when nothing is under way */
};

extern const struct engine engine_sync;  /* plain calls */
extern const struct engine engine_uring; /* everything by io_uring */
extern const struct engine engine_auto;  /* io_uring for what has several transfers in flight */

/* The engine for engine=`name` on this backing, whose cache mode is decided.  Where io_uring can't
 * be used it is engine_sync, and the reason is said (engine_say).
 */
const struct engine *engine_choose (const char *name, const struct backing *backing);

/* Whether this process may use io_uring: 0, or a negative errno that says why not. */
int engine_uring_probe (void) MUST_CHECK;

/* That io_uring is not used where it should be, and why: logged once in the life of the process,
 * the first of them, and kept for the status.  `r`: a negative errno.  From any thread.
 */
void engine_say_no_uring (const char *where, int r);

/* What engine_say_no_uring said, or NULL. */
const char *engine_note (void);

/* Does by plain calls what is left of a transfer behind its first `done_bytes`: 0 or a negative
 * errno. */
int transfer_finish (int fd, const struct transfer *transfer, size_t done_bytes) MUST_CHECK;

#endif
