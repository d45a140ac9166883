/* parse.c owns what people type: sizes, durations, numbers and switches; and how we print them. */
#include "common/parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/checked.h"

/* Reads "123" or "123.45" as value and value / scale; false when there is no number or it is too
 * big. */
static bool
read_decimal (const char **text, uint64_t *ret_whole, uint64_t *ret_fraction, uint64_t *ret_scale)
{
  const char *p = *text;
  uint64_t whole = 0, fraction = 0, scale = 1;

  if (!isdigit ((unsigned char)*p))
    return false;
  for (; isdigit ((unsigned char)*p); p++)
    if (mul_overflows (whole, 10, &whole) || add_overflows (whole, (uint64_t)(*p - '0'), &whole))
      return false;
  if (*p == '.') {
    p++;
    if (!isdigit ((unsigned char)*p))
      return false;
    for (; isdigit ((unsigned char)*p); p++) {
      if (scale >= 1000000)
        return false;
      fraction = fraction * 10 + (uint64_t)(*p - '0');
      scale *= 10;
    }
  }
  *text = p;
  *ret_whole = whole;
  *ret_fraction = fraction;
  *ret_scale = scale;
  return true;
}

/* whole.fraction * unit, exactly. */
static bool
scale_exactly (uint64_t whole, uint64_t fraction, uint64_t scale, uint64_t unit, uint64_t *ret)
{
  uint64_t value, part;

  if (mul_overflows (whole, unit, &value) || mul_overflows (fraction, unit, &part))
    return false;
  return part % scale == 0 && !add_overflows (value, part / scale, ret);
}

int
parse_size (const char *text, uint64_t *ret_bytes, struct error *err)
{
  static const char suffixes[] = "KMGTPE";
  const char *p = text, *suffix;
  uint64_t whole, fraction, scale, unit = 1;

  if (!read_decimal (&p, &whole, &fraction, &scale))
    goto bad;
  suffix = *p ? strchr (suffixes, toupper ((unsigned char)*p)) : NULL;
  if (suffix) {
    unit = UINT64_C (1) << (10 * (suffix - suffixes + 1));
    p++;
    if (strcmp (p, "iB") == 0)
      p += 2;
  }
  if (*p == 'B')
    p++;
  if (*p || !scale_exactly (whole, fraction, scale, unit, ret_bytes))
    goto bad;
  return 0;

bad:
  return error_set (err, ERROR_USAGE,
                    "\"%s\" is not a size: write a number of bytes, or one with K, M, G, T or P "
                    "(powers of 1024), as in 10G",
                    text);
}

int
parse_duration (const char *text, uint64_t *ret_ms, struct error *err)
{
  static const struct {
    const char *suffix;
    uint64_t ms;
  } units[] = {{"", 1000},       {"s", 1000},        {"ms", 1},
               {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
  const char *p = text;
  uint64_t whole, fraction, scale;

  if (read_decimal (&p, &whole, &fraction, &scale))
    for (size_t i = 0; i < ARRAY_SIZE (units); i++)
      if (strcmp (p, units[i].suffix) == 0
          && scale_exactly (whole, fraction, scale, units[i].ms, ret_ms))
        return 0;
  return error_set (
      err, ERROR_USAGE,
      "\"%s\" is not a time: write a number of seconds, or one with ms, s, m, h or d, "
      "as in 30s",
      text);
}

int
parse_bool (const char *text, bool *ret, struct error *err)
{
  static const char *const yes[] = {"yes", "on", "true", "1"};
  static const char *const no[] = {"no", "off", "false", "0"};

  for (size_t i = 0; i < ARRAY_SIZE (yes); i++) {
    if (strcasecmp (text, yes[i]) == 0 || strcasecmp (text, no[i]) == 0) {
      *ret = strcasecmp (text, yes[i]) == 0;
      return 0;
    }
  }
  return error_set (err, ERROR_USAGE, "\"%s\" is neither yes nor no", text);
}

int
parse_uint (const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct error *err)
{
  const char *p = text;
  uint64_t whole, fraction, scale;

  if (read_decimal (&p, &whole, &fraction, &scale) && !*p && scale == 1 && whole >= min
      && whole <= max) {
    *ret = whole;
    return 0;
  }
  return error_set (err, ERROR_USAGE, "\"%s\" is not a number from %" PRIu64 " to %" PRIu64, text,
                    min, max);
}

bool
is_uuid (const char *text)
{
  if (strlen (text) != 36)
    return false;
  for (size_t i = 0; i < 36; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;

    if (dash ? text[i] != '-' : !isxdigit ((unsigned char)text[i]))
      return false;
  }
  return true;
}

void
uuid_lower (const char *uuid, char ret[UUID_TEXT_MAX])
{
  for (size_t i = 0; i < UUID_TEXT_MAX; i++)
    ret[i] = uuid[i] >= 'A' && uuid[i] <= 'F' ? (char)(uuid[i] - 'A' + 'a') : uuid[i];
}

void
format_size (uint64_t bytes, char ret[FORMAT_SIZE_MAX])
{
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;

  while (unit + 1 < ARRAY_SIZE (units) && bytes >> (10 * (unit + 1)) != 0)
    unit++;
  if (unit > 0 && !is_aligned (bytes, UINT64_C (1) << (10 * unit)))
    snprintf (ret, FORMAT_SIZE_MAX, "%.1f %s",
              (double)bytes / (double)(UINT64_C (1) << (10 * unit)), units[unit]);
  else
    snprintf (ret, FORMAT_SIZE_MAX, "%" PRIu64 " %s", bytes >> (10 * unit), units[unit]);
}

void
format_time (int64_t unix_s, char ret[FORMAT_TIME_MAX])
{
  time_t t = (time_t)unix_s;
  struct tm tm;

  if (!gmtime_r (&t, &tm) || strftime (ret, FORMAT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
    snprintf (ret, FORMAT_TIME_MAX, "%" PRId64, unix_s);
}
