/* watch-volume.c owns the picture of one volume in a live view. */
#include "tools/watch-volume.h"

#include <string.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "tools/watch-parts.h"

#define TITLE_COLUMN 10 /* where facts start */

/* ---- lines ---- */

static void
put_title (struct screen *screen, const char *title)
{
  screen_text (screen, STYLE_DIM, " %s", title);
  screen_column (screen, TITLE_COLUMN);
}

static void
put_fact (struct screen *screen, const char *title, const char *fact)
{
  if (!*fact)
    return;
  put_title (screen, title);
  screen_text (screen, STYLE_PLAIN, "%s", fact);
  screen_newline (screen);
}

/* The bytes of a text that go into a line: all, or up to a blank where there is one. */
static size_t
cut_line (const char *text, size_t room)
{
  size_t cut = room;

  if (strlen (text) <= room)
    return strlen (text);
  while (cut > 0 && text[cut] != ' ')
    cut--;
  return cut > 0 ? cut : room;
}

/* What an error names and the way out of it: more would push the rest off a terminal of 24 lines.
 */
#define SENTENCE_LINES 5

/* A sentence, broken at blanks where there are any; what the last line has no room for is cut off.
 */
static void
put_sentence (struct screen *screen, const char *title, const char *text)
{
  size_t room =
      screen_columns (screen) > TITLE_COLUMN + 1 ? screen_columns (screen) - TITLE_COLUMN : 1;

  for (int line = 0; *text && line < SENTENCE_LINES; line++) {
    size_t length = line + 1 < SENTENCE_LINES ? cut_line (text, room) : strlen (text);

    if (line == 0)
      put_title (screen, title);
    else
      screen_column (screen, TITLE_COLUMN);
    screen_text (screen, STYLE_PLAIN, "%.*s", (int)length, text);
    screen_newline (screen);
    text += length + (text[length] == ' ');
  }
}

/* ---- its facts ---- */

static void
put_identity (struct screen *screen, const struct watched *watched)
{
  const struct json *answer = watched->answer;
  char size[FORMAT_SIZE_MAX] = "";
  bool read_only = false;
  uint64_t bytes;

  screen_text (screen, STYLE_BOLD, " %s", watched_name (watched));
  if (*watch_text (answer, "label"))
    screen_text (screen, STYLE_DIM, "  %s", watch_text (answer, "volume"));
  screen_newline (screen);
  if (json_get_uint64 (answer, "size_bytes", &bytes) == 0)
    format_size (bytes, size);
  (void)!json_get_bool (answer, "read_only", &read_only);
  screen_text (screen, STYLE_PLAIN, " %s%s%s", watch_text (answer, "path"), *size ? ", " : "",
               size);
  screen_text (screen, STYLE_DIM, "  engine %s, crypto %s%s", watch_text (answer, "engine"),
               watch_text (answer, "crypto"), read_only ? ", read-only" : "");
  screen_newline (screen);
  screen_newline (screen);
}

static void
put_state_line (struct screen *screen, const struct watched *watched)
{
  const char *since = watch_text (watched->answer, "since"),
             *latch = watch_text (watched->answer, "latch");
  char duration[WATCH_DURATION_MAX];
  double until_s;

  put_title (screen, "state");
  watch_put_state (screen, watched);
  if (!watched->lost && watch_seconds_until (since, &until_s)) {
    watch_format_duration (-until_s, duration);
    screen_text (screen, STYLE_PLAIN, "  since %s (%s)", since, duration);
  }
  screen_newline (screen);
  if (!*latch)
    return;
  screen_column (screen, TITLE_COLUMN);
  screen_text (screen, STYLE_WARN, "waits for keyfence unfence (%s)", latch);
  screen_newline (screen);
}

static void
put_lost (struct screen *screen, const struct watched *watched)
{
  char duration[WATCH_DURATION_MAX];

  watch_format_duration ((double)(clock_ms () - watched->answered_ms) / 1000, duration);
  put_sentence (screen, "", watched->trouble);
  screen_column (screen, TITLE_COLUMN);
  if (watched->answer)
    screen_text (screen, STYLE_WARN, "waiting for it to come back; below is what it said %s ago",
                 duration);
  else
    screen_text (screen, STYLE_WARN, "waiting for it to come back");
  screen_newline (screen);
}

