/* Who may change which bytes now: aligned writes share, read-modify-write excludes.
 *
 * A request smaller than the unit of encryption reads a unit, changes a part and writes the whole
 * back; a write to the rest of that unit in between would be lost.  So every read-modify-write
 * holds its unit exclusively, and every aligned write, zero or trim holds its range shared.
 *
 * Aligned writes are the common case and must not meet on a cache line: each worker announces its
 * range in a slot of its own and then looks at one counter, which is only written by exclusive
 * lockers.  The store of `active` and the load of `exclusive_count` on one side, the increment and
 * the scan of the slots on the other, are all sequentially consistent, so at least one of the two
 * sees the other (Dekker).  Shared lockers don't exclude each other: overlapping writes without
 * order between them are the client's choice, as on any disk.
 *
 * A worker holds at most one lock at a time, so there is no order to keep and no deadlock.
 */
#ifndef NBD_PLUGIN_RANGELOCK_H
#define NBD_PLUGIN_RANGELOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rangelock_slot {
  _Alignas(64) atomic_bool active;
  _Atomic uint64_t start_bytes, end_bytes; /* valid while active; relaxed, see rangelock.c */
  struct rangelock_slot *next;             /* guarded by the lock's mutex */
};

struct rangelock_exclusive {
  uint64_t start_bytes, end_bytes;
  struct rangelock_exclusive *next;
};

struct rangelock {
  pthread_mutex_t mutex; /* guards slots, held, and every wait */
  pthread_cond_t changed;
  _Alignas(64) atomic_uint exclusive_count; /* lockers that hold or wait */
  struct rangelock_slot *slots;
  struct rangelock_exclusive
      *held; /* the exclusive ranges that are held, or wait for shared ones */
};

void rangelock_init (struct rangelock *lock);
void rangelock_clear (struct rangelock *lock); /* no slot is left, nobody waits */

/* A worker's slot, before its first and after its last lock. */
void rangelock_add_slot (struct rangelock *lock, struct rangelock_slot *slot);
void rangelock_remove_slot (struct rangelock *lock, struct rangelock_slot *slot);

/* Shared, [start, end) in bytes. */
void rangelock_share (struct rangelock *lock, struct rangelock_slot *slot, uint64_t start_bytes,
                      uint64_t end_bytes);
void rangelock_unshare (struct rangelock *lock, struct rangelock_slot *slot);

/* Exclusive; *exclusive is the caller's, and lives until the release. */
void rangelock_exclude (struct rangelock *lock, struct rangelock_exclusive *exclusive,
                        uint64_t start_bytes, uint64_t end_bytes);
void rangelock_release (struct rangelock *lock, struct rangelock_exclusive *exclusive);

#endif
