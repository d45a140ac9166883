/* watch-view.c owns what `keyfence status --watch` shows around a volume: the head and the list. */
#include "tools/watch-view.h"

#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "tools/watch-parts.h"
#include "tools/watch-volume.h"

static void
put_lease_left (struct screen *screen, const struct watched *watched)
{
  double left_s = watched_lease_left_s (watched, clock_ms ());
  char left[WATCH_DURATION_MAX];

  watch_format_duration (left_s, left);
  screen_text (screen, STYLE_PLAIN, "%s", left_s < 0 ? "-" : left);
}

static void
put_row (struct screen *screen, const struct watched *watched, bool selected)
{
  screen_text (screen, selected ? STYLE_BOLD : STYLE_PLAIN, "%c%.17s", selected ? '>' : ' ',
               watched_name (watched));
  screen_column (screen, 19);
  watch_put_state (screen, watched);
  screen_column (screen, 30);
  screen_text (screen, STYLE_PLAIN, "%.15s", watch_text (watched->answer, "reason"));
  screen_column (screen, 46);
  put_lease_left (screen, watched);
  screen_column (screen, 58);
  watch_put_bytes_per_s (screen, watched->rates.read_bytes);
  screen_column (screen, 69);
  watch_put_bytes_per_s (screen, watched->rates.written_bytes);
  screen_newline (screen);
}

static void
put_list_head (struct screen *screen)
{
  static const struct {
    unsigned column;
    const char *title;
  } heads[] = {{1, "volume"}, {19, "state"}, {30, "reason"},
               {46, "lease"}, {58, "read"},  {69, "written"}};

  for (size_t i = 0; i < ARRAY_SIZE (heads); i++) {
    screen_column (screen, heads[i].column);
    screen_text (screen, STYLE_DIM, "%s", heads[i].title);
  }
  screen_newline (screen);
}

/* At most a third of the screen; the selected one is always among them. */
static void
put_list (struct screen *screen, const struct watched_set *set, size_t selected)
{
  size_t room = MAX (3, screen_rows_left (screen) / 3);
  size_t first = selected < room ? 0 : selected - room + 1;
  size_t end = MIN (set->count, first + room);

  put_list_head (screen);
  for (size_t i = first; i < end; i++)
    put_row (screen, set->volumes[i], i == selected);
  if (end < set->count || first > 0) {
    screen_text (screen, STYLE_DIM, " and %zu more", set->count - (end - first));
    screen_newline (screen);
  }
  screen_newline (screen);
}

static void
put_head (struct screen *screen, const struct watched_set *set, uint64_t interval_ms)
{
  char now[FORMAT_TIME_MAX];
  unsigned columns = screen_columns (screen);

  format_time ((int64_t)time (NULL), now);
  screen_text (screen, STYLE_BOLD, "keyfence");
  screen_text (screen, STYLE_DIM, "  %zu volume%s, every %g s; q quits%s", set->count,
               set->count == 1 ? "" : "s", (double)interval_ms / 1000,
               set->count > 1 ? ", up and down choose" : "");
  screen_column (screen, columns > 21 ? columns - 20 : 0);
  screen_text (screen, STYLE_DIM, "%s", now);
  screen_newline (screen);
  screen_newline (screen);
}

void
watch_view_draw (struct screen *screen, const struct watched_set *set, size_t selected,
                 uint64_t interval_ms)
{
  screen_begin (screen);
  put_head (screen, set, interval_ms);
  if (set->count > 1)
    put_list (screen, set, selected);
  if (set->count > 0)
    watch_put_volume (screen, set->volumes[selected]);
  else
    screen_text (screen, STYLE_PLAIN, " no volume is served here");
  screen_end (screen);
}
