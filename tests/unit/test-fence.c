/* What the fence promises, one sentence a test; tests/simulation tries it in every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "nbd-plugin/fence/fence.h"

#define ASK_MS (5000 + FENCE_MARGIN_MS)
#define HOUR_MS (3600 * (uint64_t)1000)

/* The defaults of the plugin. */
static const struct fence_config defaults = {.check_interval_ms = 30000,
                                             .check_timeout_ms = 5000,
                                             .confirm_delay_ms = 5000,
                                             .grace_ms = HOUR_MS,
                                             .wrap_count = 1,
                                             .seed = 7};

/* A machine, its clock, and what it wanted last. */
static struct fence fence;
static struct fence_actions actions;
static uint64_t now_ms;

static void
start (const struct fence_config *config)
{
  now_ms = 1000000;
  fence_init (&fence, config, now_ms);
  memset (&actions, 0, sizeof actions);
}

static void
happen (enum fence_event_kind kind)
{
  const struct fence_event event = {.kind = kind};

  fence_step (&fence, &event, now_ms, &actions);
}

static void
tick (void)
{
  happen (FENCE_EVENT_TICK);
}

static void
pass_ms (uint64_t ms)
{
  now_ms += ms;
  tick ();
}

/* To the moment at which the machine wants to be called again. */
static void
pass_to_wake (void)
{
  assert_true (fence_wake_ms (&fence) != UINT64_MAX);
  pass_ms (fence_wake_ms (&fence) > now_ms ? fence_wake_ms (&fence) - now_ms : 0);
}

static void
answer_ticket (uint64_t ticket, enum kms_class class, const char *reason, bool may_fail_over)
{
  char text[64];
  const struct fence_event event = {.kind = FENCE_EVENT_ANSWER,
                                    .answer = {.ticket = ticket,
                                               .class = class,
                                               .may_fail_over = may_fail_over,
                                               .reason = reason,
                                               .text = text,
                                               .request_id = "id-1"}};

  snprintf (text, sizeof text, "words on %s", reason);
  fence_step (&fence, &event, now_ms, &actions);
}

/* Answers what is asked now. */
static void
answer (enum kms_class class, const char *reason)
{
  assert_int_not_equal (fence.asked.kind, FENCE_ASK_NOTHING);
  answer_ticket (fence.asked.ticket, class, reason, class == KMS_OUTAGE);
}

static void
assert_ask (enum fence_ask_kind kind, unsigned wrap, bool fresh)
{
  assert_int_equal (actions.ask.kind, kind);
  assert_int_equal (actions.ask.wrap, wrap);
  assert_int_equal (actions.ask.fresh, fresh);
  assert_int_not_equal (actions.ask.ticket, 0);
}

static void
assert_quiet (void)
{
  assert_false (actions.open || actions.close || actions.lease || actions.changed);
  assert_int_equal (actions.ask.kind, FENCE_ASK_NOTHING);
}

static void
assert_fenced (const char *reason, enum fence_latch latch)
{
  assert_int_equal (fence.state, FENCE_FENCED);
  assert_string_equal (fence.reason, reason);
  assert_int_equal (fence.latch, latch);
  assert_int_equal (fence.lease_until_ms, 0);
}

/* Active by a good answer to the first ask, which took no time. */
static void
open_volume (const struct fence_config *config)
{
  start (config);
  tick ();
  answer (KMS_OK, "ok");
  assert_int_equal (fence.state, FENCE_ACTIVE);
}

/* Active, with a check under way. */
static void
open_and_check (const struct fence_config *config)
{
  open_volume (config);
  pass_to_wake ();
  assert_ask (FENCE_ASK_CHECK, 0, false);
}

static void
fence_by_denial (const struct fence_config *config)
{
  open_and_check (config);
  answer (KMS_DENIED, "key_disabled");
  pass_to_wake ();
  answer (KMS_DENIED, "key_disabled");
  assert_int_equal (fence.state, FENCE_FENCED);
}

static struct fence_config
with_secondaries (unsigned wraps)
{
  struct fence_config config = defaults;

  config.wrap_count = wraps;
  return config;
}

/* ---- starting ---- */