static void
put_key (struct screen *screen, const struct json *answer)
{
  const char *expires = watch_text (answer, "key_expires");
  double left_s;

  put_sentence (screen, "key", watch_text (answer, "key"));
  if (strcmp (watch_text (answer, "held_by"), "secondary") == 0)
    put_fact (screen, "", "held by a secondary key: the primary's service gives no answer");
  if (watch_seconds_until (expires, &left_s) && left_s < 30 * 86400) {
    screen_column (screen, TITLE_COLUMN);
    screen_text (screen, STYLE_WARN, left_s > 0 ? "expires %s" : "expired %s", expires);
    screen_newline (screen);
  }
}

#define BAR_WIDTH 20

static void
put_lease (struct screen *screen, const struct watched *watched)
{
  double left_s = watched_lease_left_s (watched, clock_ms ()), bound_s;
  char left[WATCH_DURATION_MAX], bar[BAR_WIDTH + 1];
  size_t full;

  put_title (screen, "lease");
  if (left_s < 0 || watched->lease_length_s <= 0)
    screen_text (screen, STYLE_PLAIN, "none");
  else {
    full = MIN (BAR_WIDTH, (size_t)(left_s / watched->lease_length_s * BAR_WIDTH + 0.5));
    memset (bar, '-', BAR_WIDTH);
    memset (bar, '#', full);
    bar[BAR_WIDTH] = '\0';
    watch_format_duration (left_s, left);
    screen_text (screen, full * 3 > BAR_WIDTH ? STYLE_GOOD : STYLE_WARN, "[%s]", bar);
    screen_text (screen, STYLE_PLAIN, " %s left", left);
  }
  if (json_get_number (watched->answer, "fence_bound_s", &bound_s) == 0)
    screen_text (screen, STYLE_DIM, ", fence bound %g s", bound_s);
  screen_newline (screen);
}

/* The bound of the bucket that holds this part of all checks, in seconds; 0: none. */
static double
latency_bound (const struct json *latency, double part)
{
  const struct json *bounds = json_get (latency, "le_s"), *counts = json_get (latency, "counts");
  double total = watch_number (latency, "count"), count, bound;

  for (size_t i = 0; total > 0 && i < json_size (counts) && i < json_size (bounds); i++)
    if (json_number_value (json_at (counts, i), &count) == 0 && count >= total * part
        && json_number_value (json_at (bounds, i), &bound) == 0)
      return bound;
  return 0;
}

static void
put_latency (struct screen *screen, const char *what, double seconds)
{
  bool long_time = seconds >= 1;

  screen_text (screen, STYLE_DIM, "%s%g %s", what, long_time ? seconds : seconds * 1000,
               long_time ? "s" : "ms");
}

static void
put_checks (struct screen *screen, const struct json *answer)
{
  static const char *const classes[] = {"ok", "denied", "outage", "other"};
  const struct json *checks = json_get (answer, "checks");
  const struct json *latency = json_get (answer, "check_latency");
  double half = latency_bound (latency, 0.5), most = latency_bound (latency, 0.99);

  put_title (screen, "checks");
  for (size_t i = 0; i < ARRAY_SIZE (classes); i++)
    screen_text (screen, STYLE_PLAIN, "%.0f %s  ", watch_number (checks, classes[i]), classes[i]);
  if (half > 0)
    put_latency (screen, " half in ", half);
  if (most > 0)
    put_latency (screen, ", 99 % in ", most);
  screen_newline (screen);
}

static void
put_check_times (struct screen *screen, const struct json *answer)
{
  char duration[WATCH_DURATION_MAX];
  double until_s;

  put_title (screen, "checked");
  if (watch_seconds_until (watch_text (answer, "last_check"), &until_s)) {
    watch_format_duration (-until_s, duration);
    screen_text (screen, STYLE_PLAIN, "%s ago", duration);
  }
  else
    screen_text (screen, STYLE_PLAIN, "never");
  if (watch_seconds_until (watch_text (answer, "next_check"), &until_s)) {
    watch_format_duration (until_s, duration);
    screen_text (screen, STYLE_PLAIN, ", next in %s", duration);
  }
  screen_newline (screen);
}

static void
put_io_line (struct screen *screen, const char *title, double per_s, double bytes_per_s,
             double total_bytes)
{
  char size[FORMAT_SIZE_MAX];

  put_title (screen, title);
  screen_text (screen, STYLE_PLAIN, "%.0f/s", per_s);
  screen_column (screen, 22);
  watch_put_bytes_per_s (screen, bytes_per_s);
  format_size ((uint64_t)total_bytes, size);
  screen_column (screen, 37);
  screen_text (screen, STYLE_DIM, "%s in all", size);
  screen_newline (screen);
}

