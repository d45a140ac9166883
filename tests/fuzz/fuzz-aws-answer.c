/* Feeds the readers of AWS' answers: errors of KMS and STS, credentials in JSON and XML.  The first
 * byte chooses the status; no error may come out as ok, none that names no error as denied, and
 * credentials only whole.
 */
#include <stdlib.h>
#include <string.h>

#include "kms/answer.h"
#include "kms/aws-errors.h"
#include "kms/aws-inspect.h"
#include "kms/aws-source.h"
#include "kms/aws-sts.h"
#include "kms/secret-text.h"
#include "tests/fuzz/fuzz.h"

static void
check_error (const char *service, unsigned status, const uint8_t *body, size_t size)
{
  const struct aws_asked asked = {service, "Decrypt", "subject"};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {.failure = HTTP_ANSWERED, .status = status};
  struct kms_outcome outcome = {0};
  struct aws_error error;
  unsigned advice;

  if (secret_init (&answer.body, size + 1, NULL) < 0)
    return;
  answer.body.size = size;
  if (size > 0)
    memcpy (answer.body.bytes, body, size);
  aws_error_parse (&answer, &error);
  if (aws_classify (&asked, &answer, &outcome, &advice) != -1 || outcome.class == KMS_OK
      || !outcome.reason[0] || !outcome.text[0]
      || (outcome.class == KMS_DENIED && !aws_rule_for (service, &error)))
    abort ();
}

static void
check_credentials (struct aws_credentials *credentials)
{
  if (!credentials->access_key[0] || !secret_get_text (&credentials->secret_key)[0])
    abort ();
  aws_credentials_clear (credentials);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const unsigned statuses[] = {400, 403, 404, 429, 500, 302};
  const char *text = (const char *)data + 1;
  struct aws_credentials credentials = {0};
  struct kms_report report = {0};
  struct kms_outcome outcome;
  struct answer json;

  if (size < 1)
    return 0;
  check_error ("kms", statuses[data[0] % 6], data + 1, size - 1);
  check_error ("sts", statuses[data[0] % 6], data + 1, size - 1);
  if (aws_credentials_parse (text, size - 1, "Token", "fuzz", &credentials, &outcome) == 0)
    check_credentials (&credentials);
  if (aws_sts_parse (text, size - 1, &credentials) == 0)
    check_credentials (&credentials);
  if (answer_init (&json, text, size - 1) == 0) {
    aws_inspect_metadata (&json, &report);
    aws_inspect_rotation (&json, &report);
  }
  return 0;
}