static void
it_starts_fenced_and_asks_for_the_key_at_once (void **state)
{
  (void)state;
  start (&defaults);
  assert_fenced ("starting", FENCE_NOT_LATCHED);
  assert_true (fence_wake_ms (&fence) == now_ms);
  tick ();
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  assert_false (actions.changed);
  tick ();
  assert_quiet ();
}

static void
the_key_opens_it_with_a_lease_from_when_it_was_asked (void **state)
{
  (void)state;
  start (&defaults);
  tick ();
  now_ms += 3000;
  answer (KMS_OK, "ok");
  assert_true (actions.open && actions.lease && actions.changed && !actions.close);
  assert_int_equal (fence.state, FENCE_ACTIVE);
  assert_string_equal (fence.reason, "ok");
  assert_string_equal (fence.detail, "");
  assert_true (fence.lease_until_ms == now_ms - 3000 + HOUR_MS);
}

static void
a_failed_start_is_told_and_tried_again_every_interval (void **state)
{
  (void)state;
  start (&defaults);
  tick ();
  answer (KMS_DENIED, "access_denied");
  assert_quiet ();
  assert_fenced ("access_denied", FENCE_NOT_LATCHED);
  assert_string_equal (fence.request_id, "id-1");
  assert_true (fence_wake_ms (&fence) <= now_ms + 30000);
  assert_true (fence_wake_ms (&fence) >= now_ms + 24000);
  pass_to_wake ();
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
}

/* ---- checks and the lease ---- */

static void
checks_come_every_interval_or_up_to_a_fifth_earlier (void **state)
{
  uint64_t least_ms = UINT64_MAX, most_ms = 0;

  (void)state;
  open_volume (&defaults);
  for (int i = 0; i < 2000; i++) {
    uint64_t before_ms = now_ms;

    pass_to_wake ();
    assert_ask (FENCE_ASK_CHECK, 0, false);
    least_ms = MIN (least_ms, now_ms - before_ms);
    most_ms = MAX (most_ms, now_ms - before_ms);
    answer (KMS_OK, "ok");
    assert_true (actions.lease && !actions.changed && !actions.open);
  }
  assert_true (least_ms >= 24000 && least_ms < 24600);
  assert_true (most_ms <= 30000 && most_ms > 29400);
}

static void
a_check_follows_at_once_on_a_round_that_took_longer_than_the_interval (void **state)
{
  struct fence_config config = defaults;

  (void)state;
  config.check_interval_ms = 1000;
  open_and_check (&config);
  now_ms += 4000;
  answer (KMS_OK, "ok");
  assert_ask (FENCE_ASK_CHECK, 0, false);
}

static void
an_outage_is_grace_until_the_lease_ends (void **state)
{
  (void)state;
  open_volume (&defaults);
  while (now_ms < fence.lease_until_ms - 31000) {
    pass_to_wake ();
    answer (KMS_OUTAGE, "timeout");
    assert_int_equal (fence.state, FENCE_GRACE);
    assert_false (actions.close);
  }
  now_ms = fence.lease_until_ms - 1;
  happen (FENCE_EVENT_CHECK);
  answer (KMS_OUTAGE, "throttled");
  assert_int_equal (fence.state, FENCE_GRACE);
  pass_ms (1);
  assert_true (actions.close && actions.changed);
  assert_fenced ("throttled", FENCE_NOT_LATCHED);
}

static void
every_failure_but_denied_and_corrupt_is_an_outage (void **state)
{
  static const enum kms_class classes[] = {KMS_OUTAGE, KMS_CREDENTIALS, KMS_CLOCK, KMS_CONFIG};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (classes); i++) {
    open_and_check (&defaults);
    answer (classes[i], "why");
    assert_int_equal (fence.state, FENCE_GRACE);
    assert_string_equal (fence.reason, "why");
    assert_true (actions.changed && !actions.close && !actions.lease);
    pass_to_wake ();
    answer (KMS_OK, "ok");
    assert_int_equal (fence.state, FENCE_ACTIVE);
    assert_true (actions.changed && actions.lease && !actions.open);
  }
}

static void
without_grace_the_first_failed_check_fences (void **state)
{
  struct fence_config config = defaults;

  (void)state;
  config.grace_ms = 0;
  open_and_check (&config);
  answer (KMS_OUTAGE, "timeout");
  assert_true (actions.close && actions.changed);
  assert_fenced ("timeout", FENCE_NOT_LATCHED);
}

