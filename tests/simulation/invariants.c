/* invariants.c owns the promises of the fence.  Each MUST is one of them; nothing else fails a
 * seed.
 */
#include "tests/simulation/invariants.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"

#define NEVER UINT64_MAX

/* The first broken promise is what is told; what comes after it may be its consequence. */
#define MUST(watch, holds, sentence)  \
  do {                                \
    if (!(holds) && !(watch)->broken) \
      (watch)->broken = (sentence);   \
  } while (0)

const char *
watch_count_name (enum watch_count count)
{
  static const char *const names[WATCH_COUNTS] = {
      [COUNT_STEPS] = "steps",
      [COUNT_OPENED] = "opened",
      [COUNT_FENCED_OPERATOR] = "fenced by hand",
      [COUNT_FENCED_CORRUPT] = "fenced as corrupt",
      [COUNT_FENCED_DENIED] = "fenced as denied",
      [COUNT_FENCED_LEASE] = "fenced at the lease's end",
      [COUNT_FENCED_NO_GRACE] = "fenced without grace",
      [COUNT_CANCELLED] = "denials cancelled",
      [COUNT_FAILED_OVER] = "failed over",
      [COUNT_HELD_BY_SECONDARY] = "held by a secondary",
      [COUNT_LATE] = "answers too late",
      [COUNT_KEY_REFUSED] = "keys refused",
      [COUNT_LATCHED_MANUAL] = "latched, manual",
      [COUNT_LATCHED_WINDOW] = "latched, window",
      [COUNT_PROBED] = "latched and probed",
      [COUNT_REVOKED] = "revoked while open",
  };

  return names[count];
}

static uint64_t
plus (uint64_t a, uint64_t b)
{
  return a > NEVER - b ? NEVER : a + b;
}

void
watch_init (struct watch *watch, const struct fence_config *config, uint64_t now_ms,
            const struct fence *fence)
{
  uint64_t ask_ms = config->check_timeout_ms + FENCE_MARGIN_MS;
  uint64_t all_ms = ask_ms * config->wrap_count, between_ms, denial_ms;

  between_ms = MAX (config->check_interval_ms, all_ms);
  denial_ms = 2 * ask_ms + config->confirm_delay_ms;
  *watch = (struct watch){.config = *config,
                          .ask_ms = ask_ms,
                          .bound_ms = between_ms + denial_ms,
                          .lease_ms = MAX (config->grace_ms, between_ms + MAX (all_ms, denial_ms)),
                          .now_ms = now_ms,
                          .wake_ms = fence_wake_ms (fence),
                          .round_at_ms = now_ms - config->check_interval_ms,
                          .round_is_by_hand = true,
                          .fenced_at_ms = now_ms,
                          .state = FENCE_FENCED};

  /* It starts fenced and asks at once. */
  MUST (watch, fence->state == FENCE_FENCED && fence->latch == FENCE_NOT_LATCHED, "starts fenced");
  MUST (watch, watch->wake_ms <= now_ms, "asks for the key at once");
  /* What users are told is what the parts add up to. */
  MUST (watch, fence_bound_ms (config) == watch->bound_ms, "tells the right bound");
  MUST (watch, fence_lease_ms (config) == watch->lease_ms, "has leases of the right length");
}

/* ---- time ---- */

static bool
is_asking (const struct watch *watch)
{
  return watch->asked.kind != FENCE_ASK_NOTHING;
}

/* Whether the caller or the asker now takes longer than the bound allows for. */
static bool
is_slow (const struct watch *watch, uint64_t now_ms)
{
  if (is_asking (watch))
    return now_ms - watch->due_at_ms >= watch->ask_ms;
  return watch->wake_ms < now_ms && now_ms - watch->wake_ms > FENCE_MARGIN_MS;
}

