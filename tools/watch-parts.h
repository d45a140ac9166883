/* Words and small pieces of the pictures of a live view. */
#ifndef TOOLS_WATCH_PARTS_H
#define TOOLS_WATCH_PARTS_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "tools/screen.h"
#include "tools/watched.h"

/* A member's text or number; "" or 0 where there is none. */
const char *watch_text (const struct json *object, const char *name);
double watch_number (const struct json *object, const char *name);

/* "5 min 3 s"; what is negative counts as 0. */
#define WATCH_DURATION_MAX 32
void watch_format_duration (double seconds, char ret[WATCH_DURATION_MAX]);

/* Seconds from now to a time as "2026-01-31T23:59:59Z"; false for anything else. */
bool watch_seconds_until (const char *time_text, double *ret) MUST_CHECK;

/* How a state, and the class of a check's outcome, look. */
enum screen_style watch_state_style (const char *state);
enum screen_style watch_class_style (const char *class);

/* The state in its style; NO ANSWER where there was none. */
void watch_put_state (struct screen *screen, const struct watched *watched);

/* The time of day of such a time, and a blank. */
void watch_put_clock (struct screen *screen, const char *time_text);

/* "1.5 MiB/s" */
void watch_put_bytes_per_s (struct screen *screen, double bytes);

#endif
