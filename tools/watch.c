/* watch.c owns the turns of a live view: asking, showing, waiting for a key. */
#include "tools/watch.h"

#include <stdio.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "tools/print.h"
#include "tools/screen.h"
#include "tools/status.h"
#include "tools/watch-view.h"
#include "tools/watched.h"

/* Durations and the lease run on between two answers. */
#define REDRAW_MS 1000

/* ---- on a terminal ---- */

/* Shows the last answers until it is time for new ones; false: the user quits. */
static bool
show_until (struct screen *screen, const struct watched_set *set, size_t *selected,
            uint64_t interval_ms, uint64_t until_ms)
{
  do {
    watch_view_draw (screen, set, *selected, interval_ms);
    switch (screen_wait (screen, MIN (until_ms, clock_ms () + REDRAW_MS))) {
    case SCREEN_QUIT:
      return false;
    case SCREEN_UP:
      *selected -= *selected > 0;
      break;
    case SCREEN_DOWN:
      *selected += *selected + 1 < set->count;
      break;
    case SCREEN_TIMEOUT:
    case SCREEN_REDRAW:
      break;
    }
  } while (clock_ms () < until_ms);
  return true;
}

static int
watch_screen (struct watched_set *set, uint64_t interval_ms, struct error *err)
{
  struct screen *screen;
  size_t selected = 0;
  uint64_t until_ms;

  if (screen_open (&screen, err) < 0)
    return -1;
  do {
    until_ms = clock_ms () + interval_ms;
    watched_update (set);
  } while (show_until (screen, set, &selected, interval_ms, until_ms));
  screen_close (screen);
  return 0;
}

/* ---- elsewhere ---- */

static void
print_rates (const struct rates *rates)
{
  char read[FORMAT_SIZE_MAX], written[FORMAT_SIZE_MAX];

  if (!rates->known)
    return;
  format_size ((uint64_t)rates->read_bytes, read);
  format_size ((uint64_t)rates->written_bytes, written);
  print_fact ("io now", "%.0f reads/s (%s/s), %.0f writes/s (%s/s), %.0f refused/s", rates->reads,
              read, rates->writes, written, rates->refused);
}

static void
print_block (const struct watched_set *set)
{
  char now[FORMAT_TIME_MAX];

  format_time ((int64_t)time (NULL), now);
  print_fact ("time", "%s", now);
  if (set->count == 0)
    print_line ("no volume is served here");
  for (size_t i = 0; i < set->count; i++) {
    const struct watched *watched = set->volumes[i];

    if (watched->lost) {
      print_fact ("volume", "%s", watched_name (watched));
      print_fact ("state", "no answer: %s", watched->trouble);
      continue;
    }
    status_print (watched->answer);
    print_rates (&watched->rates);
  }
  putchar ('\n');
}

static int
watch_plain (struct watched_set *set, uint64_t interval_ms)
{
  for (;;) {
    struct timespec pause = {.tv_sec = (time_t)(interval_ms / 1000),
                             .tv_nsec = (long)(interval_ms % 1000) * 1000000};

    watched_update (set);
    print_block (set);
    if (fflush (stdout) != 0) /* main says why */
      return 0;
    nanosleep (&pause, NULL);
  }
}

int
watch_run (const char *name, uint64_t interval_ms, struct error *err)
{
  CLEANUP_WATCHED struct watched_set set = {0};

  if (watched_start (name, &set, err) < 0)
    return -1;
  return screen_possible () ? watch_screen (&set, interval_ms, err)
                            : watch_plain (&set, interval_ms);
}
