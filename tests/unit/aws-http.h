/* AWS' services, played (played-http.h).  Linked by --wrap in place of http_exchange and
 * backoff_wait.
 */
#ifndef TESTS_AWS_HTTP_H
#define TESTS_AWS_HTTP_H

#include "tests/unit/aws-test.h"

#include "kms/aws-credentials.h"
#include "kms/backoff.h"
#include "tests/unit/played-http.h"

bool __wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms);
bool
__wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms)
{
  (void)at_least_ms;
  waits++;
  return ++backoff->tries < backoff->max_tries;
}

static inline int
start_anew (void **state)
{
  script_size = script_at = 0;
  aws_credentials_reset (0);
  return make_home (state);
}

static inline int
end_well (void **state)
{
  assert_all_played ();
  aws_credentials_reset (0);
  return drop_home (state);
}

#endif
