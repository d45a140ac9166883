/* judge.c owns what must be so for a drill to have passed. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "tools/drill/drill.h"

#define WIPE_LIMIT_US 10000 /* what keyfence promises */
#define CLOCK_SET_LIMIT_MS 50

static void check (struct drill *drill, const char *name, enum drill_verdict verdict,
                   const char *fmt, ...) __attribute__ ((format (printf, 4, 5)));

static void
check (struct drill *drill, const char *name, enum drill_verdict verdict, const char *fmt, ...)
{
  struct drill_check *c = &drill->checks[drill->check_count++];
  va_list args;

  assert (drill->check_count <= DRILL_CHECKS_MAX);
  c->name = name;
  c->verdict = verdict;
  va_start (args, fmt);
  vsnprintf (c->text, sizeof c->text, fmt, args);
  va_end (args);
  if (verdict == DRILL_FAILED)
    drill->verdict = DRILL_FAILED;
}

static enum drill_verdict
passed_if (bool so)
{
  return so ? DRILL_PASSED : DRILL_FAILED;
}

/* An interval against its limit. */
static void
check_limit (struct drill *drill, const char *name, int64_t interval_ms, uint64_t limit_ms,
             const char *what)
{
  if (interval_ms == DRILL_NEVER)
    check (drill, name, DRILL_FAILED, "it did not happen; allowed were %.3f s", limit_ms / 1000.0);
  else
    check (drill, name, passed_if (figures_within (interval_ms, limit_ms)),
           "%.3f s %s; allowed: %.3f s", (double)interval_ms / 1000, what, (double)limit_ms / 1000);
}

static void
judge_course (struct drill *drill)
{
  if (*drill->trouble)
    check (drill, "course", DRILL_FAILED, "%s", drill->trouble);
  else
    check (drill, "course", DRILL_PASSED, "every step was done");
  if (drill->clock_set_ms > CLOCK_SET_LIMIT_MS || drill->clock_set_ms < -CLOCK_SET_LIMIT_MS)
    check (drill, "clock", DRILL_FAILED,
           "the wall clock was set by %" PRId64 " ms during the drill, and the server's times are "
           "by it",
           drill->clock_set_ms);
}

/* The server's bound is from the service's denial to a refused request. */
static void
judge_fence (struct drill *drill)
{
  const struct figures *f = &drill->figures;
  double bound_s = drill_number (drill->follow.first, "fence_bound_s");
  double wipe_us = drill_number (drill->follow.last, "last_wipe_us");
  bool fenced = drill->moments.fenced_ms != DRILL_NEVER;

  check (drill, "fenced", passed_if (fenced),
         fenced ? "requests were refused, and the key was wiped" : "the volume was never fenced");
  if (drill->options.limit_fence)
    check_limit (drill, "max-fence", f->revoke_to_last_served_ms, drill->options.max_fence_ms,
                 "from the end of the revoke command to the last served request");
  if (!fenced)
    return;
  if (f->denial_to_last_served_ms == DRILL_NEVER)
    check (drill, "bound", DRILL_FAILED, "the server tells of no denial by the key service");
  else
    check_limit (drill, "bound", f->denial_to_last_served_ms, (uint64_t)(bound_s * 1000),
                 "from the service's first denial to the last served request (the server's own "
                 "bound)");
  check (drill, "gate", passed_if (f->served_while_fenced == 0),
         "%zu requests were served while the volume was fenced", f->served_while_fenced);
  check (drill, "wipe", passed_if (wipe_us <= WIPE_LIMIT_US),
         "the key was wiped within %.0f µs; allowed: %d µs", wipe_us, WIPE_LIMIT_US);
}

/* Whether the recovery lasted. */
static void
judge_settling (struct drill *drill)
{
  const struct moments *m = &drill->moments;
  bool late = m->late_ms != DRILL_NEVER;
  double late_s = late ? (double)(m->late_ms - m->back_ms) / 1000 : 0;

  if (m->back_ms == DRILL_NEVER)
    return; /* "restore" or "recovered" has told it */
  if (late && follow_state_at (&drill->follow, "fenced", m->back_ms) != DRILL_NEVER)
    check (
        drill, "settled", DRILL_FAILED,
        "the key service denied %.1f s after the key was back, and the volume was fenced for it: "
        "its answers change late",
        late_s);
  else if (m->settled_ms == DRILL_NEVER)
    check (drill, "settled", DRILL_NOT_JUDGED, "no check was good after the hold");
  else if (late)
    check (drill, "settled", DRILL_PASSED,
           "the key service denied %.1f s after the key was back, and then no more", late_s);
  else
    check (drill, "settled", DRILL_PASSED, "a whole check after the hold was good");
}

static void
judge_recovery (struct drill *drill)
{
  const struct figures *f = &drill->figures;
  bool active = strcmp (follow_state (&drill->follow), "active") == 0 && !drill->follow.gone;

  check (drill, "restore", passed_if (!drill->key_in_doubt),
         drill->key_in_doubt ? "no restore command has succeeded"
                             : "the restore command succeeded");
  check (drill, "recovered", passed_if (active),
         active ? "the volume is active" : "the volume is not active");
  judge_settling (drill);
  if (drill->options.limit_recover)
    check_limit (drill, "max-recover", f->restore_to_first_served_ms, drill->options.max_recover_ms,
                 "from the start of the restore command to the first served request");
  check (drill, "connection", passed_if (f->lost == 0),
         "%zu requests were lost with their connection", f->lost);
}

/* A volume that others write to during the drill changes by right; but a wrong key would change
 * every block of the sample.
 */
static void
judge_sample (struct drill *drill)
{
  const struct prober_data *d = &drill->data;
  unsigned compared = d->same + d->changed;

  if (compared == 0)
    check (drill, "data", DRILL_FAILED, "nothing could be compared");
  else if (d->changed == 0)
    check (drill, "data", DRILL_PASSED, "%u of %u sampled blocks are the same as before", d->same,
           d->sampled);
  else if (drill->others_writes >= d->changed && d->same > 0)
    check (drill, "data", DRILL_NOT_JUDGED,
           "%u of %u sampled blocks are the same as before; %u differ, and others have written "
           "%" PRIu64 " times meanwhile",
           d->same, compared, d->changed, drill->others_writes);
  else
    check (drill, "data", DRILL_FAILED,
           "%u of %u sampled blocks differ from before, and others have written %" PRIu64 " times",
           d->changed, compared, drill->others_writes);
}

static void
judge_data (struct drill *drill)
{
  const struct prober_data *d = &drill->data;

  judge_sample (drill);
  if (drill->options.scratch_bytes == 0)
    return;
  check (drill, "scratch", passed_if (d->scratch_wrong == 0 && d->scratch_blocks > 0),
         "%u of %u blocks that were written are not as their last acknowledged write",
         d->scratch_wrong, d->scratch_blocks);
}

void
drill_judge (struct drill *drill)
{
  drill->verdict = DRILL_PASSED;
  judge_course (drill);
  if (drill->moments.revoke_started_ms == DRILL_NEVER)
    return;
  judge_fence (drill);
  judge_recovery (drill);
  judge_data (drill);
}
