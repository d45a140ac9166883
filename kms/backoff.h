/* Waiting between tries: exponential, with full jitter (a random time up to the step), so that many
 * volumes that failed together don't come back together.  Never past a deadline.
 */
#ifndef KMS_BACKOFF_H
#define KMS_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
  uint64_t deadline_ms; /* on clock_ms () */
  uint32_t base_ms;     /* the first step; it doubles each time */
  uint32_t cap_ms;
  uint32_t tries; /* made so far */
  uint32_t max_tries;
};

/* Waits for the next try; false when there is none: too many, or no time for one.  At least
 * `at_least_ms` (Retry-After) is waited.
 */
bool backoff_wait (struct backoff *backoff, uint32_t at_least_ms);

#endif
