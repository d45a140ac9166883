/* fence.c owns the decision whether I/O is served; fence.h says by which rules. */
#include "nbd-plugin/fence/fence.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "nbd-plugin/fence/fence-times.h"

const char *
fence_state_name (enum fence_state state)
{
  static const char *const names[] = {
      [FENCE_ACTIVE] = "active", [FENCE_GRACE] = "grace", [FENCE_FENCED] = "fenced"};

  return names[state];
}

const char *
fence_latch_name (enum fence_latch latch)
{
  static const char *const names[] = {
      [FENCE_NOT_LATCHED] = "",          [FENCE_LATCH_OPERATOR] = "operator",
      [FENCE_LATCH_CORRUPT] = "corrupt", [FENCE_LATCH_MANUAL] = "manual",
      [FENCE_LATCH_WINDOW] = "window",
  };

  return names[latch];
}

/* ---- what people are told ---- */

static void
set_reason (struct fence *fence, const char *reason, const char *text, const char *request_id)
{
  snprintf (fence->reason, sizeof fence->reason, "%s", reason ? reason : "");
  snprintf (fence->detail, sizeof fence->detail, "%s", text ? text : "");
  snprintf (fence->request_id, sizeof fence->request_id, "%s", request_id ? request_id : "");
  kms_text_clean (fence->detail); /* it may have been cut within a character */
  fence->detail_length = strlen (fence->detail);
}

static void
blame (struct fence *fence, const struct fence_answer *answer)
{
  set_reason (fence, answer->reason, answer->text, answer->request_id);
}

/* Puts words behind the first `length` bytes of the detail. */
__attribute__ ((format (printf, 3, 4))) static void
add_detail (struct fence *fence, size_t length, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  vsnprintf (fence->detail + length, sizeof fence->detail - length, fmt, args);
  va_end (args);
  kms_text_clean (fence->detail);
}

/* The same, for what led to the state as well. */
#define ADD_CAUSE(fence, ...)                                \
  do {                                                       \
    add_detail (fence, (fence)->detail_length, __VA_ARGS__); \
    (fence)->detail_length = strlen ((fence)->detail);       \
  } while (0)

/* ---- closing and opening ---- */

static bool
is_asking (const struct fence *fence)
{
  return fence->asked.kind != FENCE_ASK_NOTHING;
}

static bool
is_latched (const struct fence *fence)
{
  return fence->latch != FENCE_NOT_LATCHED;
}

static void
latch (struct fence *fence, enum fence_latch why)
{
  if (why == FENCE_LATCH_MANUAL)
    ADD_CAUSE (fence, "; recover=manual: keyfence unfence opens it");
  else if (why == FENCE_LATCH_WINDOW)
    ADD_CAUSE (fence, "; fenced longer than recover-window: keyfence unfence opens it");
  fence->latch = why;
  fence->permitted = false;
  fence->next_ask_ms = NEVER;
  fence->asked_void = is_asking (fence);
}

/* The reason has been set. */
static void
close_gate (struct fence *fence, uint64_t now_ms, struct fence_actions *actions)
{
  actions->close = true;
  fence->state = FENCE_FENCED;
  fence->since_ms = now_ms;
  fence->lease_until_ms = 0;
  fence->confirming = false;
  fence->asked_void = is_asking (fence);
  if (fence->config.recover_manual)
    latch (fence, FENCE_LATCH_MANUAL);
}

static void
set_lease (struct fence *fence, uint64_t until_ms, struct fence_actions *actions)
{
  actions->lease = actions->lease || fence->lease_until_ms != until_ms;
  fence->lease_until_ms = until_ms;
}

static void
enter (struct fence *fence, enum fence_state state, uint64_t now_ms)
{
  if (fence->state == state)
    return;
  fence->state = state;
  fence->since_ms = now_ms;
}

/* All is well by `wrap`, as of the moment at which it was asked. */
static void
renew (struct fence *fence, unsigned wrap, uint64_t now_ms, struct fence_actions *actions)
{
  enter (fence, FENCE_ACTIVE, now_ms);
  set_lease (fence, later_ms (fence->asked_at_ms, fence_lease_ms (&fence->config)), actions);
  fence->confirming = false;
  fence->held_by = wrap;
  if (wrap > 0) {
    ADD_CAUSE (fence, "; held by secondary %u", wrap);
    snprintf (fence->reason, sizeof fence->reason, "ok");
  }
  else
    set_reason (fence, "ok", "", "");
}