static void
a_machine_that_slept_past_its_lease_is_fenced_and_asks_at_once (void **state)
{
  (void)state;
  open_volume (&defaults);
  pass_ms (HOUR_MS);
  assert_true (actions.close);
  assert_fenced ("lease", FENCE_NOT_LATCHED);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  answer (KMS_OK, "ok");
  assert_true (actions.open);
}

static void
the_end_of_a_lease_asks_for_the_key_as_soon_as_the_asker_is_free (void **state)
{
  uint64_t ticket;

  (void)state;
  open_volume (&defaults);
  now_ms = fence.lease_until_ms - 1;
  tick ();
  ticket = actions.ask.ticket;
  pass_ms (1);
  assert_true (actions.close);
  assert_int_equal (actions.ask.kind, FENCE_ASK_NOTHING);
  answer_ticket (ticket, KMS_OK, "ok", false);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
}

static void
a_good_answer_at_the_end_of_the_lease_comes_too_late (void **state)
{
  (void)state;
  open_and_check (&defaults);
  now_ms = fence.lease_until_ms;
  answer (KMS_OK, "ok");
  assert_true (actions.close && !actions.lease);
  assert_int_equal (fence.state, FENCE_FENCED);
}

static void
an_unanswered_check_counts_once_and_nothing_else_is_asked_meanwhile (void **state)
{
  (void)state;
  open_and_check (&defaults);
  pass_ms (ASK_MS - 1);
  assert_quiet ();
  pass_ms (1);
  assert_int_equal (fence.state, FENCE_GRACE);
  assert_string_equal (fence.reason, "no_answer");
  pass_ms (60000);
  assert_quiet ();
  answer (KMS_OK, "ok"); /* too late: only the asker is free again */
  assert_int_equal (fence.state, FENCE_GRACE);
  assert_false (actions.lease);
  assert_ask (FENCE_ASK_CHECK, 0, false);
}

static void
a_late_denial_by_the_primary_is_still_one (void **state)
{
  (void)state;
  open_and_check (&defaults);
  pass_ms (ASK_MS);
  pass_ms (1000);
  answer (KMS_DENIED, "key_disabled");
  assert_true (fence.confirming && actions.lease);
  assert_true (fence.lease_until_ms == now_ms + 5000 + ASK_MS);
}

static void
an_answer_to_nothing_that_was_asked_is_ignored (void **state)
{
  struct fence before;

  (void)state;
  open_and_check (&defaults);
  before = fence;
  answer_ticket (fence.asked.ticket + 1, KMS_CORRUPT, "wrong_key", false);
  answer_ticket (0, KMS_DENIED, "denied", false);
  assert_quiet ();
  assert_memory_equal (&before, &fence, sizeof fence);
}

/* ---- denials ---- */

static void
a_denial_is_confirmed_after_the_delay_with_fresh_credentials (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_DENIED, "key_disabled");
  assert_int_equal (fence.state, FENCE_ACTIVE);
  assert_string_equal (fence.reason, "key_disabled");
  assert_false (actions.close || actions.changed);
  assert_true (fence_wake_ms (&fence) == now_ms + 5000);
  pass_ms (4999);
  assert_quiet ();
  pass_ms (1);
  assert_ask (FENCE_ASK_CHECK, 0, true);
  answer (KMS_DENIED, "key_disabled");
  assert_true (actions.close && actions.changed);
  assert_fenced ("key_disabled", FENCE_NOT_LATCHED);
}

static void
a_good_confirmation_cancels_the_denial (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_DENIED, "access_denied");
  pass_to_wake ();
  answer (KMS_OK, "ok");
  assert_int_equal (fence.state, FENCE_ACTIVE);
  assert_string_equal (fence.reason, "ok");
  assert_false (fence.confirming || fence.denied);
  assert_true (actions.lease && fence.lease_until_ms == now_ms + HOUR_MS);
}

static void
a_denial_is_not_cancelled_by_an_outage (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_DENIED, "key_disabled");
  pass_to_wake ();
  answer (KMS_OUTAGE, "timeout");
  assert_true (actions.close);
  assert_fenced ("key_disabled", FENCE_NOT_LATCHED);
  assert_non_null (strstr (fence.detail, "words on key_disabled"));
  assert_non_null (strstr (fence.detail, "words on timeout"));
}

