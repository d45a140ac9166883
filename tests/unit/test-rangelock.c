/* What rangelock promises: read-modify-write excludes overlapping writes, aligned writes go on
 * together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "nbd-plugin/rangelock.h"

#define UNITS 8
#define UNIT_BYTES 4096
#define ROUNDS 200000

static void
shared_ranges_overlap_freely (void **state)
{
  static struct rangelock lock;
  static struct rangelock_slot a, b;

  (void)state;
  rangelock_init (&lock);
  rangelock_add_slot (&lock, &a);
  rangelock_add_slot (&lock, &b);
  rangelock_share (&lock, &a, 0, 8192);
  rangelock_share (&lock, &b, 4096, 12288); /* would hang if it excluded */
  rangelock_unshare (&lock, &a);
  rangelock_unshare (&lock, &b);
  rangelock_remove_slot (&lock, &a);
  rangelock_remove_slot (&lock, &b);
  rangelock_clear (&lock);
}

static void
an_exclusive_range_leaves_others_alone (void **state)
{
  static struct rangelock lock;
  static struct rangelock_slot slot;
  struct rangelock_exclusive first, second;

  (void)state;
  rangelock_init (&lock);
  rangelock_add_slot (&lock, &slot);
  rangelock_exclude (&lock, &first, 4096, 8192);
  rangelock_share (&lock, &slot, 0, 4096); /* touches, does not overlap */
  rangelock_exclude (&lock, &second, 8192, 12288);
  rangelock_release (&lock, &second);
  rangelock_unshare (&lock, &slot);
  rangelock_release (&lock, &first);
  rangelock_remove_slot (&lock, &slot);
  rangelock_clear (&lock);
}

static struct rangelock waited_for;

static void *
share_once (void *opaque)
{
  struct rangelock_slot *slot = NULL;

  (void)opaque;
  if (posix_memalign ((void **)&slot, 64, sizeof *slot) != 0)
    return NULL;
  rangelock_add_slot (&waited_for, slot);
  rangelock_share (&waited_for, slot, 0, 4096);
  rangelock_unshare (&waited_for, slot);
  rangelock_remove_slot (&waited_for, slot);
  free (slot);
  return NULL;
}

/* They once woke each other up for as long as they waited. */
static void
those_who_wait_sleep (void **state)
{
  struct rangelock_exclusive held;
  struct rusage before, after;
  pthread_t threads[4];

  (void)state;
  rangelock_init (&waited_for);
  rangelock_exclude (&waited_for, &held, 0, 4096);
  getrusage (RUSAGE_SELF, &before);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal (pthread_create (&threads[i], NULL, share_once, NULL), 0);
  usleep (300 * 1000);
  getrusage (RUSAGE_SELF, &after);
  rangelock_release (&waited_for, &held);
  for (size_t i = 0; i < 4; i++)
    pthread_join (threads[i], NULL);
  assert_true (after.ru_nvcsw - before.ru_nvcsw < 1000);
  rangelock_clear (&waited_for);
}

/* What the lock guards in the tests below: who is inside each unit now. */
struct arena {
  struct rangelock lock;
  atomic_int sharers[UNITS], excluders[UNITS];
  atomic_bool broken;
};

static void
enter_shared (struct arena *arena, unsigned from, unsigned to, int by)
{
  for (unsigned i = from; i < to; i++) {
    atomic_fetch_add (&arena->sharers[i], by);
    if (atomic_load (&arena->excluders[i]) != 0)
      atomic_store (&arena->broken, true);
  }
}

static void *
share_often (void *opaque)
{
  struct arena *arena = opaque;
  struct rangelock_slot *slot = NULL;
  unsigned seed = (unsigned)(uintptr_t)&slot;

  if (posix_memalign ((void **)&slot, 64, sizeof *slot) != 0)
    return NULL;
  rangelock_add_slot (&arena->lock, slot);
  for (int i = 0; i < ROUNDS; i++) {
    unsigned from = (unsigned)rand_r (&seed) % UNITS;
    unsigned to = from + 1 + (unsigned)rand_r (&seed) % (UNITS - from);

    rangelock_share (&arena->lock, slot, from * UNIT_BYTES, to * UNIT_BYTES);
    enter_shared (arena, from, to, 1);
    enter_shared (arena, from, to, -1);
    rangelock_unshare (&arena->lock, slot);
  }
  rangelock_remove_slot (&arena->lock, slot);
  free (slot);
  return NULL;
}

static void *
exclude_often (void *opaque)
{
  struct arena *arena = opaque;
  unsigned seed = (unsigned)(uintptr_t)&arena;

  for (int i = 0; i < ROUNDS / 4; i++) {
    unsigned unit = (unsigned)rand_r (&seed) % UNITS;
    struct rangelock_exclusive held;

    rangelock_exclude (&arena->lock, &held, unit * UNIT_BYTES, (unit + 1) * UNIT_BYTES);
    if (atomic_fetch_add (&arena->excluders[unit], 1) != 0
        || atomic_load (&arena->sharers[unit]) != 0)
      atomic_store (&arena->broken, true);
    if (i % 64 == 0)
      usleep (1); /* so that others do come */
    if (atomic_load (&arena->sharers[unit]) != 0)
      atomic_store (&arena->broken, true);
    atomic_fetch_sub (&arena->excluders[unit], 1);
    rangelock_release (&arena->lock, &held);
  }
  return NULL;
}

static void
no_thread_is_ever_inside_an_excluded_unit (void **state)
{
  static struct arena arena;
  pthread_t threads[6];

  (void)state;
  rangelock_init (&arena.lock);
  for (size_t i = 0; i < 6; i++)
    assert_int_equal (
        pthread_create (&threads[i], NULL, i < 3 ? share_often : exclude_often, &arena), 0);
  for (size_t i = 0; i < 6; i++)
    pthread_join (threads[i], NULL);
  assert_false (atomic_load (&arena.broken));
  assert_int_equal (atomic_load (&arena.lock.exclusive_count), 0);
  rangelock_clear (&arena.lock);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (shared_ranges_overlap_freely),
      cmocka_unit_test (an_exclusive_range_leaves_others_alone),
      cmocka_unit_test (those_who_wait_sleep),
      cmocka_unit_test (no_thread_is_ever_inside_an_excluded_unit),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
