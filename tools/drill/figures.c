/* figures.c owns the computation of a drill's figures. */
#include "tools/drill/figures.h"

#include "common/checked.h"

static int64_t
between (int64_t from_ms, int64_t to_ms)
{
  return from_ms == DRILL_NEVER || to_ms == DRILL_NEVER ? DRILL_NEVER : to_ms - from_ms;
}

static bool
is_before_restore (int64_t at_ms, const struct moments *moments)
{
  return moments->restore_started_ms == DRILL_NEVER || at_ms <= moments->restore_started_ms;
}

/* When the fence came: as the server tells, or else when a request was refused first. */
static int64_t
fence_of (const struct probe *probes, size_t count, const struct moments *moments)
{
  if (moments->fenced_ms != DRILL_NEVER)
    return moments->fenced_ms;
  for (size_t i = 0; i < count; i++)
    if (probes[i].outcome == PROBE_REFUSED && moments->revoke_started_ms != DRILL_NEVER
        && probes[i].end_ms >= moments->revoke_started_ms)
      return probes[i].end_ms;
  return DRILL_NEVER;
}

static void
count_probe (const struct probe *probe, const struct moments *moments, struct figures *ret)
{
  if (probe->outcome == PROBE_REFUSED)
    ret->refused++;
  else if (probe->outcome == PROBE_LOST)
    ret->lost++;
  else {
    ret->served++;
    if (moments->fenced_ms != DRILL_NEVER && is_before_restore (probe->end_ms, moments)
        && probe->start_ms > moments->fenced_ms + DRILL_SLACK_MS)
      ret->served_while_fenced++;
  }
}

/* An answer that came after the restore had begun is of the time after the fence, also when the
 * request had waited through it (on-fence=stall); unless the fence itself came later than that.
 */
static void
find_ends (const struct probe *probes, size_t count, const struct moments *moments,
           int64_t fence_ms, struct figures *ret)
{
  for (size_t i = 0; i < count; i++) {
    int64_t end_ms = probes[i].end_ms;
    bool before =
        is_before_restore (end_ms, moments)
        || (!is_before_restore (fence_ms, moments) && end_ms <= fence_ms + DRILL_SLACK_MS);

    if (probes[i].outcome != PROBE_SERVED)
      continue;
    if (before)
      ret->last_served_ms = MAX (ret->last_served_ms, end_ms);
    else if (ret->first_served_ms == DRILL_NEVER || end_ms < ret->first_served_ms)
      ret->first_served_ms = end_ms;
  }
}

void
figures_of (const struct probe *probes, size_t count, const struct moments *moments,
            struct figures *ret)
{
  int64_t fence_ms = fence_of (probes, count, moments);

  *ret = (struct figures){.last_served_ms = DRILL_NEVER, .first_served_ms = DRILL_NEVER};
  for (size_t i = 0; i < count; i++)
    count_probe (&probes[i], moments, ret);
  /* Without a fence nothing was the last, and nothing the first again. */
  if (fence_ms != DRILL_NEVER)
    find_ends (probes, count, moments, fence_ms, ret);
  ret->revoke_to_last_served_ms = between (moments->revoke_ended_ms, ret->last_served_ms);
  ret->revoke_to_wipe_ms = between (moments->revoke_ended_ms, moments->fenced_ms);
  ret->denial_to_last_served_ms = between (moments->denied_ms, ret->last_served_ms);
  ret->denial_to_wipe_ms = between (moments->denied_ms, moments->fenced_ms);
  ret->restore_to_first_served_ms = between (moments->restore_started_ms, ret->first_served_ms);
  ret->not_served_ms = between (ret->last_served_ms, ret->first_served_ms);
}

bool
figures_within (int64_t interval_ms, uint64_t limit_ms)
{
  return interval_ms != DRILL_NEVER && (interval_ms <= 0 || (uint64_t)interval_ms <= limit_ms);
}