static void
a_denial_without_a_confirmation_in_time_fences (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_DENIED, "key_disabled");
  pass_to_wake ();
  pass_ms (ASK_MS - 1);
  assert_int_equal (fence.state, FENCE_ACTIVE);
  pass_ms (1);
  assert_true (actions.close);
  assert_fenced ("key_disabled", FENCE_NOT_LATCHED);
}

static void
a_denial_cuts_the_lease_so_that_nobody_needs_to_be_awake (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_DENIED, "key_disabled");
  assert_true (actions.lease);
  assert_true (fence.lease_until_ms == now_ms + 5000 + ASK_MS);
}

static void
a_denial_never_lengthens_the_lease (void **state)
{
  uint64_t until_ms;

  (void)state;
  open_volume (&defaults);
  until_ms = fence.lease_until_ms;
  now_ms = until_ms - 1000;
  tick ();
  answer (KMS_DENIED, "key_disabled");
  assert_true (fence.lease_until_ms == until_ms);
  pass_ms (1000);
  assert_true (actions.close);
  assert_string_equal (fence.reason, "key_disabled");
}

static void
without_a_delay_the_confirmation_is_asked_for_at_once (void **state)
{
  struct fence_config config = defaults;

  (void)state;
  config.confirm_delay_ms = 0;
  open_and_check (&config);
  answer (KMS_DENIED, "key_disabled");
  assert_int_equal (fence.state, FENCE_ACTIVE);
  assert_ask (FENCE_ASK_CHECK, 0, true);
}

static void
a_denial_during_grace_is_confirmed_as_well (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_OUTAGE, "timeout");
  pass_to_wake ();
  answer (KMS_DENIED, "key_disabled");
  assert_int_equal (fence.state, FENCE_GRACE);
  pass_to_wake ();
  assert_ask (FENCE_ASK_CHECK, 0, true);
  answer (KMS_OK, "ok");
  assert_int_equal (fence.state, FENCE_ACTIVE);
}

static void
a_denial_while_fenced_needs_no_confirmation (void **state)
{
  (void)state;
  fence_by_denial (&defaults);
  pass_to_wake ();
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  answer (KMS_DENIED, "pending_deletion");
  assert_quiet ();
  assert_string_equal (fence.reason, "pending_deletion");
  assert_true (fence_wake_ms (&fence) > now_ms + 20000);
}

static void
access_that_is_back_opens_it_again (void **state)
{
  uint64_t fenced_ms;

  (void)state;
  fence_by_denial (&defaults);
  fenced_ms = now_ms;
  pass_to_wake ();
  assert_true (now_ms <= fenced_ms + 30000);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  assert_true (fence_awaits_key (&fence, actions.ask.ticket));
  assert_false (fence_awaits_key (&fence, actions.ask.ticket + 1));
  answer (KMS_OK, "ok");
  assert_true (actions.open && actions.lease && actions.changed);
  assert_int_equal (fence.state, FENCE_ACTIVE);
}

/* ---- corrupt ---- */

static void
corrupt_fences_at_once_and_stays_so (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_CORRUPT, "wrong_key");
  assert_true (actions.close && actions.changed);
  assert_fenced ("wrong_key", FENCE_LATCH_CORRUPT);
  assert_true (fence_wake_ms (&fence) == UINT64_MAX);
  pass_ms (100 * HOUR_MS);
  assert_quiet ();
}

static void
a_corrupt_volume_key_is_latched (void **state)
{
  (void)state;
  start (&defaults);
  tick ();
  answer (KMS_CORRUPT, "header");
  assert_fenced ("header", FENCE_LATCH_CORRUPT);
  happen (FENCE_EVENT_FENCE);
  assert_fenced ("header", FENCE_LATCH_CORRUPT);
  happen (FENCE_EVENT_UNFENCE);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
}

/* ---- secondaries ---- */