void
watch_time (struct watch *watch, uint64_t now_ms)
{
  uint64_t served_until_ms = MIN (now_ms, watch->deadline_ms), served_ms;

  MUST (watch, now_ms >= watch->now_ms, "(the simulation's clock runs forward)");
  if (is_slow (watch, now_ms)) {
    watch->disturbed = true;
    if (!watch->heard)
      watch->denied_from_ms = now_ms;
  }
  watch->now_ms = now_ms;
  if (!watch->open || !watch->owner_denies || served_until_ms <= watch->denied_from_ms)
    return;
  /* The bound: from the moment at which the service denies for good, no request passes the gate
   * longer than fence_bound_ms, whoever is late from the denial on.
   */
  served_ms = served_until_ms - watch->denied_from_ms;
  MUST (watch, served_ms <= watch->bound_ms, "never serves after the bound");
  watch->served_permille = MAX (watch->served_permille, served_ms * 1000 / watch->bound_ms);
}

void
watch_owner (struct watch *watch, bool denies)
{
  watch->owner_denies = denies;
  watch->heard = false;
  watch->denied_from_ms = watch->now_ms;
  watch->counts[COUNT_REVOKED] += denies && watch->open && watch->now_ms < watch->deadline_ms;
}

/* ---- what a step was about ---- */

/* What the account says of a call, before it is brought up to date. */
struct seen {
  const struct watch_step *step;
  const struct fence *fence;
  const struct fence_actions *actions;
  uint64_t now_ms;
  bool matched;         /* an answer to the ask under way */
  bool good;            /* and a good one, that was wanted */
  bool primary;         /* and of the primary */
  struct fence_ask ask; /* the ask that was under way */
  bool was_void, was_late;
  bool expired;    /* it is the ask's time that was over, first seen now */
  bool lease_over; /* the lease was over before the event */
  bool window_over;
  bool next_wrap;    /* the round goes on */
  bool confirmation; /* the ask was one */
  bool closed, opened;
};

static struct seen
look (const struct watch *watch, const struct watch_step *step)
{
  struct seen seen = {.step = step,
                      .fence = step->fence,
                      .actions = step->actions,
                      .now_ms = step->now_ms,
                      .ask = watch->asked,
                      .was_void = watch->asked_void,
                      .was_late = watch->overdue};

  seen.lease_over = watch->state != FENCE_FENCED && step->now_ms >= watch->deadline_ms;
  seen.window_over = watch->state == FENCE_FENCED && !watch->permitted
                     && watch->config.recover_window_ms != 0
                     && step->now_ms >= plus (watch->fenced_at_ms, watch->config.recover_window_ms);
  seen.was_void |= seen.lease_over || (seen.window_over && watch->latch == FENCE_NOT_LATCHED);
  seen.matched = is_asking (watch) && step->event->kind == FENCE_EVENT_ANSWER
                 && step->event->answer.ticket == watch->asked.ticket;
  seen.primary = seen.matched && watch->asked.wrap == 0;
  seen.good = seen.matched && !seen.was_void && !seen.was_late && step->meaning == WIRE_GOOD;
  seen.expired = is_asking (watch) && !seen.matched && !seen.was_void && !watch->overdue
                 && (step->event->kind != FENCE_EVENT_FENCE || watch->by_corrupt)
                 && step->now_ms - watch->asked_at_ms >= watch->ask_ms;
  seen.next_wrap = step->actions->ask.kind != FENCE_ASK_NOTHING && step->actions->ask.wrap > 0;
  seen.confirmation = is_asking (watch) && watch->pending && watch->asked.fresh;
  seen.closed = watch->state != FENCE_FENCED && step->fence->state == FENCE_FENCED;
  seen.opened = watch->state == FENCE_FENCED && step->fence->state != FENCE_FENCED;
  return seen;
}

static bool
is_bad_news (const struct seen *seen)
{
  return seen->primary
         && (seen->step->meaning == WIRE_DENIED || seen->step->meaning == WIRE_CORRUPT);
}