static void
put_io (struct screen *screen, const struct watched *watched)
{
  const struct json *io = json_get (watched->answer, "io");
  const struct rates *rates = &watched->rates;
  double refused = watch_number (io, "refused"), fences = watch_number (watched->answer, "fences");
  double wipe_us = watch_number (watched->answer, "last_wipe_us");

  put_io_line (screen, "read", rates->reads, rates->read_bytes, watch_number (io, "bytes_read"));
  put_io_line (screen, "written", rates->writes, rates->written_bytes,
               watch_number (io, "bytes_written"));
  put_title (screen, "refused");
  screen_text (screen, refused > 0 ? STYLE_WARN : STYLE_PLAIN, "%.0f", refused);
  if (rates->refused > 0)
    screen_text (screen, STYLE_WARN, " (%.0f/s)", rates->refused);
  if (fences > 0)
    screen_text (screen, STYLE_PLAIN, ", fenced %.0f time%s", fences, fences > 1 ? "s" : "");
  if (wipe_us > 0)
    screen_text (screen, STYLE_DIM, ", the key wiped in %.0f us", wipe_us);
  screen_newline (screen);
}

/* ---- what happened ---- */

static void
put_transition (struct screen *screen, const struct json *item)
{
  const char *state = watch_text (item, "state"), *detail = watch_text (item, "detail");

  watch_put_clock (screen, watch_text (item, "time"));
  screen_text (screen, STYLE_PLAIN, "%s to ", watch_text (item, "from"));
  screen_text (screen, watch_state_style (state), "%s", state);
  screen_text (screen, STYLE_PLAIN, ": %s", watch_text (item, "reason"));
  if (*detail)
    screen_text (screen, STYLE_DIM, " (%s)", detail);
}

static void
put_operation (struct screen *screen, const struct json *item)
{
  const char *class = watch_text (item, "class"), *reason = watch_text (item, "reason");

  watch_put_clock (screen, watch_text (item, "time"));
  screen_text (screen, STYLE_PLAIN, "%s %s: ", watch_text (item, "role"),
               watch_text (item, "operation"));
  screen_text (screen, watch_class_style (class), "%s", class);
  if (*reason && strcmp (reason, class) != 0)
    screen_text (screen, STYLE_PLAIN, ", %s", reason);
  screen_text (screen, STYLE_PLAIN, " in %.0f ms", watch_number (item, "duration_ms"));
  screen_text (screen, STYLE_DIM, "  %s", watch_text (item, "request_id"));
}

/* The newest first, in `rows` rows with the title. */
static void
put_history (struct screen *screen, const char *title, const struct json *items, size_t rows,
             void (*put_item) (struct screen *screen, const struct json *item))
{
  size_t count = json_size (items);

  if (count == 0 || rows < 2)
    return;
  screen_text (screen, STYLE_DIM, " %s", title);
  screen_newline (screen);
  for (size_t i = 0; i < MIN (count, rows - 1); i++) {
    screen_text (screen, STYLE_PLAIN, "  ");
    put_item (screen, json_at (items, count - 1 - i));
    screen_newline (screen);
  }
}

static void
put_histories (struct screen *screen, const struct json *answer)
{
  const struct json *transitions = json_get (answer, "transitions");
  const struct json *operations = json_get (answer, "key_operations");
  size_t room, wanted = json_size (operations) + 1;

  if (screen_rows_left (screen) < 4)
    return;
  screen_newline (screen);
  room = screen_rows_left (screen) - 1; /* the last line is not ours */
  put_history (screen, "last state changes", transitions, room - MIN (wanted, room / 2),
               put_transition);
  room = screen_rows_left (screen) - 1;
  put_history (screen, "last key operations", operations, room, put_operation);
}

void
watch_put_volume (struct screen *screen, const struct watched *watched)
{
  const struct json *answer = watched->answer;

  put_identity (screen, watched);
  put_state_line (screen, watched);
  if (watched->lost)
    put_lost (screen, watched);
  if (!answer)
    return;
  put_fact (screen, "reason", watch_text (answer, "reason"));
  put_sentence (screen, "detail", watch_text (answer, "detail"));
  put_key (screen, answer);
  put_lease (screen, watched);
  put_check_times (screen, answer);
  put_checks (screen, answer);
  put_io (screen, watched);
  put_histories (screen, answer);
}
