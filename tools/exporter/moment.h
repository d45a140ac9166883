/* Times and durations: read from servers' facts, and written for people. */
#ifndef EXPORTER_MOMENT_H
#define EXPORTER_MOMENT_H

#include "common/cleanup.h"

/* "2026-01-31T23:59:59Z", with or without a fraction of the second, as seconds since 1970.  -1 for
 * everything else, NULL included.
 */
int moment_parse (const char *text, double *ret_unix_s) MUST_CHECK;

/* "412 µs", "12 ms", "4.5 s", "59 s", "3 min 20 s", "2 h 5 min", "3 d 4 h", "400 d": two units at
 * most. */
#define DURATION_MAX 32
void duration_words (double seconds, char ret[DURATION_MAX]);

/* "12:34:56", the time of day in UTC; "2026-01-31 12:34:56" with the date. */
#define MOMENT_MAX 32
void moment_of_day (double unix_s, char ret[MOMENT_MAX]);
void moment_words (double unix_s, char ret[MOMENT_MAX]);

/* "1,234,567" */
#define COUNT_MAX 40
void count_words (double count, char ret[COUNT_MAX]);

#endif
