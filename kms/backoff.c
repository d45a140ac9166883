/* backoff.c owns the waiting between tries. */
#include "kms/backoff.h"

#include <errno.h>
#include <time.h>

#include <openssl/rand.h>

#include "common/checked.h"
#include "common/io.h"

#define LEFT_FOR_A_TRY_MS 50

static uint32_t
random_below (uint32_t limit)
{
  uint32_t value = 0;

  if (RAND_bytes ((unsigned char *)&value, sizeof value) != 1)
    return limit / 2;
  return limit ? value % limit : 0;
}

static void
sleep_ms (uint32_t ms)
{
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

  while (nanosleep (&left, &left) < 0 && errno == EINTR)
    ;
}

bool
backoff_wait (struct backoff *backoff, uint32_t at_least_ms)
{
  uint64_t step_ms = (uint64_t)backoff->base_ms << MIN (backoff->tries, 20u);
  uint32_t wait_ms;

  backoff->tries++;
  if (backoff->tries >= backoff->max_tries)
    return false;
  wait_ms = MAX (at_least_ms, random_below ((uint32_t)MIN (step_ms, backoff->cap_ms)));
  if (clock_ms () + wait_ms + LEFT_FOR_A_TRY_MS > backoff->deadline_ms)
    return false;
  sleep_ms (wait_ms);
  return true;
}
