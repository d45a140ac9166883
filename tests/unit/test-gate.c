/* What the gate promises: open until its time and no longer, and those it refuses wait as they were
 * told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "nbd-plugin/fence/gate.h"

static void
it_is_closed_at_first (void **state)
{
  static struct gate gate; /* gcc 12 misaligns what asan moves off the stack */

  (void)state;
  gate_init (&gate, 0);
  assert_false (gate_is_open (&gate));
  gate_destroy (&gate);
}

static void
it_closes_by_itself_when_its_time_has_come (void **state)
{
  static struct gate gate;
  uint64_t until_ms = clock_ms () + 100;

  (void)state;
  gate_init (&gate, 0);
  gate_open (&gate, until_ms);
  assert_true (gate_still_open (&gate) || clock_ms () + 20 >= until_ms); /* where we run slowly */
  while (gate_is_open (&gate))
    usleep (1000);
  assert_true (clock_ms () >= until_ms);
  assert_false (gate_still_open (&gate)); /* a tick earlier rather than later */
  gate_destroy (&gate);
}

static void
who_ends_finds_it_closed_as_well (void **state)
{
  static struct gate gate;

  (void)state;
  gate_init (&gate, 0);
  assert_false (gate_still_open (&gate));
  gate_open (&gate, UINT64_MAX);
  assert_true (gate_still_open (&gate));
  gate_open (&gate, clock_ms ());
  assert_false (gate_still_open (&gate));
  gate_open (&gate, UINT64_MAX);
  gate_close (&gate);
  assert_false (gate_still_open (&gate));
  gate_destroy (&gate);
}

static void
its_time_can_be_moved_on_and_back (void **state)
{
  static struct gate gate;

  (void)state;
  gate_init (&gate, 0);
  gate_open (&gate, 1);
  assert_false (gate_is_open (&gate));
  gate_open (&gate, UINT64_MAX);
  assert_true (gate_is_open (&gate));
  gate_open (&gate, 1);
  assert_false (gate_is_open (&gate));
  gate_destroy (&gate);
}

static void
without_stalling_nobody_waits (void **state)
{
  static struct gate gate;

  (void)state;
  gate_init (&gate, 0);
  assert_false (gate_wait (&gate)); /* would hang */
  gate_destroy (&gate);
}

static void
who_waits_gets_an_error_after_the_limit_and_not_before (void **state)
{
  static struct gate gate;
  uint64_t start_ms;

  (void)state;
  gate_init (&gate, 300);
  gate_open (&gate, UINT64_MAX);
  usleep (50000);
  start_ms = clock_ms ();
  gate_close (&gate);
  assert_false (gate_wait (&gate));
  assert_true (clock_ms () - start_ms >= 300);
  assert_false (gate_wait (&gate)); /* the volume has been fenced long enough: at once */
  gate_destroy (&gate);
}

/* The monitor is dead: nobody closes the gate, its time does. */
static void
the_limit_counts_from_the_end_of_the_lease_too (void **state)
{
  static struct gate gate;
  uint64_t end_ms = clock_ms () + 100;

  (void)state;
  gate_init (&gate, 200);
  gate_open (&gate, end_ms);
  while (gate_is_open (&gate))
    usleep (1000);
  assert_false (gate_wait (&gate));
  assert_true (clock_ms () >= end_ms + 200);
  gate_destroy (&gate);
}

static void *
open_soon (void *opaque)
{
  usleep (100000);
  gate_open (opaque, UINT64_MAX);
  return NULL;
}

static void
who_waits_goes_on_when_it_opens (void **state)
{
  static struct gate gate;
  pthread_t thread;

  (void)state;
  gate_init (&gate, 3600 * 1000);
  assert_int_equal (pthread_create (&thread, NULL, open_soon, &gate), 0);
  assert_true (gate_wait (&gate));
  pthread_join (thread, NULL);
  gate_destroy (&gate);
}

static void *
release_soon (void *opaque)
{
  usleep (100000);
  gate_release (opaque);
  return NULL;
}

static void
who_waits_is_let_go_when_the_server_ends (void **state)
{
  static struct gate gate;
  pthread_t thread;

  (void)state;
  gate_init (&gate, 3600 * 1000);
  assert_int_equal (pthread_create (&thread, NULL, release_soon, &gate), 0);
  assert_false (gate_wait (&gate));
  assert_false (gate_wait (&gate));
  pthread_join (thread, NULL);
  gate_destroy (&gate);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (it_is_closed_at_first),
      cmocka_unit_test (it_closes_by_itself_when_its_time_has_come),
      cmocka_unit_test (who_ends_finds_it_closed_as_well),
      cmocka_unit_test (its_time_can_be_moved_on_and_back),
      cmocka_unit_test (without_stalling_nobody_waits),
      cmocka_unit_test (who_waits_gets_an_error_after_the_limit_and_not_before),
      cmocka_unit_test (the_limit_counts_from_the_end_of_the_lease_too),
      cmocka_unit_test (who_waits_goes_on_when_it_opens),
      cmocka_unit_test (who_waits_is_let_go_when_the_server_ends),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
