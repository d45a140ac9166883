/* azure-send.c owns the repeating of requests. */
#include "kms/azure-send.h"

#include <stdlib.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/backoff.h"

#define TRIES_MAX 5
#define FIRST_STEP_MS 400
#define STEP_MAX_MS 4000
#define RETRY_AFTER_MAX_S 3600

static uint32_t
time_left_ms (uint64_t deadline_ms)
{
  uint64_t now_ms = clock_ms ();

  return now_ms >= deadline_ms ? 0 : (uint32_t)MIN (deadline_ms - now_ms, UINT32_MAX);
}

/* Retry-After in seconds; as a date it is of no use to a wait of seconds. */
static uint32_t
retry_after_ms (const struct http_answer *answer)
{
  char *end;
  long seconds = strtol (answer->retry_after, &end, 10);

  if (end == answer->retry_after || *end || seconds < 0)
    return 0;
  return (uint32_t)MIN (seconds, RETRY_AFTER_MAX_S) * 1000;
}

static int
try_once (enum azure_service service, enum azure_operation operation, const char *subject,
          const struct http_request *request, struct http_answer *answer,
          struct kms_outcome *outcome, bool *ret_again)
{
  http_answer_clear (answer);
  *ret_again = false;
  if (http_exchange (request, answer) == 0 && answer->status == 200)
    return 0;
  *ret_again = azure_classify (service, operation, subject, answer, outcome);
  return -1;
}

int
azure_send (enum azure_service service, enum azure_operation operation, const char *subject,
            uint64_t deadline_ms, struct http_request *request, struct http_answer *answer,
            struct kms_outcome *outcome)
{
  struct backoff backoff = {.deadline_ms = deadline_ms,
                            .base_ms = FIRST_STEP_MS,
                            .cap_ms = STEP_MAX_MS,
                            .max_tries = TRIES_MAX};
  bool again;

  do {
    request->timeout_ms = time_left_ms (deadline_ms);
    if (request->timeout_ms == 0)
      return kms_outcome_set (outcome, KMS_OUTAGE, "timeout", "no time was left to ask %.200s",
                              subject);
    if (try_once (service, operation, subject, request, answer, outcome, &again) == 0)
      return 0;
  } while (again && backoff_wait (&backoff, retry_after_ms (answer)));
  return -1;
}
