/* picture.c owns the drawing of a drill's time line. */
#include "tools/drill/picture.h"

#include <string.h>

#include "common/checked.h"

/* All in the picture's own units. */
#define WIDTH 1080
#define LEFT 92
#define PLOT (WIDTH - LEFT - 14)
#define RATE_TOP 96
#define RATE_HEIGHT 120
#define LANE_HEIGHT 18
#define STATE_TOP 236
#define CHECK_TOP 270
#define COMMAND_TOP 304
#define AXIS_TOP 336
#define HEIGHT 362
/* Of the throughput: of half a second, or as many as there is room for. */
#define COLUMN_MS 500
#define COLUMNS_MAX 160

static double
x_of (const struct drill *drill, int64_t at_ms)
{
  int64_t end_ms = MAX (drill->ended_ms, 1);

  return LEFT + (double)PLOT * (double)MIN (MAX (at_ms, 0), end_ms) / (double)end_ms;
}

static void
write_rect (struct text *text, const char *class, double x, double y, double width, double height)
{
  text_format (text, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
               class, x, y, MAX (width, 0.5), height);
}

static void
write_lane_name (struct text *text, double y, const char *name)
{
  text_format (text, "<text class=\"name\" x=\"0\" y=\"%.1f\">%s</text>\n", y, name);
}

/* ---- requests ---- */

struct column {
  size_t count[PROBE_LOST + 1];
};

static size_t
column_total (const struct column *c)
{
  return c->count[PROBE_SERVED] + c->count[PROBE_REFUSED] + c->count[PROBE_LOST];
}

/* Each column has the requests that ended in its time, one outcome above the other. */
static void
write_requests (const struct drill *drill, struct text *text)
{
  static const char *const classes[] = {
      [PROBE_SERVED] = "served", [PROBE_REFUSED] = "refused", [PROBE_LOST] = "lost"};
  struct column columns[COLUMNS_MAX] = {0};
  int64_t end_ms = MAX (drill->ended_ms, 1);
  size_t count, most = 1;
  const struct probe *probes = prober_probes (drill->prober, &count);
  int64_t column_count = MAX (MIN (end_ms / COLUMN_MS, COLUMNS_MAX), 1);
  double width = (double)PLOT / (double)column_count;

  for (size_t i = 0; i < count; i++) {
    int64_t at = MIN (MAX (probes[i].end_ms, 0) * column_count / end_ms, column_count - 1);

    columns[at].count[probes[i].outcome]++;
    most = MAX (most, column_total (&columns[at]));
  }
  write_lane_name (text, RATE_TOP + 14, "requests");
  text_format (text, "<text x=\"0\" y=\"%d\">%.0f a second</text>\n", RATE_TOP + 30,
               (double)most * 1000 * (double)column_count / (double)end_ms);
  write_rect (text, "rail", LEFT, RATE_TOP + RATE_HEIGHT, PLOT, 1);
  for (int i = 0; i < column_count; i++) {
    double y = RATE_TOP + RATE_HEIGHT;

    for (size_t o = 0; o < ARRAY_SIZE (classes); o++) {
      double height = (double)RATE_HEIGHT * (double)columns[i].count[o] / (double)most;

      y -= height;
      if (height > 0)
        write_rect (text, classes[o], LEFT + i * width, y, width - 0.8, height);
    }
  }
}

/* ---- states, checks, commands ---- */

static const char *
state_class (const char *state)
{
  static const char *const states[] = {"active", "grace", "fenced"};
  static const char *const classes[] = {"s-active", "s-grace", "s-fenced"};

  for (size_t i = 0; state && i < ARRAY_SIZE (states); i++)
    if (strcmp (state, states[i]) == 0)
      return classes[i];
  return "rail";
}

static int64_t
at_ms_of (const struct json *entry)
{
  return (int64_t)drill_number (entry, "at_ms");
}

static void
write_state (const struct drill *drill, const char *state, int64_t from_ms, int64_t to_ms,
             struct text *text)
{
  double x = x_of (drill, from_ms), width = x_of (drill, to_ms) - x;

  write_rect (text, state_class (state), x, STATE_TOP, width, LANE_HEIGHT);
}

static void
write_states (const struct drill *drill, struct text *text)
{
  const char *state = json_get_string (drill->follow.first, "state");
  int64_t from_ms = 0;

  write_lane_name (text, STATE_TOP + 13, "volume");
  for (size_t i = 0; i < json_size (drill->follow.states); i++) {
    const struct json *entry = json_at (drill->follow.states, i);

    write_state (drill, state, from_ms, at_ms_of (entry), text);
    from_ms = at_ms_of (entry);
    state = json_get_string (entry, "state");
  }
  write_state (drill, state, from_ms, drill->ended_ms, text);
}

