/* provider-azure.c owns keys in Azure Key Vault and Managed HSM.
 *
 * RSA keys wrap with RSA-OAEP-256, AES keys with A256KW.  A wrap names the version of the key that
 * made it, as the service told: only that version opens it, and rotation makes new ones.  The
 * service binds nothing else to a wrap; that it belongs to its volume is proven by the header's
 * MAC.
 */
#include "kms/provider.h"

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "kms/azure-environment.h"
#include "kms/azure-inspect.h"
#include "kms/azure-key.h"
#include "kms/handover.h"

/* ---- names ---- */

static int
parse (const char *text, struct azure_key *ret)
{
  return azure_key_parse (text, azure_variable ("AZURE_AUTHORITY_HOST"), ret);
}

static bool
azure_owns (const char *key)
{
  struct azure_key parsed;

  return parse (key, &parsed) == 0;
}

static int
parse_request (const struct kms_request *request, struct azure_key *ret,
               struct kms_outcome *outcome)
{
  if (parse (request->key, ret) == 0)
    return 0;
  return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name",
                          "\"%.150s\" is not the name of a key: write " AZURE_URI_FORM,
                          request->key);
}

/* ---- wrap ---- */

/* By the key's type where we may read it; else by what such services mostly hold. */
static int
choose_algorithm (const struct azure_key *key, uint64_t deadline_ms, const char **ret_algorithm,
                  struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct azure_key_facts facts;

  if (azure_key_get (key, deadline_ms, &answer, &facts, outcome) < 0) {
    if (outcome->class != KMS_DENIED || strcmp (outcome->reason, "access_denied") != 0)
      return -1;
    *ret_algorithm = key->hsm ? "A256KW" : "RSA-OAEP-256";
    return 0;
  }
  *ret_algorithm = azure_key_algorithm (facts.type);
  if (!*ret_algorithm)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_type",
                            "%.150s/keys/%.60s is of type %s, which can't wrap: use an RSA key%s",
                            key->base, key->name, facts.type, key->hsm ? ", or AES (oct-HSM)" : "");
  return 0;
}

/* The wrap belongs to the version that the answer names, never to "the newest". */
static int
fill_in (struct azure_key *key, const char *version, const char *algorithm,
         struct kms_wrapped *wrapped, struct kms_outcome *outcome)
{
  if (*key->version && strcmp (key->version, version) != 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                            "%.150s wrapped with version %s where %s was named", key->base, version,
                            key->version);
  snprintf (key->version, sizeof key->version, "%s", version);
  if (azure_key_print (key, wrapped->key) < 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name", "the name of the key is too long");
  snprintf (wrapped->key_version, sizeof wrapped->key_version, "%s", version);
  snprintf (wrapped->algorithm, sizeof wrapped->algorithm, "%s", algorithm);
  return 0;
}

static int
azure_wrap (const struct kms_request *request, const struct secret *plain,
            struct kms_wrapped *ret_wrapped, struct kms_outcome *outcome)
{
  CLEANUP_FREE
  struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  uint64_t deadline_ms = clock_ms () + request->timeout_ms;
  struct azure_key key;
  char version[AZURE_VERSION_MAX];
  const char *algorithm;

  if (!wrapped)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  if (parse_request (request, &key, outcome) < 0
      || choose_algorithm (&key, deadline_ms, &algorithm, outcome) < 0
      || azure_key_wrap (&key, algorithm, plain, deadline_ms, version, &wrapped->blob, outcome) < 0
      || fill_in (&key, version, algorithm, wrapped, outcome) < 0)
    return -1;
  *ret_wrapped = *wrapped;
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

/* ---- the version that made a wrap ---- */

/* The version's name in *ret; forgets what is kept where the request wants fresh credentials. */
static int
find_version (const struct kms_request *request, const struct wrap *wrap, struct azure_key *ret,
              struct kms_outcome *outcome)
{
  if (parse_request (request, ret, outcome) < 0)
    return -1;
  if (!*ret->version && azure_is_version (wrap->key_version))
    snprintf (ret->version, sizeof ret->version, "%.64s", wrap->key_version);
  if (!*ret->version)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name",
                            "the wrap does not say which version of %.200s made it", request->key);
  if (request->fresh)
    azure_vault_drop_token (ret);
  return 0;
}

static int
azure_unwrap (const struct kms_request *request, const struct wrap *wrap,
              const struct wrap_blob *blob, size_t plain_size, struct secret *ret_plain,
              struct kms_outcome *outcome)
{
  uint64_t deadline_ms = clock_ms () + request->timeout_ms;
  struct azure_key key;

  if (!azure_key_knows_algorithm (wrap->algorithm))
    return kms_outcome_set (
        outcome, KMS_CONFIG, "bad_algorithm",
        "the wrap's algorithm is \"%s\", where Key Vault's are RSA-OAEP-256 and "
        "A256KW: use the version of keyfence that made it",
        wrap->algorithm);
  if (find_version (request, wrap, &key, outcome) < 0
      || azure_key_unwrap (&key, wrap->algorithm, blob, plain_size, deadline_ms, ret_plain, outcome)
             < 0)
    return -1;
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

static int
azure_expiry (const struct kms_request *request, const struct wrap *wrap,
              int64_t *ret_expires_unix_s, struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  uint64_t deadline_ms = clock_ms () + request->timeout_ms;
  struct azure_key_facts facts;
  struct azure_key key;

  if (find_version (request, wrap, &key, outcome) < 0
      || azure_key_get (&key, deadline_ms, &answer, &facts, outcome) < 0)
    return -1;
  if (strcmp (facts.version, key.version) != 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                            "%.150s tells of version %s where %s was asked for", key.base,
                            facts.version, key.version);
  *ret_expires_unix_s = facts.expires_s;
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

/* ---- the agent's child ---- */

static int
azure_prepare (const struct kms_request *request, int *ret_fd, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret printed = {0};
  const struct azure_token *token;
  struct azure_key key;
  struct azure_call call = {.key = &key,
                            .operation = AZURE_UNWRAP,
                            .suffix = "",
                            .deadline_ms = clock_ms () + request->timeout_ms};

  if (parse_request (request, &key, outcome) < 0)
    return -1;
  if (request->fresh)
    azure_vault_drop_token (&key);
  if (azure_vault_token (&call, &token, outcome) < 0)
    return -1;
  if (azure_vault_print (&key, &printed) < 0 || handover_give (&printed, ret_fd) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory or descriptors");
  return 0;
}

static void
azure_inherit (const struct kms_request *request, int fd)
{
  CLEANUP_SECRET struct secret printed = {0};
  struct azure_key key;

  if (parse (request->key, &key) == 0 && handover_take (fd, &printed) == 0)
    azure_vault_inherit (&key, &printed);
}

static void
azure_inspect_key (const struct kms_request *request, struct kms_report *report)
{
  struct kms_outcome outcome = {0};
  struct azure_key key;

  if (parse_request (request, &key, &outcome) < 0)
    kms_report_add (report, KMS_FAIL, "name", NULL, "%s", outcome.text);
  else
    azure_inspect (request, &key, report);
}

const struct kms_provider kms_provider_azure = {
    .name = "azure",
    .form = AZURE_URI_FORM,
    .owns = azure_owns,
    .wrap = azure_wrap,
    .unwrap = azure_unwrap,
    .expiry = azure_expiry,
    .generate = NULL,
    .prepare = azure_prepare,
    .inherit = azure_inherit,
    .inspect = azure_inspect_key,
};