static void
secondaries_are_asked_in_their_order_in_an_outage_of_the_primary (void **state)
{
  struct fence_config config = with_secondaries (3);

  (void)state;
  open_and_check (&config);
  answer (KMS_OUTAGE, "timeout");
  assert_ask (FENCE_ASK_CHECK, 1, false);
  assert_int_equal (fence.state, FENCE_ACTIVE);
  now_ms += 100;
  answer (KMS_OUTAGE, "throttled");
  assert_ask (FENCE_ASK_CHECK, 2, false);
  now_ms += 100;
  answer (KMS_OK, "ok");
  assert_int_equal (fence.state, FENCE_ACTIVE);
  assert_int_equal (fence.held_by, 2);
  assert_string_equal (fence.reason, "ok");
  assert_non_null (strstr (fence.detail, "held by secondary 2"));
  assert_true (fence.lease_until_ms == now_ms - 100 + fence_lease_ms (&config));
}

static void
the_primary_is_what_counts_when_no_wrap_is_good (void **state)
{
  struct fence_config config = with_secondaries (2);

  (void)state;
  config.grace_ms = 0;
  open_and_check (&config);
  answer (KMS_OUTAGE, "timeout");
  assert_false (actions.close);
  answer (KMS_DENIED, "key_disabled");
  assert_true (actions.close);
  assert_fenced ("timeout", FENCE_NOT_LATCHED);
  assert_false (fence.denied);
}

static void
a_corrupt_secondary_latches_nothing_but_is_told (void **state)
{
  struct fence_config config = with_secondaries (2);

  (void)state;
  open_and_check (&config);
  answer (KMS_OUTAGE, "timeout");
  answer (KMS_CORRUPT, "wrong_key");
  assert_int_equal (fence.state, FENCE_GRACE);
  assert_int_equal (fence.latch, FENCE_NOT_LATCHED);
  assert_non_null (strstr (fence.detail, "secondary 1: wrong_key"));
}

static void
no_secondary_is_asked_when_the_name_does_not_exist (void **state)
{
  struct fence_config config = with_secondaries (2);

  (void)state;
  open_and_check (&config);
  answer_ticket (fence.asked.ticket, KMS_OUTAGE, "nxdomain", false);
  assert_int_equal (fence.state, FENCE_GRACE);
  assert_int_equal (actions.ask.kind, FENCE_ASK_NOTHING);
}

static void
no_secondary_is_asked_between_a_denial_and_the_next_good_answer (void **state)
{
  struct fence_config config = with_secondaries (2);

  (void)state;
  fence_by_denial (&config);
  for (int i = 0; i < 3; i++) {
    pass_to_wake ();
    assert_ask (FENCE_ASK_UNLOCK, 0, false);
    answer (KMS_OUTAGE, "timeout");
    assert_int_equal (actions.ask.kind, FENCE_ASK_NOTHING);
  }
  pass_to_wake ();
  answer (KMS_OK, "ok");
  assert_int_equal (fence.state, FENCE_ACTIVE);
  pass_to_wake ();
  answer (KMS_OUTAGE, "timeout");
  assert_ask (FENCE_ASK_CHECK, 1, false);
}

static void
no_secondary_is_asked_behind_an_unanswered_ask (void **state)
{
  struct fence_config config = with_secondaries (2);

  (void)state;
  open_and_check (&config);
  pass_ms (ASK_MS);
  assert_int_equal (fence.state, FENCE_GRACE);
  answer (KMS_OUTAGE, "timeout");
  assert_int_equal (actions.ask.kind, FENCE_ASK_NOTHING);
}

static void
a_secondary_opens_it_in_an_outage_of_the_primary (void **state)
{
  struct fence_config config = with_secondaries (2);

  (void)state;
  start (&config);
  tick ();
  answer (KMS_OUTAGE, "connect");
  assert_ask (FENCE_ASK_UNLOCK, 1, false);
  answer (KMS_OK, "ok");
  assert_true (actions.open);
  assert_int_equal (fence.held_by, 1);
}

/* ---- recovery by hand, and its window ---- */

static void
recover_manual_waits_for_the_operator (void **state)
{
  struct fence_config config = defaults;

  (void)state;
  config.recover_manual = true;
  fence_by_denial (&config);
  assert_fenced ("key_disabled", FENCE_LATCH_MANUAL);
  assert_true (fence_wake_ms (&fence) == UINT64_MAX);
  happen (FENCE_EVENT_UNFENCE);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  answer (KMS_OUTAGE, "timeout"); /* the permission stays until it is active */
  assert_int_equal (fence.latch, FENCE_NOT_LATCHED);
  pass_to_wake ();
  answer (KMS_OK, "ok");
  assert_true (actions.open);
  happen (FENCE_EVENT_CHECK);
  answer (KMS_CORRUPT, "wrong_key");
  assert_int_equal (fence.latch, FENCE_LATCH_CORRUPT);
}

