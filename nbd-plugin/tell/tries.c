/* tries.c owns how often a hook or a notification is tried, and what is told of it. */
#include "nbd-plugin/tell/tries.h"

#include <stdio.h>

#include "common/checked.h"
#include "common/io.h"
#include "nbd-plugin/tell/teller.h"

/* Behind each try but the last. */
static const uint32_t pauses_ms[] = {1000, 4000};

/* The status in one word; `pause` is how the last pause ended. */
static const char *
status_name (int r, enum lane_pause pause)
{
  static const char *const names[] = {
      [LANE_PAUSE_OVER] = "failed",
      [LANE_PAUSE_NEWER] = "superseded",
      [LANE_PAUSE_STOPPING] = "stopped",
  };

  return r == 0 ? "ok" : names[pause];
}

static void
tell_result (struct lane *lane, const struct record_result *result)
{
  teller_put (lane->teller, record_of_result (result), RECORD_RESULT);
  if (result->detail[0])
    teller_log (lane->teller, true, "%s: %s %s was not told of the state %s in %u tries (%s): %s",
                lane->teller->about.path, result->event, result->to, result->state, result->tries,
                result->status, result->detail);
}

void
tries_deliver (struct lane *lane, const struct record *record, const char *event, const char *to,
               try_fn *once)
{
  struct record_result result = {.event = event};
  uint64_t start_ms = clock_ms ();
  char why[TRIES_WHY_MAX] = "";
  enum lane_pause pause = LANE_PAUSE_OVER;
  int r;

  for (;;) {
    r = once (lane, record, why);
    if (r == 0 || result.tries++ == ARRAY_SIZE (pauses_ms))
      break;
    pause = lane_pause (lane, pauses_ms[result.tries - 1], true);
    if (pause != LANE_PAUSE_OVER)
      break;
  }
  result.time_unix_ms = record_now_ms ();
  result.tries += r == 0;
  result.duration_ms = (uint32_t)(clock_ms () - start_ms);
  snprintf (result.to, sizeof result.to, "%s", to);
  snprintf (result.state, sizeof result.state, "%s", record->change.state);
  snprintf (result.status, sizeof result.status, "%s", status_name (r, pause));
  snprintf (result.detail, sizeof result.detail, "%s", r == 0 ? "" : why);
  tell_result (lane, &result);
}
