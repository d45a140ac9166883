/* The fence: when I/O is served and when it is refused.  A pure state machine: events and the time
 * go in, what is to be done comes out.  No I/O, no clock, no thread, no lock, no heap inside; the
 * one who calls it (nbd-plugin/fence/keymon.c; tests/simulation) serializes the calls and carries
 * out the actions.
 *
 *   active   the last check was good, and the lease that it gave runs
 *   grace    checks fail for want of an answer; the lease still runs
 *   fenced   I/O is refused and the key is wiped
 *
 * Times are milliseconds of CLOCK_BOOTTIME, suspend included, and never run backwards.  The wall
 * clock has no say in anything.
 *
 * What decides:
 *
 *  - A lease lasts max (grace, one whole cycle of checks) from the moment at which the check that
 *    gave it was *started*: the service's yes may be as old as that.
 *  - A denial by the primary is confirmed once, `confirm_delay_ms` later and with fresh
 *    credentials.  Only a good answer to that cancels it; any other answer, or none in time,
 *    fences.  From the first denial on the lease is cut to the end of that confirmation, so that
 *    the gate closes then even if nobody calls the machine any more.
 *  - A check without an answer (outage, credentials, clock, config, or none in time) leads to
 *    grace, and at the lease's end to the fence; with `grace_ms` 0 it fences at once.
 *  - Corrupt fences at once and is latched.  (From a secondary it does not: that wrap decides
 *    nothing, and is passed over with a word in the detail.)
 *  - An ask that takes longer than its time-out and FENCE_MARGIN_MS counts as an outage,
 *    "no_answer", that permits no failing over.  Nothing is asked until its answer has come, since
 *    whoever asks is busy with it.  That answer no longer counts when it is good; a denial, or
 *    corrupt, by the primary still does.  (An answer that is told before the time has been seen to
 *    be up counts whatever it is: after the machine slept, tell answers before ticks.)
 *  - Secondary wraps are asked, in their order, only when the primary's answer is an outage that
 *    permits it (fence_answer.may_fail_over), and never between a denial by the primary and its
 *    next good answer.  A secondary's good answer counts as good; its other answers count for
 *    nothing.
 *  - While fenced and not latched, the volume key is asked for every check interval, and at once
 *    when a lease ended (an UNLOCK); a good answer opens.  A latched volume asks for nothing until
 *    the operator unfences it, but for a probe when the operator wants a check, whose answer is
 *    only told in `detail`.
 */
#ifndef NBD_PLUGIN_FENCE_H
#define NBD_PLUGIN_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kms/outcome.h"

enum fence_state { FENCE_ACTIVE, FENCE_GRACE, FENCE_FENCED };

/* Why a fenced volume waits for `keyfence unfence`. */
enum fence_latch {
  FENCE_NOT_LATCHED,
  FENCE_LATCH_OPERATOR, /* fenced by hand */
  FENCE_LATCH_CORRUPT,  /* what came back is not this volume's key, or the header was changed */
  FENCE_LATCH_MANUAL,   /* recover=manual */
  FENCE_LATCH_WINDOW,   /* fenced longer than recover-window */
};

#define FENCE_WRAPS_MAX 5 /* the primary, number 0, and four secondaries */

/* What the clock's reader, the agent's end and the scheduler may take of one ask besides its
 * time-out.
 */
#define FENCE_MARGIN_MS 250

struct fence_config {
  uint64_t check_interval_ms; /* jitter only ever shortens it */
  uint64_t check_timeout_ms;  /* of one ask of one wrap */
  uint64_t confirm_delay_ms;
  uint64_t grace_ms;
  uint64_t recover_window_ms; /* 0: none */
  bool recover_manual;
  unsigned wrap_count; /* 1 … FENCE_WRAPS_MAX */
  uint32_t seed;       /* of the jitter */
};

enum fence_ask_kind {
  FENCE_ASK_NOTHING,
  FENCE_ASK_CHECK,  /* unwrap the probe */
  FENCE_ASK_UNLOCK, /* read the header again, unwrap the volume key, verify it */
};

struct fence_ask {
  enum fence_ask_kind kind;
  unsigned wrap;   /* 0: the primary */
  bool fresh;      /* with credentials fetched anew: it confirms a denial */
  uint64_t ticket; /* to be given back with the answer; never 0, never used twice */
};

/* An ask's outcome.  The strings are not NULL and need to live during the call only. */
struct fence_answer {
  uint64_t ticket;
  enum kms_class class;
  bool may_fail_over; /* class KMS_OUTAGE, and not because the service's name does not exist */
  const char *reason, *text, *request_id;
};

