/* Feeds the readers of calls and replies between client and agent.  The first byte chooses: 'c' a
 * call, a digit the reply to that operation.  What is taken must come out of printing and reading
 * again as the same text.
 */
#include <stdlib.h>
#include <string.h>

#include "kms/message.h"
#include "tests/fuzz/fuzz.h"

static void
check_same (const char *first, const char *second)
{
  if (!first || !second || strcmp (first, second) != 0)
    abort ();
}

static void
check_call (const char *text, size_t size)
{
  static struct kms_call call, again;
  CLEANUP_FREE char *first = NULL, *second = NULL;

  if (message_parse_call (text, size, &call) < 0)
    return;
  if (call.timeout_ms == 0)
    abort ();
  first = message_print_call (&call);
  if (!first || message_parse_call (first, strlen (first), &again) < 0)
    abort ();
  second = message_print_call (&again);
  check_same (first, second);
}

static void
check_reply (enum kms_operation operation, const char *text, size_t size)
{
  static struct kms_reply reply, again;
  CLEANUP_FREE char *first = NULL, *second = NULL;

  if (message_parse_reply (operation, text, size, &reply) < 0)
    return;
  if (reply.report.count > KMS_REPORT_MAX || reply.expires_unix_s < 0
      || reply.expires_unix_s > KMS_EXPIRY_MAX
      || (reply.outcome.class != KMS_OK && !*reply.outcome.reason))
    abort ();
  first = message_print_reply (operation, &reply);
  if (!first || message_parse_reply (operation, first, strlen (first), &again) < 0)
    abort ();
  second = message_print_reply (operation, &again);
  check_same (first, second);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data + 1;

  if (size < 1)
    return 0;
  if (data[0] == 'c')
    check_call (text, size - 1);
  else
    check_reply ((enum kms_operation) (data[0] % (KMS_OPERATION_INSPECT + 1)), text, size - 1);
  return 0;
}
