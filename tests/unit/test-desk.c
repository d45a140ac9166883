/* What the desk promises: an order is carried out, whether or not who gave it waits for the result.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nbd-plugin/fence/desk.h"

static void
finish (struct desk_place *place)
{
  desk_done (place, "ok", "ok", "", "");
}

/* `keyfence fence` that is interrupted, or `echo fence | nc`, must fence. */
static void
an_order_whose_giver_is_gone_is_carried_out (void **state)
{
  struct desk desk = {0};
  uint64_t ticket = desk_add (&desk, DESK_FENCE, "stolen");
  struct desk_place *place;

  (void)state;
  desk_forget (&desk, ticket);
  place = desk_find (&desk, DESK_NEW);
  assert_non_null (place);
  assert_int_equal (place->result.command, DESK_FENCE);
  assert_string_equal (place->text, "stolen");
  finish (place);
  assert_null (desk_find (&desk, DESK_DONE));
  assert_null (desk_by_ticket (&desk, ticket));
}

static void
a_reload_that_waits_for_its_turn_is_not_forgotten (void **state)
{
  struct desk desk = {0};
  uint64_t ticket = desk_add (&desk, DESK_RELOAD, "");

  (void)state;
  desk_find (&desk, DESK_NEW)->stage = DESK_RUNS;
  desk_forget (&desk, ticket);
  assert_ptr_equal (desk_find (&desk, DESK_RUNS), desk_by_ticket (&desk, ticket));
  assert_non_null (desk_by_ticket (&desk, ticket));
}

static void
a_result_that_nobody_fetches_frees_its_place (void **state)
{
  struct desk desk = {0};

  (void)state;
  for (unsigned i = 0; i < 4 * DESK_PLACES; i++) {
    uint64_t ticket = desk_add (&desk, DESK_CHECK, "");

    assert_true (ticket != 0);
    finish (desk_find (&desk, DESK_NEW));
    desk_forget (&desk, ticket);
  }
}

/* Nothing that was given up keeps the operator from fencing. */
static void
orders_that_run_for_nobody_make_room (void **state)
{
  struct desk desk = {0};

  (void)state;
  for (unsigned i = 0; i < DESK_PLACES; i++) {
    uint64_t ticket = desk_add (&desk, DESK_CHECK, "");

    desk_find (&desk, DESK_NEW)->stage = DESK_RUNS;
    if (i > 0)
      desk_forget (&desk, ticket);
  }
  for (unsigned i = 1; i < DESK_PLACES; i++)
    assert_true (desk_add (&desk, DESK_FENCE, "") != 0);
  assert_true (desk_add (&desk, DESK_FENCE, "") == 0);
  assert_non_null (desk_find (&desk, DESK_RUNS)); /* somebody waits for that one */
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_order_whose_giver_is_gone_is_carried_out),
      cmocka_unit_test (a_reload_that_waits_for_its_turn_is_not_forgotten),
      cmocka_unit_test (a_result_that_nobody_fetches_frees_its_place),
      cmocka_unit_test (orders_that_run_for_nobody_make_room),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
