/* Azure's services, played (played-http.h), and a clock that the test turns.  Linked by --wrap in
 * place of http_exchange, clock_ms and backoff_wait.
 */
#ifndef TESTS_AZURE_HTTP_H
#define TESTS_AZURE_HTTP_H

#include "tests/unit/azure-test.h"

#include "common/io.h"
#include "kms/azure-vault.h"
#include "kms/backoff.h"
#include "tests/unit/played-http.h"

static uint64_t fake_ms = 1000000;
static uint32_t last_at_least_ms;

uint64_t __wrap_clock_ms (void);
uint64_t
__wrap_clock_ms (void)
{
  return fake_ms;
}

bool __wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms);
bool
__wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms)
{
  waits++;
  last_at_least_ms = at_least_ms;
  fake_ms += at_least_ms + 10;
  return ++backoff->tries < backoff->max_tries && fake_ms < backoff->deadline_ms;
}

static inline int
start_anew (void **state)
{
  script_size = script_at = 0;
  fake_ms += 1000000000;
  azure_vault_forget ();
  return clear_environment (state);
}

static inline int
end_well (void **state)
{
  (void)state;
  assert_all_played ();
  azure_vault_forget ();
  return 0;
}

#endif
