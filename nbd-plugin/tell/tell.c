/* tell.c owns the teller: who wants to know what, and the start and the end of all its lanes. */
#include "nbd-plugin/tell.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/io.h"
#include "nbd-plugin/tell/teller.h"

static const struct lane_work *const works[LANE_COUNT] = {
    [LANE_SYSTEMD] = &work_systemd, [LANE_HOOK] = &work_hook, [LANE_NOTIFY] = &work_notify,
    [LANE_AUDIT] = &work_audit,     [LANE_LOG] = &work_log,
};

/* ---- what is told ---- */

void
teller_put (struct teller *teller, struct record *record, enum record_kind kind)
{
  for (int i = 0; i < LANE_COUNT; i++)
    if (teller->lanes[i].work->kinds & RECORD_BIT (kind))
      lane_put (&teller->lanes[i], record);
  record_unref (record);
}

void
teller_log (struct teller *teller, bool error, const char *fmt, ...)
{
  char text[sizeof ((struct record *)NULL)->line.text];
  va_list args;

  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  teller_put (teller, record_of_line (error, text), RECORD_LINE);
}

void
tell_change (struct teller *teller, const struct tell_change *change)
{
  if (teller)
    teller_put (teller, record_of_change (change), RECORD_CHANGE);
}

void
tell_operation (struct teller *teller, const struct tell_operation *operation)
{
  if (teller)
    teller_put (teller, record_of_operation (operation), RECORD_OPERATION);
}

void
tell_event (struct teller *teller, const struct tell_event *event)
{
  if (teller)
    teller_put (teller, record_of_event (event), RECORD_EVENT);
}

/* ---- the start ---- */

void
teller_unref (struct teller *teller)
{
  if (atomic_fetch_sub (&teller->refs, 1) != 1)
    return;
  for (int i = 0; i < LANE_COUNT; i++)
    lane_clear (&teller->lanes[i]);
  free (teller->about.volume);
  free (teller->about.label);
  free (teller->about.path);
  free (teller);
}

static char *
clean_copy (const char *text)
{
  char *copy = strdup (text ? text : "");

  if (copy)
    kms_text_clean (copy);
  return copy;
}

static struct teller *
teller_new (const struct tell_params *params, struct error *err)
{
  struct teller *teller = calloc (1, sizeof *teller);

  if (!teller) {
    error_set (err, ERROR_SYSTEM, "out of memory");
    return NULL;
  }
  atomic_init (&teller->refs, 1);
  for (int i = 0; i < LANE_COUNT; i++)
    lane_init (&teller->lanes[i], works[i], teller);
  teller->about.volume = clean_copy (params->volume);
  teller->about.label = clean_copy (params->label);
  teller->about.path = clean_copy (params->path);
  if (teller->about.volume && teller->about.label && teller->about.path)
    return teller;
  error_set (err, ERROR_SYSTEM, "out of memory");
  teller_unref (teller);
  return NULL;
}

/* Who started us may have had SIGCHLD ignored, and exec keeps that: no child would leave a status.
 */
static void
expect_statuses (void)
{
  struct sigaction action;

  if (sigaction (SIGCHLD, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO)
      && action.sa_handler == SIG_IGN)
    signal (SIGCHLD, SIG_DFL);
}

static int
start_lanes (struct teller *teller, const struct tell_params *params, struct error *err)
{
  for (int i = 0; i < LANE_COUNT; i++)
    if (works[i]->open (params, &teller->lanes[i].self, err) < 0)
      return -1;
  expect_statuses ();
  for (int i = 0; i < LANE_COUNT; i++)
    if (teller->lanes[i].self && lane_start (&teller->lanes[i], err) < 0)
      return -1;
  return 0;
}

int
tell_start (const struct tell_params *params, struct teller **ret_teller, struct error *err)
{
  struct teller *teller = teller_new (params, err);

  if (!teller)
    return -1;
  if (start_lanes (teller, params, err) < 0) {
    tell_stop (teller);
    return -1;
  }
  *ret_teller = teller;
  return 0;
}

/* ---- the end: two seconds, whatever hangs ---- */

/* Who is stopped when: what these tell at their end is still told by the next.  Times are from the
 * beginning of tell_stop: until when they tell, and until when they get to kill and reap a child.
 */
struct wave {
  int first, last;
  uint64_t tell_ms, end_ms;
};

static const struct wave waves[] = {
    {LANE_SYSTEMD, LANE_NOTIFY, 1200, 1600},
    {LANE_AUDIT, LANE_AUDIT, 1800, 1850},
    {LANE_LOG, LANE_LOG, 1950, 2000},
};

static void
tell_what_is_left (struct teller *teller, struct lane *lane)
{
  size_t waiting = lane_waiting (lane);

  if (waiting > 0 && lane->self)
    teller_log (teller, true, "%s: %s: the server ends, and %zu records could not be told",
                teller->about.path, lane->work->name, waiting);
}

static void
stop_wave (struct teller *teller, const struct wave *wave, uint64_t start_ms)
{
  for (int i = wave->first; i <= wave->last; i++)
    lane_stop (&teller->lanes[i]);
  for (int i = wave->first; i <= wave->last; i++)
    lane_await (&teller->lanes[i], start_ms + wave->tell_ms);
  for (int i = wave->first; i <= wave->last; i++)
    lane_abandon (&teller->lanes[i]);
  for (int i = wave->first; i <= wave->last; i++) {
    lane_await (&teller->lanes[i], start_ms + wave->end_ms);
    lane_join_or_leave (&teller->lanes[i]);
    tell_what_is_left (teller, &teller->lanes[i]);
  }
}

void
tell_stop (struct teller *teller)
{
  uint64_t start_ms = clock_ms ();

  if (!teller)
    return;
  for (size_t i = 0; i < ARRAY_SIZE (waves); i++)
    stop_wave (teller, &waves[i], start_ms);
  teller_unref (teller);
}