/* A disc where the service said yes, a taller mark where it did not. */
static void
write_checks (const struct drill *drill, struct text *text)
{
  write_lane_name (text, CHECK_TOP + 13, "key checks");
  write_rect (text, "rail", LEFT, CHECK_TOP + 8.5, PLOT, 1);
  for (size_t i = 0; i < json_size (drill->follow.operations); i++) {
    const struct json *entry = json_at (drill->follow.operations, i);
    const char *class = json_get_string (entry, "class");
    double x = x_of (drill, at_ms_of (entry));

    if (class && strcmp (class, "ok") == 0)
      text_format (text, "<circle class=\"served\" cx=\"%.1f\" cy=\"%d\" r=\"4.5\"/>\n", x,
                   CHECK_TOP + 9);
    else
      write_rect (text, class && strcmp (class, "denied") == 0 ? "refused" : "s-grace", x - 2.5,
                  CHECK_TOP, 5, LANE_HEIGHT);
  }
}

static void
write_commands (const struct drill *drill, struct text *text)
{
  write_lane_name (text, COMMAND_TOP + 13, "commands");
  write_rect (text, "rail", LEFT, COMMAND_TOP + 8.5, PLOT, 1);
  for (size_t i = 0; i < drill->command_count; i++) {
    const struct drill_command *c = &drill->commands[i];
    double x = x_of (drill, c->started_ms);

    write_rect (text, shell_succeeded (&c->shell) ? "command" : "refused", x, COMMAND_TOP,
                MAX (x_of (drill, c->ended_ms) - x, 4), LANE_HEIGHT);
  }
}

/* ---- the moments ---- */

/* Each label has a line of its own, so that near ones don't cover each other. */
static void
write_mark (const struct drill *drill, int64_t at_ms, int line, const char *name, const char *class,
            struct text *text)
{
  double x, y = 14 + 15 * line;
  bool left;

  if (at_ms == DRILL_NEVER || at_ms > drill->ended_ms)
    return;
  x = x_of (drill, at_ms);
  left = x > WIDTH - 260;
  text_format (
      text,
      "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%d\"/>\n"
      "<text class=\"%s-name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s %.1f s</text>\n",
      class, x, x, y - 10, AXIS_TOP, class, left ? x - 5 : x + 5, y, left ? "end" : "start", name,
      (double)at_ms / 1000);
}

static void
write_marks (const struct drill *drill, struct text *text)
{
  const struct moments *m = &drill->moments;
  const struct drill_options *o = &drill->options;

  write_mark (drill, m->revoke_ended_ms, 0, "revoked", "mark", text);
  write_mark (drill, m->denied_ms, 1, "first denied", "mark", text);
  write_mark (drill, m->fenced_ms, 2, "fenced, wiped", "mark", text);
  write_mark (drill, m->restore_started_ms, 3, "restore", "mark", text);
  write_mark (drill, drill->figures.first_served_ms, 4, "served again", "mark", text);
  if (o->limit_fence && m->revoke_ended_ms != DRILL_NEVER
      && o->max_fence_ms < (uint64_t)drill->ended_ms)
    write_mark (drill, m->revoke_ended_ms + (int64_t)o->max_fence_ms, 5, "limit", "limit", text);
}

/* About ten steps of 1, 2 or 5 times a power of ten seconds. */
static int64_t
step_of (int64_t total_ms)
{
  int64_t step_ms = 100;

  while (step_ms * 12 < total_ms)
    step_ms *= step_ms * 2 * 12 >= total_ms ? 2 : step_ms * 5 * 12 >= total_ms ? 5 : 10;
  return step_ms;
}

static void
write_axis (const struct drill *drill, struct text *text)
{
  int64_t step_ms = step_of (drill->ended_ms);

  for (int64_t at_ms = 0; at_ms <= drill->ended_ms; at_ms += step_ms) {
    double x = x_of (drill, at_ms);

    text_format (text,
                 "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n"
                 "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g s</text>\n",
                 x, x, RATE_TOP, AXIS_TOP, MIN (x, WIDTH - 14.0), AXIS_TOP + 17,
                 (double)at_ms / 1000);
  }
}

void
picture_write (const struct drill *drill, struct text *text)
{
  text_format (
      text,
      "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Requests, states of the volume, "
      "checks of its key and commands over the time of the drill\">\n",
      WIDTH, HEIGHT);
  write_axis (drill, text);
  write_requests (drill, text);
  write_states (drill, text);
  write_checks (drill, text);
  write_commands (drill, text);
  write_marks (drill, text);
  text_put (text, "</svg>\n");
}
