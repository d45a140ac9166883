/* The gate: whether requests are served at this moment.
 *
 * It is open until a time that keymon moves on with every good check; the time itself is compared
 * by each request, so that a late or dead monitor, agent or key service closes the gate too.  A
 * request reads one cache line, which is written once a check, and the clock: no lock, and nothing
 * that requests write.
 *
 * A request passes the gate when it begins, and looks again when it ends: a read that finds it
 * closed then is not answered with plaintext, and a write that does so is flushed before it is
 * acknowledged, since the flush that follows a fence may have gone before it.  The second look uses
 * a clock that is five times cheaper, runs behind by a tick (the gate closes that much earlier) and
 * does not count suspended time: what a machine without a living monitor had in flight when it was
 * suspended is answered after it.
 *
 * Every function may be called from any thread.
 */
#ifndef NBD_PLUGIN_GATE_H
#define NBD_PLUGIN_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
  _Alignas(64) _Atomic uint64_t open_until_ms; /* CLOCK_BOOTTIME; 0: closed */
  _Atomic uint64_t coarse_until_ms;            /* the same on CLOCK_MONOTONIC_COARSE */

  /* What follows is touched by requests only when the gate is closed. */
  _Alignas(64) pthread_mutex_t mutex;
  pthread_cond_t changed;
  uint64_t closed_at_ms;
  uint64_t stall_limit_ms; /* 0: refused requests fail at once */
  bool released;           /* nobody waits any more: the server ends */
};

/* Closed. */
void gate_init (struct gate *gate, uint64_t stall_limit_ms);
void gate_destroy (struct gate *gate);

/* For a request that begins. */
bool gate_is_open (const struct gate *gate);

/* For one that ends. */
bool gate_still_open (const struct gate *gate);

/* Opens the gate, or moves its time. */
void gate_open (struct gate *gate, uint64_t until_ms);

/* When it returns, no request that had not passed gets through. */
void gate_close (struct gate *gate);

/* For a request that was refused: waits until the gate is open (true), or until it has been closed
 * for the stall limit (false).
 */
bool gate_wait (struct gate *gate);

/* Lets everybody go who waits, now and later. */
void gate_release (struct gate *gate);

#endif