/* Whether the answer counts: wanted, and in time unless it is bad news. */
static bool
counts (const struct seen *seen)
{
  return seen->matched && !seen->was_void && (!seen->was_late || is_bad_news (seen));
}

/* A first denial of a volume that is open. */
static bool
is_first_denial (const struct watch *watch, const struct seen *seen)
{
  return counts (seen) && seen->primary && seen->step->meaning == WIRE_DENIED
         && watch->state != FENCE_FENCED && !watch->pending;
}

/* Whether a round ended without a good answer. */
static bool
round_failed (const struct watch *watch, const struct seen *seen)
{
  if (seen->expired)
    return true;
  if (seen->good) /* too old a key does not open */
    return seen->ask.kind == FENCE_ASK_UNLOCK && !seen->opened;
  return counts (seen) && !seen->next_wrap && !is_first_denial (watch, seen);
}

/* ---- actions ---- */

static void
check_actions (struct watch *watch, const struct seen *seen)
{
  const struct fence_actions *actions = seen->actions;
  bool key =
      seen->matched && seen->ask.kind == FENCE_ASK_UNLOCK && seen->step->meaning == WIRE_GOOD;
  bool in_time = seen->now_ms < plus (watch->asked_at_ms, watch->lease_ms);

  MUST (watch, actions->changed == (watch->state != seen->fence->state),
        "tells every change of the state and nothing else");
  /* A key is let in for one ask only, and is wiped when it does not open. */
  MUST (watch, actions->open == seen->opened, "opens when it becomes active");
  MUST (watch, !actions->open || (key && !seen->was_void && !seen->was_late && seen->step->awaited),
        "opens only by the good answer to the UNLOCK that it waits for");
  MUST (watch,
        !seen->step->awaited
            || (seen->matched && seen->ask.kind == FENCE_ASK_UNLOCK && !watch->asked_void
                && !seen->was_late),
        "waits for no key that nobody wants");
  MUST (watch, !(key && seen->good && in_time && !watch->by_operator) || actions->open,
        "opens by a good answer");
  MUST (watch, !(key && !actions->open) || actions->close, "wipes a key that does not open");
  MUST (watch, actions->close || !seen->closed, "closes the gate when it fences");
  MUST (watch, !actions->close || seen->closed || (key && !actions->open),
        "closes for nothing else");
  watch->counts[COUNT_KEY_REFUSED] += key && !actions->open;

  if (actions->close)
    watch->open = false;
  if (actions->open)
    watch->open = true;
  if (actions->lease)
    watch->deadline_ms = seen->fence->lease_until_ms;
  MUST (watch, watch->open == (seen->fence->state != FENCE_FENCED), "has the gate as the state is");
}

/* ---- why it fences ---- */

/* An outage inside the lease fences nothing; neither does a denial that is not confirmed. */
static void
check_cause (struct watch *watch, const struct seen *seen)
{
  bool corrupt = counts (seen) && seen->primary && seen->step->meaning == WIRE_CORRUPT;
  bool denied = seen->confirmation && (seen->expired || (seen->matched && !seen->good));
  bool no_grace = watch->config.grace_ms == 0 && round_failed (watch, seen);
  bool by_hand = seen->step->event->kind == FENCE_EVENT_FENCE;
  bool must = corrupt || denied || no_grace || by_hand || seen->lease_over;

  if (watch->state == FENCE_FENCED)
    return;
  MUST (watch, !seen->closed || must, "fences only when it must");
  MUST (watch, seen->closed || !must, "fences when it must");
  if (!seen->closed)
    return;
  if (seen->lease_over)
    watch->counts[COUNT_FENCED_LEASE]++;
  else if (by_hand)
    watch->counts[COUNT_FENCED_OPERATOR]++;
  else if (corrupt)
    watch->counts[COUNT_FENCED_CORRUPT]++;
  else if (denied)
    watch->counts[COUNT_FENCED_DENIED]++;
  else
    watch->counts[COUNT_FENCED_NO_GRACE]++;
  /* A service that answers in time, however slowly, and a caller that is awake never lose the
   * lease between two checks, nor while one denial is confirmed.
   */
  if (seen->lease_over && watch->failed_rounds == 0 && !watch->disturbed)
    MUST (watch,
          watch->pending
              && seen->now_ms
                     >= watch->pending_at_ms + watch->config.confirm_delay_ms + watch->ask_ms,
          "never loses a lease while the service answers in time");
}

