/* What a drill's probes and moments add up to.  Pure: no clock, no files, any thread.
 *
 * All moments are milliseconds since the drill's start, DRILL_NEVER when it did not happen.
 */
#ifndef DRILL_FIGURES_H
#define DRILL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRILL_NEVER INT64_MIN

/* A request that the server had taken before it fenced may be answered a little later. */
#define DRILL_SLACK_MS 10

enum probe_outcome {
  PROBE_SERVED,
  PROBE_REFUSED, /* the server answered with an error */
  PROBE_LOST,    /* no connection, or no answer to the end */
};

struct probe {
  int64_t start_ms, end_ms;
  bool write;
  enum probe_outcome outcome;
  int errnum; /* of a refusal */
};

struct moments {
  int64_t revoke_started_ms, revoke_ended_ms;
  int64_t restore_started_ms, restore_ended_ms; /* ended: of the attempt that succeeded */
  int64_t denied_ms;                            /* the service's first denial */
  int64_t fenced_ms;                            /* the server's: gate closed and key wiped */
  int64_t active_ms;                            /* the server's: after the restore */
  int64_t back_ms;    /* served again; where it was never fenced: the restore's end */
  int64_t late_ms;    /* the first check after that which was denied all the same */
  int64_t settled_ms; /* a whole check after all of that was good */
};

struct figures {
  int64_t last_served_ms;  /* the answer to the last request before the fence */
  int64_t first_served_ms; /* the first answer after the restore */
  /* Intervals; DRILL_NEVER when one of their ends is not known.  Those from the revoke command's
   * end are negative when the service denied before the command had ended.
   */
  int64_t revoke_to_last_served_ms, revoke_to_wipe_ms;
  int64_t denial_to_last_served_ms, denial_to_wipe_ms;
  int64_t restore_to_first_served_ms;
  int64_t not_served_ms;
  size_t served, refused, lost;
  size_t served_while_fenced;
};

/* `probes` in the order of their starts. */
void figures_of (const struct probe *probes, size_t count, const struct moments *moments,
                 struct figures *ret);

/* Whether an interval is known and no longer than the limit. */
bool figures_within (int64_t interval_ms, uint64_t limit_ms);

#endif