static void
recover_manual_gives_one_round_at_the_start (void **state)
{
  struct fence_config config = defaults;

  (void)state;
  config.recover_manual = true;
  open_volume (&config);
  start (&config);
  tick ();
  answer (KMS_OUTAGE, "timeout");
  assert_fenced ("timeout", FENCE_LATCH_MANUAL);
}

static void
the_recovery_window_ends (void **state)
{
  struct fence_config config = defaults;
  uint64_t fenced_ms, ticket;

  (void)state;
  config.recover_window_ms = 45000;
  fence_by_denial (&config);
  fenced_ms = now_ms;
  pass_to_wake ();
  answer (KMS_DENIED, "key_disabled");
  now_ms = fenced_ms + 44999;
  happen (FENCE_EVENT_CHECK);
  ticket = actions.ask.ticket;
  assert_true (fence_awaits_key (&fence, ticket));
  pass_ms (1);
  assert_fenced ("key_disabled", FENCE_LATCH_WINDOW);
  assert_false (fence_awaits_key (&fence, ticket));
  answer (KMS_OK, "ok");
  assert_false (actions.open);
  assert_true (actions.close); /* whoever brought the key wipes it */
  happen (FENCE_EVENT_UNFENCE);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  answer (KMS_DENIED, "key_disabled");
  pass_ms (10 * config.recover_window_ms); /* it does not strike again */
  assert_int_equal (fence.latch, FENCE_NOT_LATCHED);
}

/* ---- the operator ---- */

static void
an_operator_fences_at_once_and_for_as_long_as_he_wants (void **state)
{
  const struct fence_event event = {.kind = FENCE_EVENT_FENCE, .answer = {.text = "a drill"}};
  uint64_t ticket;

  (void)state;
  open_and_check (&defaults);
  ticket = actions.ask.ticket;
  fence_step (&fence, &event, now_ms, &actions);
  assert_true (actions.close && actions.changed);
  assert_fenced ("operator", FENCE_LATCH_OPERATOR);
  assert_string_equal (fence.detail, "a drill");
  answer_ticket (ticket, KMS_OK, "ok", false);
  assert_quiet ();
  pass_ms (HOUR_MS);
  assert_quiet ();
  happen (FENCE_EVENT_UNFENCE);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
}

static void
fenced_again_without_a_reason_it_keeps_the_first (void **state)
{
  const struct fence_event event = {.kind = FENCE_EVENT_FENCE, .answer = {.text = "a drill"}};

  (void)state;
  open_and_check (&defaults);
  fence_step (&fence, &event, now_ms, &actions);
  happen (FENCE_EVENT_FENCE);
  assert_string_equal (fence.detail, "a drill");
}

static void
a_key_that_comes_after_the_operator_fenced_is_wiped (void **state)
{
  (void)state;
  start (&defaults);
  tick ();
  happen (FENCE_EVENT_FENCE);
  assert_false (fence_awaits_key (&fence, fence.asked.ticket));
  assert_fenced ("operator", FENCE_LATCH_OPERATOR);
  answer (KMS_OK, "ok");
  assert_true (actions.close && !actions.open);
  assert_int_equal (fence.state, FENCE_FENCED);
}

static void
unfencing_waits_for_the_one_who_is_still_busy (void **state)
{
  uint64_t ticket;

  (void)state;
  start (&defaults);
  tick ();
  ticket = actions.ask.ticket;
  happen (FENCE_EVENT_FENCE);
  happen (FENCE_EVENT_UNFENCE);
  assert_int_equal (actions.ask.kind, FENCE_ASK_NOTHING);
  answer (KMS_OK, "ok");
  assert_false (actions.open);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
  assert_int_not_equal (actions.ask.ticket, ticket);
}

static void
unfencing_an_active_volume_changes_nothing (void **state)
{
  (void)state;
  open_volume (&defaults);
  happen (FENCE_EVENT_UNFENCE);
  assert_quiet ();
  assert_false (fence.permitted);
}