/* The state between: grace means that the last round failed, active that it did not. */
static void
check_state (struct watch *watch, const struct seen *seen)
{
  const struct fence *fence = seen->fence;

  if (fence->state == FENCE_FENCED)
    return;
  MUST (watch, !round_failed (watch, seen) || fence->state == FENCE_GRACE,
        "is in grace when a round failed");
  MUST (watch, !seen->good || (fence->state == FENCE_ACTIVE && fence->held_by == seen->ask.wrap),
        "is active by the wrap that gave a good answer");
  MUST (watch,
        fence->state != FENCE_GRACE || watch->state == FENCE_GRACE || round_failed (watch, seen),
        "is in grace for nothing else");
}

/* ---- the lease ---- */

static void
note_lease (struct watch *watch, const struct seen *seen)
{
  if (watch->latch != FENCE_NOT_LATCHED)
    return;
  if (seen->good) {
    watch->good_at_ms = watch->asked_at_ms;
    watch->lease_until_ms = plus (watch->asked_at_ms, watch->lease_ms);
    watch->failed_rounds = 0;
    watch->disturbed = seen->now_ms - watch->due_at_ms >= watch->ask_ms;
    watch->counts[COUNT_CANCELLED] += watch->pending;
    watch->counts[COUNT_HELD_BY_SECONDARY] += seen->ask.wrap > 0;
    watch->pending = false;
  }
  if (round_failed (watch, seen))
    watch->failed_rounds++;
  if (is_first_denial (watch, seen) && !seen->lease_over) {
    watch->pending = true;
    watch->pending_at_ms = seen->now_ms;
    watch->lease_until_ms =
        MIN (watch->lease_until_ms, seen->now_ms + watch->config.confirm_delay_ms + watch->ask_ms);
  }
}

static void
check_lease (struct watch *watch, const struct seen *seen)
{
  if (seen->fence->state == FENCE_FENCED) {
    MUST (watch, seen->fence->lease_until_ms == 0, "has no lease while fenced");
    return;
  }
  /* From the start of the last good ask; from a denial on to the end of its confirmation; and the
   * gate knows of it.
   */
  MUST (watch, watch->deadline_ms <= watch->lease_until_ms, "never has a longer lease than it may");
  MUST (watch, watch->deadline_ms >= watch->lease_until_ms,
        "never has a shorter lease than it may");
  MUST (watch, watch->deadline_ms == seen->fence->lease_until_ms, "tells the gate its lease");
}

/* ---- asks ---- */

static void
note_word (struct watch *watch, const struct seen *seen)
{
  if (seen->primary && seen->step->meaning == WIRE_DENIED) {
    watch->denied = true;
    if (watch->owner_denies && !seen->was_void)
      watch->heard = true;
    snprintf (watch->denials[watch->pending], sizeof watch->denials[0], "%s",
              seen->step->event->answer.reason);
  }
  if (seen->good && seen->primary)
    watch->denied = false;
  watch->counts[COUNT_LATE] += seen->matched && seen->was_late;
}

/* Secondaries: in their order, one after the other, in an outage of the primary whose name exists,
 * and never between its denial and its next good answer.
 */
