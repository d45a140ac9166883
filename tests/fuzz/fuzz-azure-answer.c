/* Feeds the readers of Azure's answers: errors, tokens, keys, wraps.  The first two bytes choose
 * service and status; nothing may come out as ok, and nothing as denied without its status.
 */
#include <stdlib.h>
#include <string.h>

#include "kms/azure-error.h"
#include "kms/azure-key.h"
#include "kms/azure-token.h"
#include "tests/fuzz/fuzz.h"

static void
check_error (enum azure_service service, unsigned status, const uint8_t *body, size_t size)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {.failure = HTTP_ANSWERED, .status = status};
  struct kms_outcome outcome = {0};

  if (secret_init (&answer.body, size + 1, NULL) < 0)
    return;
  answer.body.size = size;
  if (size > 0)
    memcpy (answer.body.bytes, body, size);
  azure_classify (service, AZURE_UNWRAP, "subject", &answer, &outcome);
  if (outcome.class == KMS_OK || !*outcome.reason || !*outcome.text
      || (outcome.class == KMS_DENIED && status != 403 && status != 404))
    abort ();
}

static void
check_success (const uint8_t *body, size_t size)
{
  static struct wrap_blob blob;
  struct azure_key key;
  struct azure_key_facts facts;
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  struct kms_outcome outcome;
  char version[AZURE_VERSION_MAX];

  if (azure_key_parse ("https://v.vault.azure.net/keys/k", NULL, &key) < 0)
    abort ();
  if (azure_token_from_answer (body, size, 0, &token, &outcome) == 0
      && (token.refresh_ms > token.expires_ms || token.value.size < 2))
    abort ();
  if (azure_key_parse_facts (&key, body, size, &facts) == 0 && !azure_is_version (facts.version))
    abort ();
  if (azure_key_parse_wrapped (&key, body, size, version, &blob) == 0
      && (!azure_is_version (version) || blob.size == 0))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const unsigned statuses[] = {400, 401, 403, 404, 429, 500, 200, 302};

  if (size < 2)
    return 0;
  check_error (data[0] % AZURE_SERVICE_COUNT, statuses[data[1] % 8], data + 2, size - 2);
  check_success (data + 2, size - 2);
  return 0;
}
