/* azure-key.c owns the bodies of the requests about a key, and what their answers hold. */
#include "kms/azure-key.h"

#include <stdio.h>
#include <string.h>

#include "kms/answer.h"

#define BODY_MAX ((size_t)16 * 1024)
#define BLOB_MAX_BYTES 1024 /* RSA-4096 makes 512 */

static const struct {
  const char *type, *algorithm;
} algorithms[] = {
    {"RSA", "RSA-OAEP-256"},
    {"RSA-HSM", "RSA-OAEP-256"},
    {"oct-HSM", "A256KW"},
    {"oct", "A256KW"},
};

const char *
azure_key_algorithm (const char *type)
{
  for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
    if (strcmp (algorithms[i].type, type) == 0)
      return algorithms[i].algorithm;
  return NULL;
}

bool
azure_key_knows_algorithm (const char *algorithm)
{
  for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
    if (strcmp (algorithms[i].algorithm, algorithm) == 0)
      return true;
  return false;
}

static int
no_sense (const struct azure_key *key, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                          "the answer of %.150s makes no sense: is it a Key Vault?", key->base);
}

/* ---- facts ---- */

/* The length of the modulus without leading zero bits; 0 when there is none. */
static unsigned
modulus_bits (const struct answer *answer)
{
  CLEANUP_FREE
  struct wrap_blob *n = calloc (1, sizeof *n);
  size_t zeros = 0;
  unsigned bits;

  if (!n || answer_blob (answer, "key/n", BASE64_URL, n) < 0)
    return 0;
  while (zeros < n->size && n->bytes[zeros] == 0)
    zeros++;
  if (zeros == n->size)
    return 0;
  bits = (unsigned)(n->size - zeros) * 8;
  for (unsigned top = n->bytes[zeros]; !(top & 0x80); top <<= 1)
    bits--;
  return bits;
}

static void
parse_attributes (const struct answer *answer, struct azure_key_facts *facts)
{
  if (answer_bool (answer, "attributes/enabled", &facts->enabled) < 0)
    facts->enabled = true; /* the default, says the reference */
  if (answer_int64 (answer, "attributes/nbf", &facts->not_before_s) < 0)
    facts->not_before_s = 0;
  if (answer_int64 (answer, "attributes/exp", &facts->expires_s) < 0)
    facts->expires_s = 0;
  if (answer_int64 (answer, "attributes/recoverableDays", &facts->recoverable_days) < 0)
    facts->recoverable_days = 0;
  if (answer_string (answer, "attributes/recoveryLevel", facts->recovery_level,
                     sizeof facts->recovery_level)
      < 0)
    facts->recovery_level[0] = '\0';
}

int
azure_key_parse_facts (const struct azure_key *key, const void *body, size_t size,
                       struct azure_key_facts *ret)
{
  struct azure_key_facts facts = {0};
  struct answer answer;

  if (answer_init (&answer, body, size) < 0
      || answer_string (&answer, "key/kid", facts.id, sizeof facts.id) < 0
      || azure_key_version_of (key, facts.id, facts.version) < 0
      || answer_string (&answer, "key/kty", facts.type, sizeof facts.type) < 0)
    return -1;
  facts.bits = modulus_bits (&answer);
  facts.can_wrap = answer_array_has (&answer, "key/key_ops", "wrapKey");
  facts.can_unwrap = answer_array_has (&answer, "key/key_ops", "unwrapKey");
  parse_attributes (&answer, &facts);
  *ret = facts;
  return 0;
}

int
azure_key_get (const struct azure_key *key, uint64_t deadline_ms, struct http_answer *answer,
               struct azure_key_facts *ret, struct kms_outcome *outcome)
{
  const struct azure_call call = {
      .key = key, .operation = AZURE_GET, .suffix = "", .deadline_ms = deadline_ms};

  if (azure_vault_call (&call, answer, outcome) < 0)
    return -1;
  if (azure_key_parse_facts (key, answer->body.bytes, answer->body.size, ret) < 0)
    return no_sense (key, outcome);
  return 0;
}

/* ---- wrap and unwrap ---- */

static int
make_body (const char *algorithm, const uint8_t *bytes, size_t size, struct secret_text *body,
           struct kms_outcome *outcome)
{
  if (secret_text_init (body, BODY_MAX) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  secret_text_add (body, "{\"alg\":");
  secret_text_add_json (body, algorithm);
  secret_text_add (body, ",\"value\":\"");
  secret_text_add_base64 (body, bytes, size, BASE64_URL);
  secret_text_add (body, "\"}");
  if (!secret_text_get (body))
    return kms_outcome_set (outcome, KMS_CORRUPT, "bad_wrap", "the wrap is too long to be one");
  return 0;
}

int
azure_key_parse_wrapped (const struct azure_key *key, const void *body, size_t size,
                         char ret_version[AZURE_VERSION_MAX], struct wrap_blob *ret_blob)
{
  struct answer answer;
  char kid[WRAP_KEY_MAX];

  if (answer_init (&answer, body, size) < 0 || answer_string (&answer, "kid", kid, sizeof kid) < 0
      || azure_key_version_of (key, kid, ret_version) < 0
      || answer_blob (&answer, "value", BASE64_URL, ret_blob) < 0
      || ret_blob->size > BLOB_MAX_BYTES)
    return -1;
  return 0;
}

int
azure_key_wrap (const struct azure_key *key, const char *algorithm, const struct secret *plain,
                uint64_t deadline_ms, char ret_version[AZURE_VERSION_MAX],
                struct wrap_blob *ret_blob, struct kms_outcome *outcome)
{
  CLEANUP_SECRET_TEXT struct secret_text body = {0};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  const struct azure_call call = {.key = key,
                                  .operation = AZURE_WRAP,
                                  .suffix = "/wrapkey",
                                  .body = &body,
                                  .deadline_ms = deadline_ms};

  if (make_body (algorithm, plain->bytes, plain->size, &body, outcome) < 0
      || azure_vault_call (&call, &answer, outcome) < 0)
    return -1;
  if (azure_key_parse_wrapped (key, answer.body.bytes, answer.body.size, ret_version, ret_blob) < 0)
    return no_sense (key, outcome);
  return 0;
}

int
azure_key_unwrap (const struct azure_key *key, const char *algorithm, const struct wrap_blob *blob,
                  size_t plain_size, uint64_t deadline_ms, struct secret *ret_plain,
                  struct kms_outcome *outcome)
{
  CLEANUP_SECRET_TEXT struct secret_text body = {0};
  CLEANUP_HTTP_ANSWER struct http_answer http = {0};
  CLEANUP_SECRET struct secret plain = {0};
  struct answer answer;
  const struct azure_call call = {.key = key,
                                  .operation = AZURE_UNWRAP,
                                  .suffix = "/unwrapkey",
                                  .body = &body,
                                  .deadline_ms = deadline_ms};

  if (make_body (algorithm, blob->bytes, blob->size, &body, outcome) < 0
      || azure_vault_call (&call, &http, outcome) < 0)
    return -1;
  if (answer_init (&answer, (const char *)http.body.bytes, http.body.size) < 0
      || answer_base64 (&answer, "value", BASE64_URL, &plain) < 0)
    return no_sense (key, outcome);
  if (plain.size != plain_size)
    return kms_outcome_set (outcome, KMS_CORRUPT, "bad_wrap",
                            "%.200s unwrapped %zu bytes where %zu were wrapped", key->base,
                            plain.size, plain_size);
  secret_take (ret_plain, &plain);
  return 0;
}
