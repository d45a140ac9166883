/* card-tiles.c owns the figures of a volume's card. */
#include <math.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/exporter/card-parts.h"
#include "tools/exporter/moment.h"

/* ---- times --------------------------------------------------------------------------------------
 */

void
card_moment (double at_s, double now_s, struct text *text)
{
  char words[DURATION_MAX], at[MOMENT_MAX];

  duration_words (fabs (at_s - now_s), words);
  moment_words (at_s, at);
  text_format (text, "<time data-at=\"%.3f\" title=\"%s UTC\">%s%s%s</time>", at_s, at,
               at_s > now_s ? "in " : "", words, at_s > now_s ? "" : " ago");
}

bool
card_moment_of (const struct json *facts, const char *member, const char *before, double now_s,
                struct text *text)
{
  double at_s;

  if (moment_parse (json_get_string (facts, member), &at_s) < 0)
    return false;
  text_put (text, before);
  card_moment (at_s, now_s, text);
  return true;
}

/* ---- tiles --------------------------------------------------------------------------------------
 */

static void
begin_tile (const char *name, struct text *text)
{
  text_format (text, "<div><dt>%s</dt><dd>", name);
}

static void
end_tile (struct text *text)
{
  text_put (text, "</dd></div>");
}

static bool
get (const struct json *object, const char *name, double *ret)
{
  double number;

  if (json_get_number (object, name, &number) < 0 || !isfinite (number) || number < 0)
    return false;
  *ret = number;
  return true;
}

static double
get_or_0 (const struct json *object, const char *name)
{
  double number = 0;

  (void)get (object, name, &number);
  return number;
}

/* How much of the lease is left, as a bar. */
static void
write_bar (double part, struct text *text)
{
  double percent = 100 * MIN (part, 1.0);

  text_format (text,
               "<svg class=\"bar %s\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" "
               "aria-hidden=\"true\"><rect class=\"rail\" width=\"100\" height=\"4\"/><rect "
               "class=\"fill\" width=\"%.1f\" height=\"4\"/></svg>",
               percent < 25   ? "low"
               : percent < 50 ? "half"
                              : "full",
               percent);
}

static void
write_lease (const struct json *facts, double now_s, struct text *text)
{
  const char *state = json_get_string (facts, "state");
  char left[DURATION_MAX], whole[DURATION_MAX];
  double left_s, whole_s, until_s;
  bool known = get (facts, "lease_left_s", &left_s);

  if (!known && moment_parse (json_get_string (facts, "lease_until"), &until_s) == 0) {
    left_s = MAX (until_s - now_s, 0.0); /* an older server */
    known = true;
  }
  begin_tile ("Lease", text);
  if (!known)
    text_put (text, state && strcmp (state, "fenced") == 0
                        ? "<b>none</b><small>I/O is refused</small>"
                        : "<b>\u2013</b>");
  else {
    duration_words (left_s, left);
    text_format (text, "<b data-left=\"%.3f\">%s</b>", left_s, left);
    if (get (json_get (facts, "parameters"), "grace_s", &whole_s) && whole_s > 0) {
      duration_words (whole_s, whole);
      text_format (text, "<small>left of %s</small>", whole);
      write_bar (left_s / whole_s, text);
    }
  }
  end_tile (text);
}

static void
write_bound (const struct json *facts, double now_s, struct text *text)
{
  char words[DURATION_MAX];
  double bound_s;

  (void)now_s;
  if (!get (facts, "fence_bound_s", &bound_s))
    return;
  if (bound_s < 120)
    snprintf (words, sizeof words, "%.3g s", bound_s); /* a promise is not rounded down */
  else
    duration_words (bound_s, words);
  begin_tile ("Fence bound", text);
  text_format (text, "<b>%s</b><small>from denial to refusal</small>", words);
  end_tile (text);
}

static void
write_last_check (const struct json *facts, double now_s, struct text *text)
{
  begin_tile ("Last check", text);
  if (!card_moment_of (facts, "last_check", "<b>", now_s, text))
    text_put (text, "<b>none yet");
  text_put (text, "</b><small>");
  (void)card_moment_of (facts, "next_check", "next ", now_s, text);
  text_put (text, "</small>");
  end_tile (text);
}

