/* fence-times.c owns how long an ask, a round, a lease and the bound are; fence.h has the reasons.
 */
#include "nbd-plugin/fence/fence-times.h"

#include "common/checked.h"

uint64_t
later_ms (uint64_t a, uint64_t b)
{
  uint64_t sum = NEVER;

  (void)add_overflows (a, b, &sum);
  return sum;
}

uint64_t
fence_ask_ms (const struct fence_config *config)
{
  return later_ms (config->check_timeout_ms, FENCE_MARGIN_MS);
}

/* A round over all wraps. */
static uint64_t
round_ms (const struct fence_config *config)
{
  uint64_t all_ms = 0;

  for (unsigned i = 0; i < config->wrap_count; i++)
    all_ms = later_ms (all_ms, fence_ask_ms (config));
  return all_ms;
}

/* From the start of a round to the latest start of the next. */
static uint64_t
between_rounds_ms (const struct fence_config *config)
{
  return MAX (config->check_interval_ms, round_ms (config));
}

/* From asking to the end of the confirmation of what is denied. */
static uint64_t
denial_ms (const struct fence_config *config)
{
  return later_ms (later_ms (fence_ask_ms (config), config->confirm_delay_ms),
                   fence_ask_ms (config));
}

uint64_t
fence_bound_ms (const struct fence_config *config)
{
  return later_ms (between_rounds_ms (config), denial_ms (config));
}

uint64_t
fence_lease_ms (const struct fence_config *config)
{
  uint64_t asking_ms = MAX (round_ms (config), denial_ms (config));

  return MAX (config->grace_ms, later_ms (between_rounds_ms (config), asking_ms));
}

uint64_t
fence_jittered_ms (const struct fence_config *config, uint32_t *random)
{
  uint32_t x = *random;

  x ^= x << 13; /* Marsaglia's xorshift: never 0 unless it starts so */
  x ^= x >> 17;
  x ^= x << 5;
  *random = x;
  return config->check_interval_ms - config->check_interval_ms / 5 * (x % 1024) / 1024;
}
