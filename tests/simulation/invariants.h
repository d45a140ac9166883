/* What must hold whatever happens: the one place where the fence's promises are written down as
 * code.
 *
 * The watch sees only what goes into the machine and what comes out, keeps its own account of it
 * and its own sums, and knows besides what the machine can't: what the key's owner wants.  Its
 * clock of the bound runs while the service can be reached: it starts anew when an ask took longer
 * than it may or the caller slept, but never once the denial has been heard.
 */
#ifndef TESTS_SIMULATION_INVARIANTS_H
#define TESTS_SIMULATION_INVARIANTS_H

#include "nbd-plugin/fence/fence.h"
#include "tests/simulation/wire.h"

/* What was seen, so that a simulation in which nothing happens does not pass. */
enum watch_count {
  COUNT_STEPS,
  COUNT_OPENED,
  COUNT_FENCED_OPERATOR,
  COUNT_FENCED_CORRUPT,
  COUNT_FENCED_DENIED,
  COUNT_FENCED_LEASE,
  COUNT_FENCED_NO_GRACE,
  COUNT_CANCELLED, /* denials that their confirmation cancelled */
  COUNT_FAILED_OVER,
  COUNT_HELD_BY_SECONDARY,
  COUNT_LATE,        /* answers that came after their time */
  COUNT_KEY_REFUSED, /* keys that came too late and were wiped */
  COUNT_LATCHED_MANUAL,
  COUNT_LATCHED_WINDOW,
  COUNT_PROBED,  /* checks of latched volumes */
  COUNT_REVOKED, /* times that the owner denied for good while the gate was open */
  WATCH_COUNTS
};

struct watch {
  struct fence_config config;
  uint64_t ask_ms, bound_ms, lease_ms; /* own sums */
  const char *broken;                  /* the promise that was broken, or NULL */
  uint64_t counts[WATCH_COUNTS];
  uint64_t served_permille; /* the worst part of a bound for which a revoked volume was served */

  uint64_t now_ms, wake_ms;

  /* The gate: it lets requests pass while open and before the deadline. */
  bool open;
  uint64_t deadline_ms;

  /* The owner. */
  bool owner_denies, heard;
  uint64_t denied_from_ms; /* where the clock of the bound starts */

  /* The ask under way. */
  struct fence_ask asked;
  uint64_t asked_at_ms, due_at_ms;
  bool asked_void, overdue;
  uint64_t last_ticket, round_at_ms;
  bool round_is_by_hand; /* the operator moved the next round */
  bool check_wanted, unlock_wanted;

  /* The primary's word. */
  bool denied, pending;
  uint64_t pending_at_ms;
  char denials[2][40]; /* the reasons of a denial and of its confirmation */

  /* The lease. */
  uint64_t good_at_ms, lease_until_ms;
  unsigned failed_rounds; /* since the last good answer */
  bool disturbed;         /* an ask took too long or the caller slept since then */

  /* Being fenced. */
  enum fence_state state;
  enum fence_latch latch;
  uint64_t fenced_at_ms;
  bool by_operator, by_corrupt, permitted, was_active;
};

/* One call of the machine. */
struct watch_step {
  const struct fence_event *event;
  enum wire_meaning meaning; /* of an answer */
  bool awaited;              /* what fence_awaits_key said of it */
  uint64_t now_ms;
  const struct fence *fence; /* as it is now */
  const struct fence_actions *actions;
};

void watch_init (struct watch *watch, const struct fence_config *config, uint64_t now_ms,
                 const struct fence *fence);

/* Time has passed, with the gate as it is; before everything else that happens then. */
void watch_time (struct watch *watch, uint64_t now_ms);

/* The primary's service now denies whatever is asked, until further notice; or does so no more. */
void watch_owner (struct watch *watch, bool denies);

/* The machine was called. */
void watch_step (struct watch *watch, const struct watch_step *step);

const char *watch_count_name (enum watch_count count);

#endif