/* ---- a round ---- */

static void
ask (struct fence *fence, enum fence_ask_kind kind, unsigned wrap, uint64_t now_ms,
     struct fence_actions *actions)
{
  fence->asked = (struct fence_ask){
      .kind = kind, .wrap = wrap, .fresh = fence->confirming, .ticket = ++fence->last_ticket};
  fence->asked_at_ms = now_ms;
  fence->asked_void = fence->asked_late = false;
  actions->ask = fence->asked;
}

/* Starts a round when it is due and nobody is busy with an earlier ask. */
static void
ask_if_due (struct fence *fence, uint64_t now_ms, struct fence_actions *actions)
{
  bool unlock = fence->state == FENCE_FENCED && !is_latched (fence);

  if (is_asking (fence) || now_ms < fence->next_ask_ms)
    return;
  fence->cycle_at_ms = now_ms;
  fence->next_ask_ms = is_latched (fence)
                           ? NEVER
                           : later_ms (now_ms, fence_jittered_ms (&fence->config, &fence->random));
  ask (fence, unlock ? FENCE_ASK_UNLOCK : FENCE_ASK_CHECK, 0, now_ms, actions);
}

/* No wrap gave a good answer; the reason is the primary's. */
static void
fail_round (struct fence *fence, enum fence_ask_kind kind, uint64_t now_ms,
            struct fence_actions *actions)
{
  if (kind == FENCE_ASK_UNLOCK) {
    if (fence->config.recover_manual && !fence->permitted)
      latch (fence, FENCE_LATCH_MANUAL);
  }
  else if (fence->config.grace_ms == 0 || fence->confirming)
    close_gate (fence, now_ms, actions);
  else
    enter (fence, FENCE_GRACE, now_ms);
}

/* Asks the next wrap of the round, or ends it. */
static void
go_on (struct fence *fence, const struct fence_ask *asked, uint64_t now_ms,
       struct fence_actions *actions)
{
  if (asked->wrap + 1 < fence->config.wrap_count)
    ask (fence, asked->kind, asked->wrap + 1, now_ms, actions);
  else
    fail_round (fence, asked->kind, now_ms, actions);
}

/* ---- answers ---- */

typedef void
take_fn (struct fence *fence, const struct fence_ask *asked, const struct fence_answer *answer,
         uint64_t now_ms, struct fence_actions *actions);

static void
take_good (struct fence *fence, const struct fence_ask *asked, const struct fence_answer *answer,
           uint64_t now_ms, struct fence_actions *actions)
{
  bool in_time = later_ms (fence->asked_at_ms, fence_lease_ms (&fence->config)) > now_ms;

  (void)answer;
  if (asked->wrap == 0)
    fence->denied = false;
  if (asked->kind == FENCE_ASK_UNLOCK && !in_time) {
    actions->close = true;
    set_reason (fence, "no_answer", "the answer came when its lease was over already", "");
    fail_round (fence, asked->kind, now_ms, actions);
    return;
  }
  if (asked->kind == FENCE_ASK_UNLOCK) {
    actions->open = actions->lease = true;
    fence->permitted = false;
  }
  renew (fence, asked->wrap, now_ms, actions);
}

/* The first no of a check starts the confirmation. */
static void
take_denied (struct fence *fence, const struct fence_ask *asked, const struct fence_answer *answer,
             uint64_t now_ms, struct fence_actions *actions)
{
  const struct fence_config *config = &fence->config;
  uint64_t confirm_at_ms = later_ms (now_ms, config->confirm_delay_ms);

  blame (fence, answer);
  if (asked->kind == FENCE_ASK_UNLOCK || fence->confirming) {
    fail_round (fence, asked->kind, now_ms, actions);
    return;
  }
  fence->confirming = true;
  fence->next_ask_ms = confirm_at_ms;
  set_lease (fence, MIN (fence->lease_until_ms, later_ms (confirm_at_ms, fence_ask_ms (config))),
             actions);
}

static void
take_corrupt (struct fence *fence, const struct fence_ask *asked, const struct fence_answer *answer,
              uint64_t now_ms, struct fence_actions *actions)
{
  (void)asked;
  blame (fence, answer);
  if (fence->state != FENCE_FENCED)
    close_gate (fence, now_ms, actions);
  latch (fence, FENCE_LATCH_CORRUPT);
}

