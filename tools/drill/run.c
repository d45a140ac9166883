/* run.c owns the course of a drill: look, revoke, wait for the fence, restore, wait for the
 * recovery and until it has proved to last, compare; and that a key which was taken away is given
 * back.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/drill/drill.h"
#include "tools/drill/signals.h"
#include "tools/print.h"

#define TICK_MS 50
#define STALLED_MS 500      /* without any answer, a fenced volume is taken to hold requests */
#define SERVER_GONE_MS 2000 /* neither its control socket nor a request is answered */
#define RESTORE_PAUSE_MS 2000
#define COMPARE_MS 15000 /* for reading everything again */

/* ---- saying what goes on ---- */

static void
say (const struct drill *drill, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

static void
say (const struct drill *drill, const char *fmt, ...)
{
  char text[1600];
  va_list args;

  if (drill->options.quiet)
    return;
  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  print_line ("%7.1f s  %s", (double)follow_now_ms (&drill->follow) / 1000, text);
  fflush (stdout);
}

static void
trouble (struct drill *drill, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/* The first one counts. */
static void
trouble (struct drill *drill, const char *fmt, ...)
{
  va_list args;

  if (*drill->trouble)
    return;
  va_start (args, fmt);
  vsnprintf (drill->trouble, sizeof drill->trouble, fmt, args);
  va_end (args);
  say (drill, "%s", drill->trouble);
}

/* ---- the passing of time ---- */

static bool
server_is_gone (struct drill *drill)
{
  struct prober_state state = prober_state (drill->prober);

  return drill->follow.gone && state.count > 0 && state.last == PROBE_LOST
         && follow_now_ms (&drill->follow) - drill->follow.last_answer_ms > SERVER_GONE_MS;
}

/* One look at everything. */
static void
tick (struct drill *drill)
{
  follow_poll (&drill->follow);
  nanosleep (&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
}

/* What ends the drill early, before the restore. */
static bool
must_stop (struct drill *drill)
{
  if (signals_first () != 0) {
    drill->interrupted_by = signals_first ();
    trouble (drill, "interrupted by SIG%s", sigabbrev_np (signals_first ()));
  }
  else if (server_is_gone (drill))
    trouble (drill, "the server has died: neither its control socket nor a request is answered");
  return *drill->trouble;
}

static void
pass (struct drill *drill, uint64_t ms)
{
  uint64_t end_ms = clock_ms () + ms;

  while (clock_ms () < end_ms && !must_stop (drill))
    tick (drill);
}

/* ---- commands ---- */

static void
say_output (const struct drill *drill, const struct drill_command *command)
{
  if (*command->shell.output)
    say (drill, "  it said: %.300s", command->shell.output);
}

/* Runs it to its end.  A signal ends the revocation early, and never a restoring. */
static bool
run_command (struct drill *drill, const char *what, const char *line, bool can_be_stopped)
{
  struct drill_command *command = &drill->commands[drill->command_count++];
  struct error err = {0};

  command->what = what;
  command->started_ms = follow_now_ms (&drill->follow);
  command->shell.line = line;
  say (drill, "%s: %s", what, line);
  if (shell_start (line, drill->options.command_timeout_ms, &command->shell, &err) < 0) {
    command->shell.exit_status = 127;
    snprintf (command->shell.output, sizeof command->shell.output, "%s", err.text);
  }
  while (!shell_ended (&command->shell)) {
    if (can_be_stopped && must_stop (drill))
      shell_stop (&command->shell);
    tick (drill);
  }
  command->ended_ms = follow_now_ms (&drill->follow);
  say_output (drill, command);
  if (command->shell.timed_out)
    say (drill, "the %s command has run for too long and was ended", what);
  else if (!shell_succeeded (&command->shell))
    say (drill, "the %s command ended with status %d", what, command->shell.exit_status);
  return shell_succeeded (&command->shell);
}

static void
take_away (struct drill *drill)
{
  bool done;

  drill->key_in_doubt = true;
  drill->moments.revoke_started_ms = follow_now_ms (&drill->follow);
  done = run_command (drill, "revoke", drill->options.revoke, true);
  drill->moments.revoke_ended_ms = follow_now_ms (&drill->follow);
  if (!done)
    trouble (drill, "the revoke command has failed");
}

static void
give_back (struct drill *drill)
{
  drill->moments.restore_started_ms = follow_now_ms (&drill->follow);
  prober_set_mode (drill->prober, PROBER_DURING);
  for (int i = 0; i < DRILL_RESTORES && drill->key_in_doubt; i++) {
    uint64_t end_ms = clock_ms () + (i > 0 ? RESTORE_PAUSE_MS : 0);

    while (clock_ms () < end_ms)
      tick (drill);
    if (!run_command (drill, "restore", drill->options.restore, false))
      continue;
    drill->key_in_doubt = false;
    drill->moments.restore_ended_ms = follow_now_ms (&drill->follow);
  }
}

/* ---- waiting for the server ---- */

/* Refused, or not answered any more (on-fence=stall). */
static bool
is_not_served (struct drill *drill)
{
  struct prober_state state = prober_state (drill->prober);

  return state.last == PROBE_REFUSED
         || follow_now_ms (&drill->follow) - state.last_end_ms > STALLED_MS;
}

static void
wait_for_fence (struct drill *drill)
{
  uint64_t end_ms = clock_ms () + drill->options.give_up_ms;

  while (!must_stop (drill)) {
    if (strcmp (follow_state (&drill->follow), "fenced") == 0 && is_not_served (drill)) {
      say (drill, "fenced: %s", json_get_string (drill->follow.last, "reason"));
      return;
    }
    if (clock_ms () >= end_ms) {
      trouble (drill, "still served %g s after the revocation",
               (double)drill->options.give_up_ms / 1000);
      return;
    }
    tick (drill);
  }
}

static bool
is_recovered (struct drill *drill, size_t served_before)
{
  return strcmp (follow_state (&drill->follow), "active") == 0
         && prober_state (drill->prober).served > served_before;
}

/* Signals from before don't shorten it; another one does. */
static void
wait_for_recovery (struct drill *drill)
{
  uint64_t end_ms = clock_ms () + drill->options.give_up_ms;
  size_t served = prober_state (drill->prober).served;
  int signals = signals_count ();

  while (clock_ms () < end_ms && signals_count () == signals && !server_is_gone (drill)) {
    if (is_recovered (drill, served)) {
      say (drill, "active, and served again");
      return;
    }
    tick (drill);
  }
  trouble (drill, "not served again after the restore");
}

/* A key service whose answers change late may deny after the restore, also when the drill was
 * interrupted before the revocation had shown at all; and nobody looks at it when the drill has
 * ended.  So the drill stays until a check was good that had begun after the hold.  Signals from
 * before don't shorten that either.
 */
static void
settle (struct drill *drill)
{
  const struct json *parameters = json_get (drill->follow.first, "parameters");
  double interval_ms = drill_number (parameters, "check_interval_s") * 1000;
  uint64_t end_ms = clock_ms () + drill->options.give_up_ms;
  struct moments *m = &drill->moments;
  int signals = signals_count ();

  if (interval_ms >= (double)drill->options.give_up_ms)
    return; /* it would not be seen */
  while (clock_ms () < end_ms && signals_count () == signals && !server_is_gone (drill)) {
    if (follow_settled (&drill->follow, m->back_ms + (int64_t)drill->options.hold_ms)) {
      m->settled_ms = follow_now_ms (&drill->follow);
      say (drill, "a check after that was good, too");
      return;
    }
    if (m->late_ms == DRILL_NEVER
        && (m->late_ms = follow_denial_begun (&drill->follow, m->back_ms)) != DRILL_NEVER)
      say (drill, "denied, though the key is back: the key service's answers change late");
    tick (drill);
  }
}

static void
compare (struct drill *drill)
{
  uint64_t end_ms = clock_ms () + COMPARE_MS;
  int signals = signals_count ();

  prober_set_mode (drill->prober, PROBER_AFTER);
  while (clock_ms () < end_ms && signals_count () == signals && !prober_compared (drill->prober))
    tick (drill);
}

/* ---- the whole ---- */

/* Writes that the server has done, and that were not ours. */
static uint64_t
others_writes (const struct drill *drill)
{
  double now = drill_number (json_get (drill->follow.last, "io"), "writes");
  double before = drill_number (json_get (drill->follow.first, "io"), "writes");
  double own = (double)drill->data.scratch_writes;

  return now - before > own ? (uint64_t)(now - before - own) : 0;
}

static void
finish (struct drill *drill)
{
  struct moments *m = &drill->moments;
  const struct probe *probes;
  size_t count;

  follow_poll (&drill->follow);
  prober_stop (drill->prober);
  drill->ended_ms = follow_now_ms (&drill->follow);
  drill->clock_set_ms = follow_clock_set_ms (&drill->follow);
  m->denied_ms = follow_operation_at (&drill->follow, "denied", m->revoke_started_ms);
  m->fenced_ms = follow_state_at (&drill->follow, "fenced", m->revoke_started_ms);
  m->active_ms = follow_state_at (&drill->follow, "active", m->restore_started_ms);
  m->late_ms = follow_denial_begun (&drill->follow, m->back_ms);
  drill->fenced_at_end =
      !drill->follow.gone && strcmp (follow_state (&drill->follow), "fenced") == 0;
  drill->data = prober_data (drill->prober);
  drill->others_writes = others_writes (drill);
  probes = prober_probes (drill->prober, &count);
  figures_of (probes, count, m, &drill->figures);
  drill_judge (drill);
}

static void
recover (struct drill *drill)
{
  struct moments *m = &drill->moments;

  give_back (drill);
  /* Where it is not fenced, whatever is denied from now on is late. */
  if (strcmp (follow_state (&drill->follow), "fenced") != 0)
    m->back_ms = m->restore_ended_ms;
  wait_for_recovery (drill);
  if (m->back_ms == DRILL_NEVER && strcmp (follow_state (&drill->follow), "active") == 0)
    m->back_ms = follow_now_ms (&drill->follow);
  if (!*drill->trouble)
    pass (drill, drill->options.hold_ms);
  if (m->back_ms != DRILL_NEVER)
    settle (drill);
  if (strcmp (follow_state (&drill->follow), "active") == 0)
    compare (drill);
}

void
drill_run (struct drill *drill)
{
  drill->moments =
      (struct moments){DRILL_NEVER, DRILL_NEVER, DRILL_NEVER, DRILL_NEVER, DRILL_NEVER,
                       DRILL_NEVER, DRILL_NEVER, DRILL_NEVER, DRILL_NEVER, DRILL_NEVER};
  say (drill, "served, with a request every %d ms", PROBE_EVERY_MS);
  pass (drill, drill->options.hold_ms);
  if (!must_stop (drill)) {
    take_away (drill);
    if (!must_stop (drill))
      wait_for_fence (drill);
    pass (drill, drill->options.hold_ms);
    recover (drill);
  }
  finish (drill);
}

void
drill_clear (struct drill *drill)
{
  prober_free (drill->prober);
  follow_clear (&drill->follow);
  *drill = (struct drill){0};
}
