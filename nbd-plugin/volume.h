/* The volume that this process serves: what is fixed when it is opened, and the connections to it.
 *
 * volume_open runs before nbdkit forks (its errors reach the terminal) and starts nothing; threads,
 * locked memory and the agent come after, in keymon.
 */
#ifndef NBD_PLUGIN_VOLUME_H
#define NBD_PLUGIN_VOLUME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/wrap.h"
#include "crypto/header.h"
#include "crypto/xts.h"
#include "nbd-plugin/backing.h"
#include "nbd-plugin/chunks.h"
#include "nbd-plugin/engine.h"
#include "nbd-plugin/fence/gate.h"
#include "nbd-plugin/keys.h"
#include "nbd-plugin/params.h"
#include "nbd-plugin/rangelock.h"

/* What one worker has done.  Only that worker adds; status reads at any time: relaxed atomics. */
struct io_counters {
  _Atomic uint64_t reads, writes, bytes_read, bytes_written, refused;
};

/* A chunk on its way. */
struct piece {
  struct transfer transfer;
  uint64_t start_bytes;     /* of the transfer, in the volume */
  struct backing_sync sync; /* of a durable transfer */
  bool busy;
};

/* What a thread needs to serve requests of one connection: made at its first request, used by it
 * alone. */
struct worker {
  pthread_t thread;
  unsigned number; /* spreads workers over lanes */
  struct engine_queue *queue;
  uint8_t *small;   /* SMALL_BYTES, aligned to 4096: for transfers that need no more */
  uint8_t *buffers; /* depth chunks, aligned to 4096; of the connection's */
  struct piece pieces[ENGINE_DEPTH_MAX];
  struct rangelock_slot range;
  _Alignas(64) struct io_counters counters;
  struct worker *next;
};

struct volume;

/* Every request reads it: on cache lines that nothing else writes to. */
struct connection {
  _Alignas(64) uint64_t id; /* never used twice in the life of the process */
  struct volume *volume;
  bool read_only;
  uint64_t size_bytes;
  pthread_mutex_t mutex; /* guards workers and chunks */
  struct worker *workers;
  struct chunks chunks;
  struct connection *next; /* guarded by volume->mutex */
};

struct volume {
  /* Constant after volume_open. */
  struct params params;
  char *agent; /* the agent's program */
  struct backing backing;
  struct header_info info;
  const struct engine *engine;
  const struct xts_backend *xts;
  struct keys *keys;
  uint32_t
      unit_bytes; /* what is read, changed and written as one: a sector, or more for direct I/O */

  struct rangelock rangelock;

  pthread_mutex_t mutex; /* guards what follows */
  struct connection *connections;
  struct io_counters retired; /* of workers that are gone */

  bool all_memory_locked; /* set once, by volume_lock_memory */

  _Atomic uint64_t size_bytes; /* of the disk when it was last measured; relaxed, it stands alone */

  struct gate gate;
};

/* An empty one, with its locks ready; NULL when out of memory.  For volume_open, and for tests. */
struct volume *volume_new (void);

/* Opens, locks and examines; the header that was read is kept in *ret_header for the first unwrap.
 */
int volume_open (const struct params *params, struct volume **ret_volume,
                 struct header **ret_header, struct error *err) MUST_CHECK;

/* Wipes the keys and frees everything, connections that nbdkit did not close included.  NULL is
 * accepted. */
void volume_free (struct volume *volume);

/* Locks all of this process's memory where the limits allow it, for the back ends that don't lock
 * their key schedules themselves.  After the fork, before the key comes.
 */
void volume_lock_memory (struct volume *volume);

/* Whether everything that holds key material is locked into RAM. */
bool volume_memory_locked (const struct volume *volume);

/* Measures the disk: whole units behind the header, in bytes.  Hangs when the backing does.  0 or a
 * negative errno. */
int volume_measure (struct volume *volume, uint64_t *ret_bytes) MUST_CHECK;

/* The disk's size when it was last measured: never waits for the backing. */
uint64_t volume_size (const struct volume *volume);

/* NULL when out of memory or when the size can't be had (*err says which).  While the gate is
 * closed the disk is not measured, so that clients of a fenced volume are refused also where the
 * backing hangs. */
struct connection *connection_new (struct volume *volume, bool read_only, struct error *err);
void connection_free (struct connection *connection);

/* The calling thread's worker for this connection; 0 or a negative errno. */
int connection_worker (struct connection *connection, struct worker **ret_worker) MUST_CHECK;

/* Sums over all workers, present and gone. */
struct io_totals {
  uint64_t reads, writes, bytes_read, bytes_written, refused;
};
struct io_totals volume_totals (struct volume *volume);

#endif
