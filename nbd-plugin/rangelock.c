/* rangelock.c owns the order between aligned writes and read-modify-write. */
#include "nbd-plugin/rangelock.h"

#include <assert.h>

#include "common/cleanup.h"

void
rangelock_init (struct rangelock *lock)
{
  pthread_mutex_init (&lock->mutex, NULL);
  pthread_cond_init (&lock->changed, NULL);
  atomic_init (&lock->exclusive_count, 0);
  lock->slots = NULL;
  lock->held = NULL;
}

void
rangelock_clear (struct rangelock *lock)
{
  assert (!lock->slots && !lock->held);
  pthread_cond_destroy (&lock->changed);
  pthread_mutex_destroy (&lock->mutex);
}

void
rangelock_add_slot (struct rangelock *lock, struct rangelock_slot *slot)
{
  LOCK_FOR_SCOPE (&lock->mutex);

  atomic_init (&slot->active, false);
  slot->next = lock->slots;
  lock->slots = slot;
}

void
rangelock_remove_slot (struct rangelock *lock, struct rangelock_slot *slot)
{
  LOCK_FOR_SCOPE (&lock->mutex);

  for (struct rangelock_slot **p = &lock->slots; *p; p = &(*p)->next) {
    if (*p == slot) {
      *p = slot->next;
      return;
    }
  }
}

static bool
overlaps_exclusive (const struct rangelock_exclusive *list, uint64_t start_bytes,
                    uint64_t end_bytes)
{
  for (; list; list = list->next)
    if (start_bytes < list->end_bytes && list->start_bytes < end_bytes)
      return true;
  return false;
}

/* A slot may pass from one range to the next while we look.  That does no harm: a range that was
 * announced before exclusive_count rose is seen whole, since its slot stays active until it is
 * done; a later one sees the count and comes to the mutex by itself.
 */
static bool
overlaps_shared (const struct rangelock *lock, uint64_t start_bytes, uint64_t end_bytes)
{
  for (const struct rangelock_slot *slot = lock->slots; slot; slot = slot->next)
    if (atomic_load (&slot->active)
        && start_bytes < atomic_load_explicit (&slot->end_bytes, memory_order_relaxed)
        && atomic_load_explicit (&slot->start_bytes, memory_order_relaxed) < end_bytes)
      return true;
  return false;
}

/* Somebody excludes something: see whether it is our range, and give way if so. */
static void
share_slowly (struct rangelock *lock, struct rangelock_slot *slot, uint64_t start_bytes,
              uint64_t end_bytes)
{
  LOCK_FOR_SCOPE (&lock->mutex);

  if (!overlaps_exclusive (lock->held, start_bytes, end_bytes))
    return;
  /* Said once: a waiter that broadcasts at every wake-up keeps all others awake. */
  atomic_store (&slot->active, false);
  pthread_cond_broadcast (&lock->changed);
  while (overlaps_exclusive (lock->held, start_bytes, end_bytes))
    pthread_cond_wait (&lock->changed, &lock->mutex);
  atomic_store (&slot->active, true);
}

void
rangelock_share (struct rangelock *lock, struct rangelock_slot *slot, uint64_t start_bytes,
                 uint64_t end_bytes)
{
  atomic_store_explicit (&slot->start_bytes, start_bytes, memory_order_relaxed);
  atomic_store_explicit (&slot->end_bytes, end_bytes, memory_order_relaxed);
  atomic_store (&slot->active, true);
  if (atomic_load (&lock->exclusive_count) > 0)
    share_slowly (lock, slot, start_bytes, end_bytes);
}

void
rangelock_unshare (struct rangelock *lock, struct rangelock_slot *slot)
{
  atomic_store (&slot->active, false);
  if (atomic_load (&lock->exclusive_count) > 0) {
    LOCK_FOR_SCOPE (&lock->mutex);
    pthread_cond_broadcast (&lock->changed);
  }
}

void
rangelock_exclude (struct rangelock *lock, struct rangelock_exclusive *exclusive,
                   uint64_t start_bytes, uint64_t end_bytes)
{
  LOCK_FOR_SCOPE (&lock->mutex);

  atomic_fetch_add (&lock->exclusive_count, 1);
  while (overlaps_exclusive (lock->held, start_bytes, end_bytes))
    pthread_cond_wait (&lock->changed, &lock->mutex);
  exclusive->start_bytes = start_bytes;
  exclusive->end_bytes = end_bytes;
  exclusive->next = lock->held;
  lock->held = exclusive; /* from here on new shared lockers give way */
  while (overlaps_shared (lock, start_bytes, end_bytes))
    pthread_cond_wait (&lock->changed, &lock->mutex);
}

void
rangelock_release (struct rangelock *lock, struct rangelock_exclusive *exclusive)
{
  LOCK_FOR_SCOPE (&lock->mutex);

  for (struct rangelock_exclusive **p = &lock->held; *p; p = &(*p)->next) {
    if (*p == exclusive) {
      *p = exclusive->next;
      break;
    }
  }
  atomic_fetch_sub (&lock->exclusive_count, 1);
  pthread_cond_broadcast (&lock->changed);
}
