/* The states of a volume over the last while, from the transitions that its server remembers. */
#ifndef EXPORTER_TIMELINE_H
#define EXPORTER_TIMELINE_H

#include <stddef.h>

#include "tools/exporter/condition.h"
#include "tools/exporter/text.h"

#define TIMELINE_SPANS_MAX 64

/* A while in one condition; times in seconds since 1970. */
struct span {
  double from_s, until_s;
  enum condition condition;
  const char *reason; /* of the transition that began it (belongs to the facts), or NULL */
};

struct timeline {
  double from_s, until_s;
  struct span spans[TIMELINE_SPANS_MAX]; /* without gaps, in their order */
  size_t count;
  double seconds[CONDITION_COUNT]; /* in each condition */
};

/* The last of 4 min, 20 min, 1 h … 4 weeks that has all that is remembered, of the latest
 * transitions at most; the condition before them is unknown.  Times in the future (clocks are put
 * back) count as now.
 */
void timeline_make (const struct json *facts, double now_s, struct timeline *ret);

/* As a picture with its axis, in HTML. */
void timeline_write (const struct timeline *timeline, struct text *text);

#endif