static void
check_secondary (struct watch *watch, const struct seen *seen)
{
  const struct fence_ask *ask = &seen->actions->ask;
  bool outage = seen->matched && !seen->was_void && !seen->was_late
                && (seen->ask.wrap > 0 ? seen->step->meaning != WIRE_GOOD
                                       : seen->step->meaning == WIRE_OUTAGE);
  bool may = outage && !watch->denied && !seen->ask.fresh && watch->latch == FENCE_NOT_LATCHED
             && !seen->closed && seen->step->event->kind == FENCE_EVENT_ANSWER;

  MUST (watch, !seen->next_wrap || !watch->denied, "never fails over after a denial");
  MUST (watch, !seen->next_wrap || may, "fails over only in an outage");
  MUST (watch, !seen->next_wrap || ask->wrap == seen->ask.wrap + 1, "asks secondaries in order");
  MUST (watch, !seen->next_wrap || ask->wrap < watch->config.wrap_count, "asks wraps that exist");
  MUST (watch, !seen->next_wrap || ask->kind == seen->ask.kind, "asks all wraps for the same");
  MUST (watch, !may || seen->ask.wrap + 1 >= watch->config.wrap_count || seen->next_wrap,
        "asks every secondary in an outage");
  watch->counts[COUNT_FAILED_OVER] += seen->next_wrap;
}

static void
check_round (struct watch *watch, const struct seen *seen)
{
  const struct fence_ask *ask = &seen->actions->ask;
  const struct fence_config *config = &watch->config;
  bool fenced = seen->fence->state == FENCE_FENCED;

  /* A confirmation comes after the delay, at once when it may, and with fresh credentials. */
  MUST (watch, ask->fresh == (watch->pending && !fenced), "confirms with fresh credentials");
  MUST (watch, !ask->fresh || seen->now_ms >= plus (watch->pending_at_ms, config->confirm_delay_ms),
        "confirms after the delay");
  if (!ask->fresh && !fenced && !watch->round_is_by_hand)
    MUST (watch, seen->now_ms - watch->round_at_ms >= config->check_interval_ms / 5 * 4,
          "jitter is no more than a fifth");
  watch->round_at_ms = seen->now_ms;
  watch->round_is_by_hand = false;
  watch->check_wanted = watch->unlock_wanted = false;
}

static void
check_ask (struct watch *watch, const struct seen *seen)
{
  const struct fence_ask *ask = &seen->actions->ask;
  bool latched = seen->fence->latch != FENCE_NOT_LATCHED;

  if (ask->kind == FENCE_ASK_NOTHING)
    return;
  MUST (watch, !is_asking (watch), "asks one thing at a time");
  MUST (watch, ask->ticket > watch->last_ticket, "never uses a ticket twice");
  MUST (watch, (ask->kind == FENCE_ASK_UNLOCK) == (seen->fence->state == FENCE_FENCED && !latched),
        "asks for the key only while fenced and not latched");
  MUST (watch, !latched || (watch->check_wanted && ask->wrap == 0 && !ask->fresh),
        "asks nothing while latched, unless the operator wants a check");
  watch->counts[COUNT_PROBED] += latched;
  if (ask->wrap == 0)
    check_round (watch, seen);
  watch->last_ticket = ask->ticket;
  watch->due_at_ms =
      seen->ask.kind != FENCE_ASK_NOTHING ? seen->now_ms : MIN (watch->wake_ms, seen->now_ms);
  watch->asked = *ask;
  watch->asked_at_ms = seen->now_ms;
  watch->asked_void = watch->overdue = false;
}

/* ---- the operator and the latches ---- */

static void
note_operator (struct watch *watch, const struct seen *seen)
{
  switch (seen->step->event->kind) {
  case FENCE_EVENT_FENCE:
    if (watch->by_corrupt)
      break;
    watch->by_operator = true;
    watch->permitted = false;
    watch->unlock_wanted = watch->check_wanted = false;
    break;
  case FENCE_EVENT_UNFENCE:
    if (watch->state != FENCE_FENCED && !seen->lease_over)
      break;
    watch->by_operator = watch->by_corrupt = false;
    watch->permitted = true;
    watch->round_is_by_hand = true;
    watch->unlock_wanted =
        !is_asking (watch) || watch->latch != FENCE_NOT_LATCHED || seen->was_void || watch->overdue;
    break;
  case FENCE_EVENT_CHECK:
    watch->check_wanted |=
        seen->lease_over
        || (!watch->pending && (!is_asking (watch) || seen->was_void || watch->overdue));
    watch->round_is_by_hand |= watch->check_wanted;
    break;
  default:
    break;
  }
}