/* Neither yes nor no. */
static void
take_failure (struct fence *fence, const struct fence_ask *asked, const struct fence_answer *answer,
              uint64_t now_ms, struct fence_actions *actions)
{
  if (asked->fresh)
    ADD_CAUSE (fence, "; the confirmation: %s", answer->text);
  else
    blame (fence, answer);
  if (answer->class == KMS_OUTAGE && answer->may_fail_over && !fence->denied)
    go_on (fence, asked, now_ms, actions);
  else
    fail_round (fence, asked->kind, now_ms, actions);
}

/* Whatever a secondary says, the primary's failure stays what it is told for. */
static void
take_secondary_failure (struct fence *fence, const struct fence_ask *asked,
                        const struct fence_answer *answer, uint64_t now_ms,
                        struct fence_actions *actions)
{
  ADD_CAUSE (fence, "; secondary %u: %s", asked->wrap, answer->reason);
  go_on (fence, asked, now_ms, actions);
}

/* A latched volume's check only tells. */
static void
take_probe (struct fence *fence, const struct fence_ask *asked, const struct fence_answer *answer,
            uint64_t now_ms, struct fence_actions *actions)
{
  (void)asked;
  (void)now_ms;
  (void)actions;
  if (answer->class == KMS_OK) {
    fence->denied = false;
    add_detail (fence, fence->detail_length, "; access is back: keyfence unfence opens it");
  }
  else
    add_detail (fence, fence->detail_length, "; checked by hand: %s", answer->text);
}

static take_fn *const primary_takes[KMS_CLASS_COUNT] = {
    [KMS_OK] = take_good,         [KMS_DENIED] = take_denied,       [KMS_OUTAGE] = take_failure,
    [KMS_CLOCK] = take_failure,   [KMS_CREDENTIALS] = take_failure, [KMS_CONFIG] = take_failure,
    [KMS_CORRUPT] = take_corrupt,
};

static take_fn *
taker (const struct fence *fence, const struct fence_ask *asked, enum kms_class class)
{
  assert (class < KMS_CLASS_COUNT);
  if (is_latched (fence))
    return take_probe;
  if (asked->wrap == 0)
    return primary_takes[class];
  return class == KMS_OK ? take_good : take_secondary_failure;
}

static void
take_answer (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
             struct fence_actions *actions)
{
  const struct fence_answer *answer = &event->answer;
  struct fence_ask asked = fence->asked;
  bool bad = answer->class == KMS_DENIED || answer->class == KMS_CORRUPT;

  if (!is_asking (fence) || answer->ticket != asked.ticket)
    return;
  fence->asked = (struct fence_ask){0};
  if (asked.wrap == 0 && answer->class == KMS_DENIED)
    fence->denied = true;
  if (fence->asked_void || (fence->asked_late && !(asked.wrap == 0 && bad)))
    actions->close |= asked.kind == FENCE_ASK_UNLOCK && answer->class == KMS_OK;
  else
    taker (fence, &asked, answer->class) (fence, &asked, answer, now_ms, actions);
}

/* ---- the operator ---- */

static void
take_check (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
            struct fence_actions *actions)
{
  bool answer_comes = is_asking (fence) && !fence->asked_void && !fence->asked_late;

  (void)event;
  (void)actions;
  if (!fence->confirming && !answer_comes)
    fence->next_ask_ms = now_ms;
}

static void
take_fence (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
            struct fence_actions *actions)
{
  const char *text = event->answer.text;

  if (fence->latch == FENCE_LATCH_CORRUPT)
    return;
  if (fence->state != FENCE_FENCED)
    close_gate (fence, now_ms, actions);
  /* Without a new reason, what was said the first time holds. */
  if (fence->latch != FENCE_LATCH_OPERATOR || (text && text[0]))
    set_reason (fence, "operator",
                text && text[0] ? text : "fenced by hand: keyfence unfence opens it again", "");
  latch (fence, FENCE_LATCH_OPERATOR);
}

static void
take_unfence (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
              struct fence_actions *actions)
{
  (void)event;
  (void)actions;
  if (fence->state != FENCE_FENCED)
    return;
  if (is_latched (fence))
    fence->asked_void = is_asking (fence); /* a probe does not unlock */
  fence->latch = FENCE_NOT_LATCHED;
  fence->permitted = true;
  if (!is_asking (fence) || fence->asked_void || fence->asked_late)
    fence->next_ask_ms = now_ms;
}

