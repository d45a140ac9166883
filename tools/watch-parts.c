/* watch-parts.c owns the words and small pieces that the pictures of a live view are made of. */
#include "tools/watch-parts.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/parse.h"

const char *
watch_text (const struct json *object, const char *name)
{
  const char *text = json_get_string (object, name);

  return text ? text : "";
}

double
watch_number (const struct json *object, const char *name)
{
  double number;

  return json_get_number (object, name, &number) == 0 ? number : 0;
}

void
watch_format_duration (double seconds, char ret[WATCH_DURATION_MAX])
{
  unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

  if (s < 60)
    snprintf (ret, WATCH_DURATION_MAX, "%lu s", s);
  else if (s < 3600)
    snprintf (ret, WATCH_DURATION_MAX, "%lu min %lu s", s / 60, s % 60);
  else if (s < 86400)
    snprintf (ret, WATCH_DURATION_MAX, "%lu h %lu min", s / 3600, s / 60 % 60);
  else
    snprintf (ret, WATCH_DURATION_MAX, "%lu d %lu h", s / 86400, s / 3600 % 24);
}

/* Seconds from now to a time as "2026-01-31T23:59:59Z"; false for anything else. */
bool
watch_seconds_until (const char *time_text, double *ret)
{
  struct tm tm = {0};
  struct timespec now;
  const char *end = strptime (time_text, "%Y-%m-%dT%H:%M:%S", &tm);

  if (!end)
    return false;
  clock_gettime (CLOCK_REALTIME, &now);
  *ret = (double)(timegm (&tm) - now.tv_sec) - (double)now.tv_nsec / 1e9;
  return true;
}

/* The time of day of such a time. */
void
watch_put_clock (struct screen *screen, const char *time_text)
{
  const char *clock = strchr (time_text, 'T');

  screen_text (screen, STYLE_DIM, "%.8s ", clock ? clock + 1 : "?");
}

enum screen_style
watch_state_style (const char *state)
{
  static const struct {
    const char *state;
    enum screen_style style;
  } styles[] = {{"active", STYLE_GOOD}, {"grace", STYLE_WARN}, {"fenced", STYLE_BAD}};

  for (size_t i = 0; i < ARRAY_SIZE (styles); i++)
    if (strcmp (state, styles[i].state) == 0)
      return styles[i].style;
  return STYLE_PLAIN;
}

enum screen_style
watch_class_style (const char *class)
{
  return strcmp (class, "ok") == 0       ? STYLE_GOOD
         : strcmp (class, "denied") == 0 ? STYLE_BAD
                                         : STYLE_WARN;
}

void
watch_put_state (struct screen *screen, const struct watched *watched)
{
  const char *state = watch_text (watched->answer, "state");

  if (watched->lost)
    screen_text (screen, STYLE_BAD, "NO ANSWER");
  else
    screen_text (screen, watch_state_style (state), "%s", *state ? state : "?");
}

void
watch_put_bytes_per_s (struct screen *screen, double bytes)
{
  char size[FORMAT_SIZE_MAX];

  format_size ((uint64_t)bytes, size);
  screen_text (screen, STYLE_PLAIN, "%s/s", size);
}