static void
note_fenced (struct watch *watch, const struct seen *seen)
{
  if (seen->closed) {
    watch->was_active = true;
    watch->fenced_at_ms = seen->now_ms;
    watch->permitted = seen->lease_over && seen->step->event->kind == FENCE_EVENT_UNFENCE;
    watch->failed_rounds = 0;
  }
  if (counts (seen) && seen->primary && seen->step->meaning == WIRE_CORRUPT
      && watch->latch == FENCE_NOT_LATCHED) {
    watch->by_corrupt = true;
    watch->permitted = false;
  }
  if (seen->opened)
    watch->permitted = watch->was_active = false;
}

/* Latched for a reason and for no other, until it is unfenced; by hand and corrupt above all. */
static void
check_latch (struct watch *watch, const struct seen *seen)
{
  const struct fence_config *config = &watch->config;
  enum fence_latch latch = seen->fence->latch;
  bool fenced = seen->fence->state == FENCE_FENCED;
  bool manual = config->recover_manual && !watch->permitted
                && (watch->was_active || watch->failed_rounds > 0);
  bool window = seen->window_over && !watch->permitted;

  MUST (watch, fenced || latch == FENCE_NOT_LATCHED, "is not latched while active");
  if (watch->by_corrupt)
    MUST (watch, latch == FENCE_LATCH_CORRUPT, "keeps a corrupt volume fenced");
  else if (watch->by_operator)
    MUST (watch, latch == FENCE_LATCH_OPERATOR, "keeps what an operator fenced");
  else if (fenced) {
    MUST (watch, latch != FENCE_NOT_LATCHED || !manual, "waits for the operator by recover=manual");
    MUST (watch, latch != FENCE_NOT_LATCHED || !window, "waits for the operator after the window");
    MUST (watch, latch != FENCE_LATCH_MANUAL || manual, "latches as manual only when it is");
    MUST (watch, latch != FENCE_LATCH_WINDOW || watch->latch == FENCE_LATCH_WINDOW || window,
          "latches only after the window");
    MUST (watch, latch != FENCE_LATCH_OPERATOR && latch != FENCE_LATCH_CORRUPT,
          "latches for a reason only");
  }
  watch->counts[COUNT_LATCHED_MANUAL] +=
      latch == FENCE_LATCH_MANUAL && watch->latch != FENCE_LATCH_MANUAL;
  watch->counts[COUNT_LATCHED_WINDOW] +=
      latch == FENCE_LATCH_WINDOW && watch->latch != FENCE_LATCH_WINDOW;
}

/* ---- plans ---- */

/* The latest moment at which the next round has to start, nobody being busy. */
static uint64_t
latest_round_ms (const struct watch *watch, const struct seen *seen)
{
  uint64_t confirm_ms = plus (watch->pending_at_ms, watch->config.confirm_delay_ms);
  uint64_t next_ms = plus (watch->round_at_ms, watch->config.check_interval_ms);

  if (watch->pending && seen->fence->state != FENCE_FENCED)
    return confirm_ms;
  return next_ms;
}

/* It always wants to be called in time, so that checks go on, denials are confirmed, leases end
 * and access that is back is found.
 */
