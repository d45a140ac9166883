/* moment.c owns the reading of times, and times, durations and counts in words. */
#include "tools/exporter/moment.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"

#define YEAR_9999_S 253402300799.0

/* Whether `text` begins as `shape`, in which 0 stands for any digit. */
static bool
has_shape (const char *text, const char *shape)
{
  for (; *shape; text++, shape++)
    if (*shape == '0' ? *text < '0' || *text > '9' : *text != *shape)
      return false;
  return true;
}

int
moment_parse (const char *text, double *ret_unix_s)
{
  static const char shape[] = "0000-00-00T00:00:00";
  double fraction = 0, unit = 0.1;
  struct tm tm = {0};

  if (!text || !has_shape (text, shape) || !strptime (text, "%Y-%m-%dT%H:%M:%S", &tm))
    return -1;
  text += sizeof shape - 1;
  if (*text == '.')
    for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
      fraction += (*text - '0') * unit;
  if (strcmp (text, "Z") != 0)
    return -1;
  *ret_unix_s = (double)timegm (&tm) + fraction;
  return 0;
}

void
duration_words (double seconds, char ret[DURATION_MAX])
{
  static const struct {
    double seconds;
    const char *name;
  } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
  uint64_t whole;

  seconds = seconds > 0 ? seconds : 0;
  if (seconds > 0 && seconds < 0.0009995) {
    snprintf (ret, DURATION_MAX, "%.0f \u00b5s", seconds * 1e6);
    return;
  }
  if (seconds < 0.9995) {
    snprintf (ret, DURATION_MAX, "%.0f ms", seconds * 1000);
    return;
  }
  if (seconds < 9.95) {
    snprintf (ret, DURATION_MAX, "%.3g s", (double)(int)(seconds * 10) / 10);
    return;
  }
  whole = (uint64_t)MIN (seconds, YEAR_9999_S);
  for (size_t i = 0; i < ARRAY_SIZE (units); i++) {
    uint64_t unit = (uint64_t)units[i].seconds, rest = whole % unit;

    if (whole < unit)
      continue;
    if (i + 1 == ARRAY_SIZE (units) || whole / unit >= 100)
      snprintf (ret, DURATION_MAX, "%.0f %s", (double)(whole / unit), units[i].name);
    else {
      rest /= (uint64_t)units[i + 1].seconds;
      snprintf (ret, DURATION_MAX, rest ? "%.0f %s %.0f %s" : "%.0f %s", (double)(whole / unit),
                units[i].name, (double)rest, units[i + 1].name);
    }
    return;
  }
}

void
moment_words (double unix_s, char ret[MOMENT_MAX])
{
  time_t time = (time_t)(unix_s < 0 ? 0 : MIN (unix_s, YEAR_9999_S));
  struct tm tm;

  gmtime_r (&time, &tm);
  if (strftime (ret, MOMENT_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
    ret[0] = '\0';
}

void
moment_of_day (double unix_s, char ret[MOMENT_MAX])
{
  char words[MOMENT_MAX];

  moment_words (unix_s, words);
  snprintf (ret, MOMENT_MAX, "%s", strlen (words) > 11 ? words + 11 : "");
}

void
count_words (double count, char ret[COUNT_MAX])
{
  char digits[COUNT_MAX];
  size_t used = 0, length;

  snprintf (digits, sizeof digits, "%.0f", count > 0 ? MIN (count, 1e18) : 0);
  length = strlen (digits);
  for (size_t i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0)
      ret[used++] = ',';
    ret[used++] = digits[i];
  }
  ret[used] = '\0';
}