/* ---- time ---- */

/* The latest moment for which an unlatched fenced volume recovers by itself. */
static uint64_t
window_end_ms (const struct fence *fence)
{
  if (fence->state != FENCE_FENCED || is_latched (fence) || fence->permitted
      || fence->config.recover_window_ms == 0)
    return NEVER;
  return later_ms (fence->since_ms, fence->config.recover_window_ms);
}

static uint64_t
lease_end_ms (const struct fence *fence)
{
  return fence->state == FENCE_FENCED ? NEVER : fence->lease_until_ms;
}

/* When the ask under way counts as unanswered. */
static uint64_t
ask_end_ms (const struct fence *fence)
{
  if (!is_asking (fence) || fence->asked_void || fence->asked_late)
    return NEVER;
  return later_ms (fence->asked_at_ms, fence_ask_ms (&fence->config));
}

static void
end_lease (struct fence *fence, uint64_t now_ms, struct fence_actions *actions)
{
  if (fence->confirming)
    ADD_CAUSE (fence, "; the confirmation did not come before the lease ended");
  else if (strcmp (fence->reason, "ok") == 0)
    set_reason (fence, "lease",
                "the lease ended before the next check: the machine slept, or nothing runs the "
                "checks",
                "");
  fence->next_ask_ms = now_ms; /* perhaps access is just back */
  close_gate (fence, now_ms, actions);
}

/* A round does not go on behind an unanswered ask, since whoever asks is busy. */
static void
end_ask (struct fence *fence, uint64_t now_ms, struct fence_actions *actions)
{
  const struct fence_answer none = {.class = KMS_OUTAGE,
                                    .reason = "no_answer",
                                    .text = "nothing came back in time: is the agent stopped, or "
                                            "the machine overloaded?"};
  struct fence_ask asked = fence->asked;

  fence->asked_late = true;
  if (is_latched (fence))
    take_probe (fence, &asked, &none, now_ms, actions);
  else if (asked.wrap == 0)
    take_failure (fence, &asked, &none, now_ms, actions);
  else {
    ADD_CAUSE (fence, "; secondary %u: %s", asked.wrap, none.reason);
    fail_round (fence, asked.kind, now_ms, actions);
  }
}

/* ---- what others call ---- */

void
fence_init (struct fence *fence, const struct fence_config *config, uint64_t now_ms)
{
  assert (config->wrap_count >= 1 && config->wrap_count <= FENCE_WRAPS_MAX);
  *fence = (struct fence){.config = *config,
                          .state = FENCE_FENCED,
                          .since_ms = now_ms,
                          .next_ask_ms = now_ms,
                          .random = config->seed ? config->seed : 1};
  set_reason (fence, "starting", "the key has not been asked for yet", "");
}

typedef void event_fn (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
                       struct fence_actions *actions);

void
fence_step (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
            struct fence_actions *ret_actions)
{
  static event_fn *const takes[] = {
      [FENCE_EVENT_TICK] = NULL,
      [FENCE_EVENT_ANSWER] = take_answer,
      [FENCE_EVENT_CHECK] = take_check,
      [FENCE_EVENT_FENCE] = take_fence,
      [FENCE_EVENT_UNFENCE] = take_unfence,
  };
  enum fence_state before = fence->state;

  *ret_actions = (struct fence_actions){0};
  if (now_ms >= lease_end_ms (fence))
    end_lease (fence, now_ms, ret_actions);
  if (now_ms >= window_end_ms (fence))
    latch (fence, FENCE_LATCH_WINDOW);
  if (takes[event->kind])
    takes[event->kind](fence, event, now_ms, ret_actions);
  if (now_ms >= ask_end_ms (fence))
    end_ask (fence, now_ms, ret_actions);
  ask_if_due (fence, now_ms, ret_actions);
  ret_actions->changed = fence->state != before;
}

uint64_t
fence_wake_ms (const struct fence *fence)
{
  uint64_t wake_ms = MIN (lease_end_ms (fence), window_end_ms (fence));

  wake_ms = MIN (wake_ms, ask_end_ms (fence));
  return is_asking (fence) ? wake_ms : MIN (wake_ms, fence->next_ask_ms);
}

bool
fence_awaits_key (const struct fence *fence, uint64_t ticket)
{
  return fence->asked.kind == FENCE_ASK_UNLOCK && fence->asked.ticket == ticket
         && !fence->asked_void && !fence->asked_late;
}