static void
check_plan (struct watch *watch, const struct seen *seen)
{
  uint64_t wake_ms = fence_wake_ms (seen->fence);
  bool fenced = seen->fence->state == FENCE_FENCED;
  bool latched = seen->fence->latch != FENCE_NOT_LATCHED;

  MUST (watch, wake_ms > seen->now_ms, "never wants to be called all the time");
  MUST (watch, fenced || wake_ms <= watch->lease_until_ms, "is there when the lease ends");
  if (is_asking (watch))
    MUST (watch,
          watch->asked_void || watch->overdue
              || wake_ms <= plus (watch->asked_at_ms, watch->ask_ms),
          "is there when an ask's time is over");
  else {
    MUST (watch, latched || wake_ms <= latest_round_ms (watch, seen),
          fenced ? "always looks whether access is back" : "never makes a check later");
    MUST (watch, !watch->check_wanted && !watch->unlock_wanted,
          "does at once what an operator or a lease's end wants");
  }
  if (fenced && !latched && !watch->permitted && watch->config.recover_window_ms != 0)
    MUST (watch, wake_ms <= plus (watch->fenced_at_ms, watch->config.recover_window_ms),
          "is there when the window ends");
  watch->wake_ms = wake_ms;
}

/* ---- words ---- */

static void
check_words (struct watch *watch, const struct seen *seen)
{
  const struct fence *fence = seen->fence;
  bool denied = watch->pending && seen->closed && !watch->by_corrupt && !watch->by_operator;

  MUST (watch, fence->reason[0] != '\0', "always has a reason");
  MUST (watch, fence->state == FENCE_ACTIVE || strcmp (fence->reason, "ok") != 0,
        "is not ok unless active");
  MUST (watch,
        !seen->good || fence->latch != FENCE_NOT_LATCHED || fence->state == FENCE_FENCED
            || strcmp (fence->reason, "ok") == 0,
        "is ok after a good answer");
  MUST (watch,
        fence->state == FENCE_FENCED || watch->pending || seen->fence->state == FENCE_GRACE
            || watch->asked.wrap > 0 || strcmp (fence->reason, "ok") == 0,
        "is ok while all is well");
  MUST (watch,
        !denied || strcmp (fence->reason, watch->denials[0]) == 0
            || strcmp (fence->reason, watch->denials[1]) == 0,
        "tells the denial that fenced it");
  MUST (watch,
        watch->latch == FENCE_NOT_LATCHED || watch->latch != fence->latch
            || seen->step->event->kind == FENCE_EVENT_FENCE || !seen->matched
            || strcmp (fence->reason, "ok") != 0,
        "keeps the reason while latched");
}

void
watch_step (struct watch *watch, const struct watch_step *step)
{
  struct seen seen = look (watch, step);

  watch->counts[COUNT_STEPS]++;
  watch->counts[COUNT_OPENED] += seen.opened;
  note_operator (watch, &seen);
  check_actions (watch, &seen);
  check_cause (watch, &seen);
  check_state (watch, &seen);
  note_word (watch, &seen);
  note_lease (watch, &seen);
  check_lease (watch, &seen);
  note_fenced (watch, &seen);
  check_secondary (watch, &seen);
  if (seen.expired)
    watch->overdue = true;
  if (seen.was_void || seen.closed || seen.fence->latch != watch->latch
      || (step->event->kind == FENCE_EVENT_FENCE && !watch->by_corrupt))
    watch->asked_void = true;
  /* What came meanwhile goes before what the operator wanted. */
  if (step->event->kind != FENCE_EVENT_CHECK
      && (watch->pending || seen.fence->latch != watch->latch))
    watch->check_wanted = false;
  watch->unlock_wanted |= seen.lease_over;
  if (seen.fence->latch != FENCE_NOT_LATCHED)
    watch->unlock_wanted = false;
  if (seen.matched)
    watch->asked = (struct fence_ask){0};
  check_ask (watch, &seen);
  check_latch (watch, &seen);
  check_words (watch, &seen);
  check_plan (watch, &seen);
  watch->pending = watch->pending && watch->open;
  watch->state = seen.fence->state;
  watch->latch = seen.fence->latch;
}