enum fence_event_kind {
  FENCE_EVENT_TICK, /* only time has passed */
  FENCE_EVENT_ANSWER,
  FENCE_EVENT_CHECK,   /* the operator wants a check now */
  FENCE_EVENT_FENCE,   /* the operator fences; `text` of `answer` may say why */
  FENCE_EVENT_UNFENCE, /* the operator permits recovery */
};

struct fence_event {
  enum fence_event_kind kind;
  struct fence_answer answer;
};

/* What is to be done now, in this order.  An UNLOCK's good answer either opens or closes: a key
 * that came too late is wiped as well.
 */
struct fence_actions {
  bool close;   /* close the gate and wipe every key */
  bool open;    /* open the gate: the key that this answer brought is in the contexts */
  bool lease;   /* the gate's deadline is now fence->lease_until_ms (with open: always set) */
  bool changed; /* the state is another than before: tell the world */
  struct fence_ask ask;
};

/* Read by anybody who holds the caller's lock, written by fence.c alone. */
struct fence {
  struct fence_config config;

  enum fence_state state;
  enum fence_latch latch;
  char reason[40];         /* "ok", or the latest reason why not, in one word */
  char detail[512];        /* the sentence for people; empty while all is well */
  size_t detail_length;    /* of what led to the state; a later probe's outcome comes behind it */
  char request_id[128];    /* the service's, of what led to the state; or empty */
  uint64_t since_ms;       /* of the state */
  uint64_t lease_until_ms; /* 0: there is none */
  uint64_t next_ask_ms;    /* when the next round is due; UINT64_MAX: none is planned */
  unsigned held_by;        /* the wrap whose good answer gave the lease */
  bool denied;             /* the primary has said no and not yes since: no failing over */
  bool confirming;         /* a denial awaits its confirmation */
  bool permitted;          /* unfenced by hand: recovery goes on until it is active again */

  /* The ask under way. */
  struct fence_ask asked; /* kind NOTHING: none */
  uint64_t asked_at_ms;
  bool asked_void; /* its answer no longer matters; it only keeps the asker busy */
  bool asked_late; /* its time is over, which has been counted */

  uint64_t last_ticket;
  uint32_t random;
  uint64_t cycle_at_ms; /* when the present round over the wraps began */
};

/* Starts fenced, with the reason "starting" and an UNLOCK due at once. */
void fence_init (struct fence *fence, const struct fence_config *config, uint64_t now_ms);

/* Takes one event.  `now_ms` is not smaller than in the call before. */
void fence_step (struct fence *fence, const struct fence_event *event, uint64_t now_ms,
                 struct fence_actions *ret_actions);

/* Until when nothing need be told to the machine should nothing happen; UINT64_MAX: for ever. */
uint64_t fence_wake_ms (const struct fence *fence);

/* Whether an UNLOCK's good answer with this ticket would open the volume: asked before the key is
 * brought into the contexts, so that a key which nobody wants any more never gets there.
 */
bool fence_awaits_key (const struct fence *fence, uint64_t ticket);

/* What an ask may take before it counts as unanswered: its time-out and the margin. */
uint64_t fence_ask_ms (const struct fence_config *config);

/* The longest time from a denial by the service (which is reached) to a refused request, each part
 * at its slowest, `ask` being fence_ask_ms:
 *
 *   max (check interval, wraps x ask)   a round that the service has just passed, until the next
 * one
 * + ask                                 the denial
 * + confirm delay + ask                 its confirmation
 *
 * A round that takes longer than the interval (its primary timed out and all secondaries were
 * asked) is followed by the next at once.  From the denial's answer on, the lease keeps the
 * promise.
 */
uint64_t fence_bound_ms (const struct fence_config *config);

/* How long a lease is: max (grace, cycle), where one whole cycle of checks is
 *
 *   max (check interval, wraps x ask)                   until the next round starts
 * + max (wraps x ask, ask + confirm delay + ask)        until its last good answer
 *
 * so that neither a healthy service that answers as late as it may, nor a denial that is not
 * confirmed, loses the lease between two checks, even with a grace of 0.  Where the wraps are few,
 * a cycle is just the bound.
 */
uint64_t fence_lease_ms (const struct fence_config *config);

const char *fence_state_name (enum fence_state state); /* "active", "grace", "fenced" */
const char *fence_latch_name (enum fence_latch latch); /* "", "operator", "corrupt", … */

#endif