static void
an_operator_has_it_checked_at_once (void **state)
{
  (void)state;
  open_volume (&defaults);
  pass_ms (10);
  happen (FENCE_EVENT_CHECK);
  assert_ask (FENCE_ASK_CHECK, 0, false);
  happen (FENCE_EVENT_CHECK);
  assert_quiet ();
  answer (KMS_DENIED, "key_disabled");
  happen (FENCE_EVENT_CHECK);
  assert_quiet ();
  pass_to_wake ();
  answer (KMS_DENIED, "key_disabled");
  pass_ms (10);
  happen (FENCE_EVENT_CHECK);
  assert_ask (FENCE_ASK_UNLOCK, 0, false);
}

static void
a_check_of_a_latched_volume_only_tells (void **state)
{
  (void)state;
  open_and_check (&defaults);
  answer (KMS_CORRUPT, "wrong_key");
  for (int i = 0; i < 3; i++) {
    happen (FENCE_EVENT_CHECK);
    assert_ask (FENCE_ASK_CHECK, 0, false);
    answer (i == 1 ? KMS_DENIED : KMS_OK, i == 1 ? "key_disabled" : "ok");
    assert_quiet ();
    assert_fenced ("wrong_key", FENCE_LATCH_CORRUPT);
    assert_string_equal (fence.detail,
                         i == 1 ? "words on wrong_key; checked by hand: words on key_disabled"
                                : "words on wrong_key; access is back: keyfence unfence opens it");
  }
}

/* ---- words and sums ---- */

static void
the_bound_is_what_the_parts_add_up_to (void **state)
{
  const struct fence_config fast = {.check_interval_ms = 1000,
                                    .check_timeout_ms = 1000,
                                    .confirm_delay_ms = 1000,
                                    .wrap_count = 1};
  struct fence_config many = fast;

  (void)state;
  many.wrap_count = 5;
  assert_int_equal (fence_bound_ms (&fast), 4750);
  assert_int_equal (fence_bound_ms (&many), 5 * 1250 + 3500);
  assert_int_equal (fence_bound_ms (&defaults), 30000 + 2 * ASK_MS + 5000);
}

static void
a_lease_lasts_the_grace_or_one_cycle (void **state)
{
  struct fence_config config = defaults;

  (void)state;
  assert_true (fence_lease_ms (&config) == HOUR_MS);
  config.grace_ms = 0;
  assert_int_equal (fence_lease_ms (&config), fence_bound_ms (&config));
  config.wrap_count = 5;
  assert_int_equal (fence_lease_ms (&config), 30000 + 5 * ASK_MS);
  config.grace_ms = UINT64_MAX;
  assert_true (fence_lease_ms (&config) == UINT64_MAX);
}

static void
long_words_are_cut_between_characters (void **state)
{
  char text[600], id[300];
  struct fence_event event = {.kind = FENCE_EVENT_ANSWER,
                              .answer = {.class = KMS_OUTAGE,
                                         .reason = "a_reason_that_is_longer_than_any_that_there_is",
                                         .text = text,
                                         .request_id = id}};

  (void)state;
  memset (id, 'i', sizeof id - 1);
  id[sizeof id - 1] = '\0';
  for (size_t i = 0; i + 2 < sizeof text; i += 2)
    memcpy (text + i, "\xc3\xa4", 2);
  text[sizeof text - 2] = '\0';
  open_and_check (&defaults);
  event.answer.ticket = fence.asked.ticket;
  fence_step (&fence, &event, now_ms, &actions);
  assert_int_equal (strlen (fence.reason), sizeof fence.reason - 1);
  assert_int_equal (strlen (fence.request_id), sizeof fence.request_id - 1);
  assert_int_equal (strlen (fence.detail), sizeof fence.detail - 1);
  assert_true (kms_text_clean (fence.detail));
}

