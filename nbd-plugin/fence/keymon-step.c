/* keymon-step.c owns what goes into the state machine, and the doing of what comes out. */
#include "nbd-plugin/fence/keymon-state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"

/* How often the key's expiry date is asked for, and how soon again when there was no answer. */
#define EXPIRY_EVERY_MS (UINT64_C (3600) * 1000)
#define EXPIRY_RETRY_MS (UINT64_C (600) * 1000)

/* Reloads and questions for the expiry date are asked between two checks, and are given no more
 * time than there is until the next: a check never waits for them.  They begin when a round has
 * just ended, or when half of the time between two rounds is left: who has only moments fails,
 * however well the key service is, and may cost the agent its life.
 */
#define SPARE_MIN_MS 50
#define RELOAD_TRIES 8

int64_t
wall_clock_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- doing ---- */

static void
close_and_wipe (struct keymon *keymon)
{
  struct timespec from, to;

  gate_close (&keymon->volume->gate);
  clock_gettime (CLOCK_MONOTONIC, &from);
  keys_wipe (keymon->volume->keys);
  clock_gettime (CLOCK_MONOTONIC, &to);
  keymon->last_wipe_us =
      (int64_t)(to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
  settle_now (keymon->settler);
}

void
keymon_close_for_good (struct keymon *keymon)
{
  const char *from = fence_state_name (keymon->fence.state);

  close_and_wipe (keymon);
  keymon->quitted = true;
  keymon->fence.state = FENCE_FENCED;
  snprintf (keymon->fence.reason, sizeof keymon->fence.reason, "stopping");
  snprintf (keymon->fence.detail, sizeof keymon->fence.detail,
            "the server was told to end and waits for its clients to go");
  keymon_tell_state (keymon, from);
}

void
keymon_tell_state (struct keymon *keymon, const char *from)
{
  const struct fence *fence = &keymon->fence;
  struct tell_change change = {.time_unix_ms = wall_clock_ms (),
                               .bound_s = (double)fence_bound_ms (&fence->config) / 1000};

  snprintf (change.from, sizeof change.from, "%s", from);
  snprintf (change.state, sizeof change.state, "%s", fence_state_name (fence->state));
  snprintf (change.reason, sizeof change.reason, "%s", fence->reason);
  snprintf (change.detail, sizeof change.detail, "%s", fence->detail);
  snprintf (change.request_id, sizeof change.request_id, "%s", fence->request_id);
  snprintf (change.key, sizeof change.key, "%s", keymon->wraps.keys[0]);
  history_change (&keymon->history, &change);
  tell_change (keymon->teller, &change);
}

static void
submit (struct keymon *keymon, const struct asker_job *job)
{
  keymon->asker_busy = true;
  asker_submit (keymon->asker, job);
}

static void
submit_ask (struct keymon *keymon, const struct fence_ask *ask)
{
  struct asker_job job = {.kind = ask->kind == FENCE_ASK_CHECK ? ASKER_CHECK : ASKER_UNLOCK,
                          .wrap = ask->wrap,
                          .fresh = ask->fresh,
                          .ticket = ask->ticket,
                          .timeout_ms = (uint32_t)keymon->volume->params.check_timeout_ms};

  submit (keymon, &job);
}

static void
act (struct keymon *keymon, const struct fence_actions *actions, const char *from)
{
  if (actions->close)
    close_and_wipe (keymon);
  if (actions->open || actions->lease)
    gate_open (&keymon->volume->gate, keymon->fence.lease_until_ms);
  if (actions->changed)
    keymon_tell_state (keymon, keymon->first_round_over ? from : "starting");
  if (actions->ask.kind == FENCE_ASK_NOTHING)
    return;
  if (keymon->asker_busy)
    keymon->held = actions->ask;
  else
    submit_ask (keymon, &actions->ask);
}

/* Returns whether the gate was opened by it. */
static bool
feed (struct keymon *keymon, const struct fence_event *event)
{
  const char *from = fence_state_name (keymon->fence.state);
  struct fence_actions actions;

  fence_step (&keymon->fence, event, clock_ms (), &actions);
  act (keymon, &actions, from);
  return actions.open;
}

/* ---- answers ---- */

static void
remember (struct keymon *keymon, const struct asker_answer *answer)
{
  static const char *const names[] = {[ASKER_CHECK] = "check",
                                      [ASKER_UNLOCK] = "unwrap",
                                      [ASKER_RELOAD] = "reload",
                                      [ASKER_EXPIRY] = "expiry"};
  const struct kms_outcome *outcome = &answer->outcome;
  struct tell_operation operation = {.time_unix_ms = wall_clock_ms (),
                                     .class = outcome->class,
                                     .duration_ms = outcome->duration_ms};

  snprintf (operation.operation, sizeof operation.operation, "%s", names[answer->job.kind]);
  snprintf (operation.role, sizeof operation.role, "%s",
            answer->secondary ? "secondary" : "primary");
  snprintf (operation.key, sizeof operation.key, "%s", answer->key);
  snprintf (operation.reason, sizeof operation.reason, "%s",
            outcome->class == KMS_OK ? "ok" : outcome->reason);
  snprintf (operation.request_id, sizeof operation.request_id, "%s", outcome->request_id);
  history_operation (&keymon->history, &operation);
  tell_operation (keymon->teller, &operation);
}

/* Whether the date that is known fences, and has passed. */
static bool
date_has_passed (const struct keymon *keymon)
{
  return keymon->volume->params.expiry_fences && keymon->expires_unix_s > 0
         && wall_clock_ms () / 1000 >= keymon->expires_unix_s;
}

/* What is known may be an hour old, and the owner may have moved the date since: it is asked for
 * once more before it is taken as a denial, and again and again while it is.
 */
static bool
has_expired (struct keymon *keymon)
{
  bool passed = date_has_passed (keymon);

  if (passed)
    keymon->expiry_due_ms = 0;
  return passed && keymon->expiry_asked_late;
}

static void
take_wraps (struct keymon *keymon, const struct asker_answer *answer)
{
  if (!answer->has_wraps)
    return;
  if (strcmp (keymon->wraps.keys[0], answer->wraps.keys[0]) != 0) {
    keymon->expires_unix_s = KEYMON_UNKNOWN;
    keymon->expiry_asked_late = false;
    keymon->expiry_due_ms = 0;
  }
  keymon->wraps = answer->wraps;
  keymon->fence.config.wrap_count = answer->wraps.count;
}

/* The key goes into the contexts if the machine would open by it, and out of secret memory. */
static void
take_key (struct keymon *keymon, struct asker_answer *answer)
{
  struct error err = {0};

  if (answer->outcome.class == KMS_OK && answer->job.kind == ASKER_UNLOCK
      && fence_awaits_key (&keymon->fence, answer->job.ticket)
      && keys_set (keymon->volume->keys, &answer->volume_key, &err) < 0)
    kms_outcome_set (&answer->outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  secret_clear (&answer->volume_key);
}

static void
take_access (struct keymon *keymon, struct asker_answer *answer)
{
  const struct kms_outcome *outcome = &answer->outcome;
  struct fence_event event = {.kind = FENCE_EVENT_ANSWER};

  if (answer->outcome.class == KMS_OK && answer->job.wrap == 0 && has_expired (keymon))
    kms_outcome_set (&answer->outcome, KMS_DENIED, "key_expired",
                     "%s has passed its expiry date, and key-expiry=fence takes that as a denial; "
                     "set a later date, or rotate the key and rewrap",
                     answer->key);
  if (keymon->has_unwrapped && answer->job.wrap == 0)
    kms_outcome_of_served_key (&answer->outcome);
  keymon->has_unwrapped |= answer->outcome.class == KMS_OK && answer->job.wrap == 0;
  take_key (keymon, answer);
  keymon->round_just_ended = true;
  keymon->last = *outcome;
  keymon->last_check_unix_s = wall_clock_ms () / 1000;
  event.answer = (struct fence_answer){.ticket = answer->job.ticket,
                                       .class = outcome->class,
                                       .may_fail_over = kms_outcome_may_fail_over (outcome),
                                       .reason = outcome->reason,
                                       .text = outcome->text,
                                       .request_id = outcome->request_id};
  if (!feed (keymon, &event) && keymon->fence.state == FENCE_FENCED)
    keys_wipe (keymon->volume->keys); /* should the machine have changed its mind */
}

/* Where it can't be had any more, the date that was known holds. */
static void
take_expiry (struct keymon *keymon, const struct asker_answer *answer)
{
  static const struct fence_event check = {.kind = FENCE_EVENT_CHECK};
  bool known = answer->outcome.class == KMS_OK, was_late = keymon->expiry_asked_late;

  if (known)
    keymon->expires_unix_s = answer->expires_unix_s;
  keymon->expiry_due_ms = clock_ms () + (known ? EXPIRY_EVERY_MS : EXPIRY_RETRY_MS);
  keymon->expiry_asked_late = date_has_passed (keymon);
  if (keymon->expiry_asked_late != was_late)
    feed (keymon, &check);
}

/* Between two checks that follow each other closely there is less time than a check has: who was
 * not answered in that gets more tries.
 */
static bool
deserves_another_try (const struct keymon *keymon, struct desk_place *place,
                      const struct asker_answer *answer)
{
  return answer->outcome.class == KMS_OUTAGE
         && answer->job.timeout_ms < keymon->volume->params.check_timeout_ms
         && ++place->tries < RELOAD_TRIES;
}

static void
take_reload (struct keymon *keymon, const struct asker_answer *answer)
{
  const struct kms_outcome *outcome = &answer->outcome;
  struct desk_place *place = desk_by_ticket (&keymon->desk, keymon->reload_ticket);

  keymon->reload_ticket = 0;
  if (place && !deserves_another_try (keymon, place, answer))
    desk_done (place, kms_class_name (outcome->class),
               outcome->class == KMS_OK ? "ok" : outcome->reason, outcome->text,
               outcome->request_id);
}

static void
take_answer (struct keymon *keymon)
{
  struct asker_answer *answer = &keymon->answer;

  keymon->has_answer = false;
  keymon->asker_busy = false;
  remember (keymon, answer);
  take_wraps (keymon, answer);
  if (answer->job.kind == ASKER_EXPIRY)
    take_expiry (keymon, answer);
  else if (answer->job.kind == ASKER_RELOAD)
    take_reload (keymon, answer);
  else
    take_access (keymon, answer);
  secret_clear (&answer->volume_key);
}

/* ---- commands ---- */

/* Whether everything that was asked because of a command has been answered. */
static bool
is_settled (const struct keymon *keymon)
{
  const struct fence *fence = &keymon->fence;

  return fence->asked.kind == FENCE_ASK_NOTHING && keymon->held.kind == FENCE_ASK_NOTHING
         && !fence->confirming && fence->next_ask_ms > clock_ms ();
}

static void
begin_command (struct keymon *keymon, struct desk_place *place)
{
  struct fence_event event = {0};
  struct tell_event told = {.time_unix_ms = wall_clock_ms (), .event = "command"};

  snprintf (told.detail, sizeof told.detail, "%s%s%s", desk_command_name (place->result.command),
            place->text[0] ? ": " : "", place->text);
  tell_event (keymon->teller, &told);
  place->stage = DESK_RUNS;
  switch (place->result.command) {
  case DESK_FENCE:
    event.kind = FENCE_EVENT_FENCE;
    event.answer.text = place->text;
    feed (keymon, &event);
    desk_done (place, "ok", "operator", keymon->fence.detail, "");
    break;
  case DESK_UNFENCE:
    if (keymon->fence.state != FENCE_FENCED) {
      desk_done (place, "not_fenced", "not_fenced", "the volume is not fenced", "");
      break;
    }
    event.kind = FENCE_EVENT_UNFENCE;
    feed (keymon, &event);
    break;
  case DESK_CHECK:
    event.kind = FENCE_EVENT_CHECK;
    feed (keymon, &event);
    break;
  case DESK_RELOAD:
    break; /* when there is time */
  }
}

static void
end_commands (struct keymon *keymon)
{
  const struct kms_outcome *last = &keymon->last;

  for (size_t i = 0; i < DESK_PLACES; i++) {
    struct desk_place *place = &keymon->desk.places[i];

    if (place->stage == DESK_RUNS && place->result.command != DESK_RELOAD)
      desk_done (place, kms_class_name (last->class), last->class == KMS_OK ? "ok" : last->reason,
                 last->text, last->request_id);
  }
}

static void
take_commands (struct keymon *keymon)
{
  struct desk_place *place;

  while ((place = desk_find (&keymon->desk, DESK_NEW)) != NULL)
    begin_command (keymon, place);
}

/* ---- what is asked in between ---- */

/* What of `ms` without a check may be used for something else. */
static uint64_t
usable_ms (const struct fence_config *config, uint64_t ms)
{
  return MIN (ms / 8 * 7, config->check_timeout_ms);
}

/* How long the asker may be used for something else now; 0: not at all. */
static uint64_t
spare_ms (const struct keymon *keymon)
{
  const struct fence *fence = &keymon->fence;
  uint64_t now_ms = clock_ms (), left_ms, enough_ms;

  if (keymon->asker_busy || fence->asked.kind != FENCE_ASK_NOTHING || fence->confirming
      || fence->next_ask_ms <= now_ms)
    return 0;
  left_ms = usable_ms (&fence->config, fence->next_ask_ms - now_ms);
  enough_ms = keymon->round_just_ended
                  ? 0
                  : usable_ms (&fence->config, fence->config.check_interval_ms) / 2;
  return left_ms < MAX (enough_ms, SPARE_MIN_MS) ? 0 : left_ms;
}

/* Not while fenced, unless the date is what fences. */
static bool
wants_expiry (const struct keymon *keymon)
{
  return keymon->fence.state != FENCE_FENCED || keymon->expiry_asked_late;
}

static void
use_spare_time (struct keymon *keymon)
{
  uint64_t left_ms = spare_ms (keymon);
  struct asker_job job = {.timeout_ms = (uint32_t)left_ms};

  if (left_ms == 0)
    return;
  for (size_t i = 0; i < DESK_PLACES && keymon->reload_ticket == 0; i++) {
    const struct desk_place *place = &keymon->desk.places[i];

    if (place->stage == DESK_RUNS && place->result.command == DESK_RELOAD)
      keymon->reload_ticket = place->ticket;
  }
  if (keymon->reload_ticket != 0)
    job.kind = ASKER_RELOAD;
  else if (clock_ms () >= keymon->expiry_due_ms && wants_expiry (keymon))
    job.kind = ASKER_EXPIRY;
  else
    return;
  submit (keymon, &job);
}

/* ---- all of it ---- */

void
keymon_step (struct keymon *keymon)
{
  static const struct fence_event tick = {.kind = FENCE_EVENT_TICK};

  if (keymon->has_answer)
    take_answer (keymon);
  take_commands (keymon);
  feed (keymon, &tick);
  if (keymon->held.kind != FENCE_ASK_NOTHING && !keymon->asker_busy) {
    struct fence_ask held = keymon->held;

    keymon->held.kind = FENCE_ASK_NOTHING;
    submit_ask (keymon, &held);
  }
  if (is_settled (keymon))
    end_commands (keymon);
  use_spare_time (keymon);
  keymon->round_just_ended = false;
}

uint64_t
keymon_next_ms (const struct keymon *keymon)
{
  uint64_t next_ms = fence_wake_ms (&keymon->fence);

  if (keymon->quit_at_ms != 0)
    next_ms = MIN (next_ms, keymon->quit_at_ms);
  if (spare_ms (keymon) > 0 && wants_expiry (keymon))
    next_ms = MIN (next_ms, keymon->expiry_due_ms);
  return next_ms;
}
