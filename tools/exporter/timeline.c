/* timeline.c owns how transitions become a picture. */
#include "tools/exporter/timeline.h"

#include <stdlib.h>

#include "common/checked.h"
#include "tools/exporter/moment.h"

#define WIDTH 1000.0
#define HEIGHT 40.0
#define WIDTH_LEAST 6.0 /* of what must not be overlooked, however short it was */

/* ---- from transitions to spans ------------------------------------------------------------------
 */

/* A transition that makes sense; `order` keeps those of one second in the server's order. */
struct change {
  double at_s;
  size_t order;
  const struct json *json;
};

static int
by_time (const void *a, const void *b)
{
  const struct change *one = a, *other = b;

  if (one->at_s != other->at_s)
    return one->at_s < other->at_s ? -1 : 1;
  return one->order < other->order ? -1 : one->order > other->order;
}

/* The last TIMELINE_SPANS_MAX - 1 of them, by time. */
static size_t
read_changes (const struct json *facts, double now_s, struct change changes[TIMELINE_SPANS_MAX])
{
  const struct json *transitions = json_get (facts, "transitions");
  size_t all = json_is_array (transitions) ? json_size (transitions) : 0, count = 0;
  size_t first = all > TIMELINE_SPANS_MAX - 1 ? all - (TIMELINE_SPANS_MAX - 1) : 0;

  for (size_t i = first; i < all; i++) {
    const struct json *json = json_at (transitions, i);
    double at_s;

    if (moment_parse (json_get_string (json, "time"), &at_s) == 0)
      changes[count++] = (struct change){MIN (at_s, now_s), i, json};
  }
  qsort (changes, count, sizeof changes[0], by_time);
  return count;
}

static double
window (double age_s)
{
  static const double windows_s[] = {240,         1200,        3600,        4 * 3600.0,
                                     12 * 3600.0, 24 * 3600.0, 4 * 86400.0, 8 * 86400.0};

  for (size_t i = 0; i < ARRAY_SIZE (windows_s); i++)
    if (age_s <= windows_s[i])
      return windows_s[i];
  return 28 * 86400.0;
}

static void
add_span (struct timeline *timeline, double from_s, double until_s, enum condition condition,
          const char *reason)
{
  bool empty = until_s <= from_s && until_s < timeline->until_s;

  if (until_s < timeline->from_s || (empty && condition > CONDITION_GRACE))
    return;
  from_s = MAX (from_s, timeline->from_s);
  timeline->spans[timeline->count++] = (struct span){from_s, until_s, condition, reason};
  timeline->seconds[condition] += until_s - from_s;
}

void
timeline_make (const struct json *facts, double now_s, struct timeline *ret)
{
  struct change changes[TIMELINE_SPANS_MAX];
  size_t count = read_changes (facts, now_s, changes);
  double since_s;

  *ret = (struct timeline){.until_s = now_s};
  if (moment_parse (json_get_string (facts, "since"), &since_s) < 0 || since_s > now_s)
    since_s = now_s;
  ret->from_s = now_s - window (now_s - (count > 0 ? changes[0].at_s : since_s));
  if (count == 0) {
    add_span (ret, ret->from_s, since_s, CONDITION_UNKNOWN, NULL);
    add_span (ret, since_s, now_s, condition_from_state (json_get_string (facts, "state")),
              json_get_string (facts, "reason"));
    return;
  }
  add_span (ret, ret->from_s, changes[0].at_s,
            condition_from_state (json_get_string (changes[0].json, "from")), NULL);
  for (size_t i = 0; i < count; i++)
    add_span (ret, changes[i].at_s, i + 1 < count ? changes[i + 1].at_s : now_s,
              condition_from_state (json_get_string (changes[i].json, "state")),
              json_get_string (changes[i].json, "reason"));
}

/* ---- from spans to a picture --------------------------------------------------------------------
 */

/* How high a condition stands: it can be told without colours, too. */
static double
height (enum condition condition)
{
  static const double heights[CONDITION_COUNT] = {
      [CONDITION_FENCED] = 40, [CONDITION_SILENT] = 40, [CONDITION_GRACE] = 28,
      [CONDITION_UNKNOWN] = 4, [CONDITION_ACTIVE] = 16,
  };

  return heights[condition];
}

static void
write_span (const struct timeline *timeline, const struct span *span, struct text *text)
{
  double scale = WIDTH / (timeline->until_s - timeline->from_s);
  double x = (span->from_s - timeline->from_s) * scale;
  double width = (span->until_s - span->from_s) * scale;
  char from[MOMENT_MAX], until[MOMENT_MAX], length[DURATION_MAX];

  if (span->condition <= CONDITION_GRACE)
    width = MAX (width, WIDTH_LEAST);
  x = MIN (x, WIDTH - width);
  moment_words (span->from_s, from);
  moment_of_day (span->until_s, until);
  duration_words (span->until_s - span->from_s, length);
  text_format (text,
               "<rect class=\"s-%s\" x=\"%.2f\" y=\"%g\" width=\"%.2f\" height=\"%g\"><title>%s",
               condition_name (span->condition), x, HEIGHT - height (span->condition), width,
               height (span->condition), condition_word (span->condition));
  if (span->reason) {
    text_put (text, ", ");
    text_html (text, span->reason);
  }
  text_format (text, ": %s to %s UTC, %s</title></rect>", from, until, length);
}

/* What the picture says, in words; they are its legend, too. */
static void
write_caption (const struct timeline *timeline, struct text *text)
{
  char length[DURATION_MAX];

  duration_words (timeline->until_s - timeline->from_s, length);
  text_format (text, "<figcaption>Last %s", length);
  for (enum condition c = 0; c < CONDITION_COUNT; c++) {
    if (timeline->seconds[c] <= 0)
      continue;
    duration_words (timeline->seconds[c], length);
    text_format (text, " <span class=\"s-%s\">%s %s</span>", condition_name (c),
                 c == CONDITION_UNKNOWN ? "not known" : condition_word (c), length);
  }
  text_put (text, "</figcaption>");
}

static void
write_axis (const struct timeline *timeline, struct text *text)
{
  double length_s = timeline->until_s - timeline->from_s;
  char label[DURATION_MAX];

  text_put (text, "<div class=\"axis\" aria-hidden=\"true\">");
  for (int quarter = 4; quarter > 0; quarter--) {
    duration_words (length_s * quarter / 4, label);
    text_format (text, "<span>\u2212%s</span>", label);
  }
  text_put (text, "<span>now</span></div>");
}

void
timeline_write (const struct timeline *timeline, struct text *text)
{
  text_put (text, "<figure class=\"timeline\">");
  write_caption (timeline, text);
  text_put (text,
            "<svg viewBox=\"0 0 1000 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
  /* The worse is drawn later, so that nothing hides it. */
  for (int c = CONDITION_COUNT - 1; c >= 0; c--)
    for (size_t i = 0; i < timeline->count; i++)
      if (timeline->spans[i].condition == (enum condition)c)
        write_span (timeline, &timeline->spans[i], text);
  text_put (text, "</svg>");
  write_axis (timeline, text);
  text_put (text, "</figure>");
}