static void
states_and_latches_have_names (void **state)
{
  (void)state;
  assert_string_equal (fence_state_name (FENCE_ACTIVE), "active");
  assert_string_equal (fence_state_name (FENCE_GRACE), "grace");
  assert_string_equal (fence_state_name (FENCE_FENCED), "fenced");
  assert_string_equal (fence_latch_name (FENCE_NOT_LATCHED), "");
  assert_string_equal (fence_latch_name (FENCE_LATCH_WINDOW), "window");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (it_starts_fenced_and_asks_for_the_key_at_once),
      cmocka_unit_test (the_key_opens_it_with_a_lease_from_when_it_was_asked),
      cmocka_unit_test (a_failed_start_is_told_and_tried_again_every_interval),
      cmocka_unit_test (checks_come_every_interval_or_up_to_a_fifth_earlier),
      cmocka_unit_test (a_check_follows_at_once_on_a_round_that_took_longer_than_the_interval),
      cmocka_unit_test (an_outage_is_grace_until_the_lease_ends),
      cmocka_unit_test (every_failure_but_denied_and_corrupt_is_an_outage),
      cmocka_unit_test (without_grace_the_first_failed_check_fences),
      cmocka_unit_test (a_machine_that_slept_past_its_lease_is_fenced_and_asks_at_once),
      cmocka_unit_test (the_end_of_a_lease_asks_for_the_key_as_soon_as_the_asker_is_free),
      cmocka_unit_test (a_good_answer_at_the_end_of_the_lease_comes_too_late),
      cmocka_unit_test (an_unanswered_check_counts_once_and_nothing_else_is_asked_meanwhile),
      cmocka_unit_test (a_late_denial_by_the_primary_is_still_one),
      cmocka_unit_test (an_answer_to_nothing_that_was_asked_is_ignored),
      cmocka_unit_test (a_denial_is_confirmed_after_the_delay_with_fresh_credentials),
      cmocka_unit_test (a_good_confirmation_cancels_the_denial),
      cmocka_unit_test (a_denial_is_not_cancelled_by_an_outage),
      cmocka_unit_test (a_denial_without_a_confirmation_in_time_fences),
      cmocka_unit_test (a_denial_cuts_the_lease_so_that_nobody_needs_to_be_awake),
      cmocka_unit_test (a_denial_never_lengthens_the_lease),
      cmocka_unit_test (without_a_delay_the_confirmation_is_asked_for_at_once),
      cmocka_unit_test (a_denial_during_grace_is_confirmed_as_well),
      cmocka_unit_test (a_denial_while_fenced_needs_no_confirmation),
      cmocka_unit_test (access_that_is_back_opens_it_again),
      cmocka_unit_test (corrupt_fences_at_once_and_stays_so),
      cmocka_unit_test (a_corrupt_volume_key_is_latched),
      cmocka_unit_test (secondaries_are_asked_in_their_order_in_an_outage_of_the_primary),
      cmocka_unit_test (the_primary_is_what_counts_when_no_wrap_is_good),
      cmocka_unit_test (a_corrupt_secondary_latches_nothing_but_is_told),
      cmocka_unit_test (no_secondary_is_asked_when_the_name_does_not_exist),
      cmocka_unit_test (no_secondary_is_asked_between_a_denial_and_the_next_good_answer),
      cmocka_unit_test (no_secondary_is_asked_behind_an_unanswered_ask),
      cmocka_unit_test (a_secondary_opens_it_in_an_outage_of_the_primary),
      cmocka_unit_test (recover_manual_waits_for_the_operator),
      cmocka_unit_test (recover_manual_gives_one_round_at_the_start),
      cmocka_unit_test (the_recovery_window_ends),
      cmocka_unit_test (an_operator_fences_at_once_and_for_as_long_as_he_wants),
      cmocka_unit_test (fenced_again_without_a_reason_it_keeps_the_first),
      cmocka_unit_test (a_key_that_comes_after_the_operator_fenced_is_wiped),
      cmocka_unit_test (unfencing_waits_for_the_one_who_is_still_busy),
      cmocka_unit_test (unfencing_an_active_volume_changes_nothing),
      cmocka_unit_test (an_operator_has_it_checked_at_once),
      cmocka_unit_test (a_check_of_a_latched_volume_only_tells),
      cmocka_unit_test (the_bound_is_what_the_parts_add_up_to),
      cmocka_unit_test (a_lease_lasts_the_grace_or_one_cycle),
      cmocka_unit_test (long_words_are_cut_between_characters),
      cmocka_unit_test (states_and_latches_have_names),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