/* An older server counts in fewer classes. */
static void
write_checks (const struct json *facts, double now_s, struct text *text)
{
  static const char *const classes[] = {"denied",  "outage", "credentials", "clock",
                                        "corrupt", "config", "other"};
  const struct json *checks = json_get (facts, "checks_by_class");
  const char *separator = "";
  char count[COUNT_MAX];

  (void)now_s;
  checks = checks ? checks : json_get (facts, "checks");
  if (!json_is_object (checks))
    return;
  count_words (get_or_0 (checks, "ok"), count);
  begin_tile ("Checks", text);
  text_format (text, "<b>%s ok</b><small>", count);
  for (size_t i = 0; i < ARRAY_SIZE (classes); i++) {
    double number = get_or_0 (checks, classes[i]);

    if (number <= 0)
      continue;
    count_words (number, count);
    text_format (text, "%s%s %s", separator, count, classes[i]);
    separator = ", ";
  }
  text_put (text, *separator ? "</small>" : "no other outcome</small>");
  end_tile (text);
}

/* The smallest bucket's bound that 95 % of the checks are under; 0: none is. */
static double
bound_of_95 (const struct json *latency, double count)
{
  const struct json *bounds = json_get (latency, "le_s"), *counts = json_get (latency, "counts");
  double bound, below;

  for (size_t i = 0; i < json_size (bounds); i++)
    if (json_number_value (json_at (counts, i), &below) == 0 && below >= 0.95 * count
        && json_number_value (json_at (bounds, i), &bound) == 0 && bound > 0)
      return bound;
  return 0;
}

static void
write_latency (const struct json *facts, double now_s, struct text *text)
{
  const struct json *latency = json_get (facts, "check_latency");
  char words[DURATION_MAX];
  double count, sum_s, bound_s;

  (void)now_s;
  if (!get (latency, "count", &count) || !get (latency, "sum_s", &sum_s) || count < 1)
    return;
  duration_words (sum_s / count, words);
  begin_tile ("Key service", text);
  text_format (text, "<b>%s</b><small>mean", words);
  bound_s = bound_of_95 (latency, count);
  if (bound_s > 0) {
    duration_words (bound_s, words);
    text_format (text, ", 95\u2009%% in %s", words);
  }
  text_put (text, "</small>");
  end_tile (text);
}

static void
write_traffic (const struct json *io, const char *title, const char *bytes, const char *requests,
               struct text *text)
{
  char size[FORMAT_SIZE_MAX], count[COUNT_MAX];

  format_size ((uint64_t)MIN (get_or_0 (io, bytes), 1e18), size);
  count_words (get_or_0 (io, requests), count);
  begin_tile (title, text);
  text_format (text, "<b>%s</b><small>%s requests</small>", size, count);
  end_tile (text);
}

static void
write_io (const struct json *facts, double now_s, struct text *text)
{
  const struct json *io = json_get (facts, "io");

  (void)now_s;
  if (!json_is_object (io))
    return;
  write_traffic (io, "Read", "bytes_read", "reads", text);
  write_traffic (io, "Written", "bytes_written", "writes", text);
}

static void
write_refused (const struct json *facts, double now_s, struct text *text)
{
  const struct json *io = json_get (facts, "io");
  char count[COUNT_MAX], words[DURATION_MAX];
  double fences, wipe_us;

  (void)now_s;
  if (!json_is_object (io))
    return;
  count_words (get_or_0 (io, "refused"), count);
  begin_tile ("Refused", text);
  text_format (text, "<b>%s</b><small>", count);
  if (get (facts, "fences", &fences)) {
    count_words (fences, count);
    text_format (text, fences == 1 ? "%s fence" : "%s fences", count);
    if (get (facts, "last_wipe_us", &wipe_us)) {
      duration_words (wipe_us / 1e6, words);
      text_format (text, ", wiped in %s", words);
    }
  }
  else
    text_put (text, "requests");
  text_put (text, "</small>");
  end_tile (text);
}

void
card_tiles (const struct json *facts, double now_s, struct text *text)
{
  static void (*const tiles[]) (const struct json *, double, struct text *) = {
      write_lease,   write_bound, write_last_check, write_checks,
      write_latency, write_io,    write_refused};

  text_put (text, "<dl class=\"tiles\">");
  for (size_t i = 0; i < ARRAY_SIZE (tiles); i++)
    tiles[i](facts, now_s, text);
  text_put (text, "</dl>");
}
