/* gate.c owns whether requests are served. */
#include "nbd-plugin/fence/gate.h"

#include <time.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"

/* How long a waiting request sleeps at most before it looks at the clock again: the machine may
 * have been suspended meanwhile.
 */
#define LOOK_MS 1000

void
gate_init (struct gate *gate, uint64_t stall_limit_ms)
{
  atomic_init (&gate->open_until_ms, 0);
  atomic_init (&gate->coarse_until_ms, 0);
  pthread_mutex_init (&gate->mutex, NULL);
  pthread_cond_init (&gate->changed, NULL);
  gate->closed_at_ms = clock_ms ();
  gate->stall_limit_ms = stall_limit_ms;
  gate->released = false;
}

void
gate_destroy (struct gate *gate)
{
  pthread_cond_destroy (&gate->changed);
  pthread_mutex_destroy (&gate->mutex);
}

/* Acquire, with the release in gate_open: who finds the gate open finds the keys in their lanes. */
bool
gate_is_open (const struct gate *gate)
{
  uint64_t until_ms = atomic_load_explicit (&gate->open_until_ms, memory_order_acquire);

  return until_ms != 0 && clock_ms () < until_ms;
}

static uint64_t
coarse_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool
gate_still_open (const struct gate *gate)
{
  uint64_t until_ms = atomic_load_explicit (&gate->coarse_until_ms, memory_order_acquire);

  return until_ms != 0 && coarse_ms () < until_ms;
}

/* The coarse clock is read first: what it is behind makes the end come earlier. */
static uint64_t
on_coarse_clock (uint64_t until_ms)
{
  uint64_t coarse = coarse_ms (), now_ms = clock_ms ();

  if (until_ms <= now_ms)
    return 0;
  return until_ms == UINT64_MAX ? until_ms : coarse + (until_ms - now_ms);
}

void
gate_open (struct gate *gate, uint64_t until_ms)
{
  LOCK_FOR_SCOPE (&gate->mutex);

  atomic_store_explicit (&gate->coarse_until_ms, on_coarse_clock (until_ms), memory_order_release);
  atomic_store_explicit (&gate->open_until_ms, until_ms, memory_order_release);
  pthread_cond_broadcast (&gate->changed);
}

void
gate_close (struct gate *gate)
{
  LOCK_FOR_SCOPE (&gate->mutex);

  atomic_store (&gate->coarse_until_ms, 0);
  if (atomic_exchange (&gate->open_until_ms, 0) != 0)
    gate->closed_at_ms = clock_ms ();
}

/* With the mutex held: until when refused requests wait. */
static uint64_t
stall_end_ms (const struct gate *gate)
{
  uint64_t until_ms = atomic_load_explicit (&gate->open_until_ms, memory_order_relaxed);

  return (until_ms != 0 ? until_ms : gate->closed_at_ms) + gate->stall_limit_ms;
}

static void
sleep_for (struct gate *gate, uint64_t ms)
{
  const struct timespec at = monotonic_after (ms);

  pthread_cond_clockwait (&gate->changed, &gate->mutex, CLOCK_MONOTONIC, &at);
}

bool
gate_wait (struct gate *gate)
{
  LOCK_FOR_SCOPE (&gate->mutex);

  while (gate->stall_limit_ms != 0 && !gate->released) {
    uint64_t now_ms = clock_ms (), end_ms = stall_end_ms (gate);

    if (gate_is_open (gate))
      return true;
    if (now_ms >= end_ms)
      return false;
    sleep_for (gate, MIN (end_ms - now_ms, LOOK_MS));
  }
  return false;
}

void
gate_release (struct gate *gate)
{
  LOCK_FOR_SCOPE (&gate->mutex);

  gate->released = true;
  pthread_cond_broadcast (&gate->changed);
}
