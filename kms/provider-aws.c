/* provider-aws.c owns keys in AWS KMS.
 *
 *   symmetric keys   GenerateDataKey (64 bytes), Encrypt and Decrypt with the encryption context
 *                    {"keyfence:volume": uuid}; key version = the id of the key material
 *   RSA keys         volume keys made here; Encrypt and Decrypt with RSAES_OAEP_SHA_256, which has
 * no context; key version empty
 *
 * What is stored is the key's own ARN as KMS answered it, also when the user named an alias, and
 * Decrypt is asked for that very key: an alias that is turned to another key changes nothing.
 */
#include "kms/provider.h"

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "kms/aws-credentials.h"
#include "kms/aws-inspect.h"
#include "kms/aws-kms.h"
#include "kms/aws-provider.h"

static bool
aws_owns (const char *key)
{
  return strncmp (key, "arn:", 4) == 0;
}

static int
aws_check_name (const char *key, struct kms_outcome *outcome)
{
  struct aws_key parsed;
  struct error err;

  if (aws_key_parse (key, &parsed, &err) < 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name", "%s", err.text);
  return 0;
}

/* ---- grant tokens ---- */

/* The file that a key's name gave.  What is stored is a name without it, but the first uses of a
 * wrap come right after its making, when a grant may not be known everywhere yet.
 */
static struct {
  char file[AWS_PATH_MAX], region[AWS_REGION_MAX], account[16];
} grants;

static const char *
grant_file (const struct aws_key *key)
{
  if (key->grant_tokens[0]) {
    snprintf (grants.file, sizeof grants.file, "%s", key->grant_tokens);
    snprintf (grants.region, sizeof grants.region, "%s", key->region);
    snprintf (grants.account, sizeof grants.account, "%s", key->account);
  }
  return strcmp (grants.region, key->region) == 0 && strcmp (grants.account, key->account) == 0
             ? grants.file
             : NULL;
}

/* ---- the parts of an operation ---- */

int
aws_session_open (struct aws_session *session, const struct kms_request *request,
                  struct kms_outcome *outcome)
{
  struct error err;

  *session = (struct aws_session){0};
  if (aws_key_parse (request->key, &session->key, &err) < 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name", "%s", err.text);
  /* A header's name is not to make us read files and send them. */
  if (request->stored && session->key.grant_tokens[0])
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name",
                            "the wrap's key \"%.150s\" is more than an ARN, which keyfence never "
                            "stores: the header was changed; restore a backup of it",
                            request->key);
  if (request->fresh)
    aws_credentials_drop ();
  session->grant_file = grant_file (&session->key);
  return aws_context_init (&session->context, &session->key, clock_ms () + request->timeout_ms,
                           outcome);
}

void
aws_session_close (struct aws_session *session)
{
  aws_context_clear (&session->context);
}

/* The key's own ARN out of an answer: the one that was asked for, or what an alias stands for. */
static int
take_key (const struct aws_session *session, const struct aws_kms_answer *answer,
          char ret[WRAP_KEY_MAX])
{
  struct aws_key key;

  if (answer_string (&answer->json, "KeyId", ret, WRAP_KEY_MAX) < 0
      || aws_key_parse (ret, &key, NULL) < 0 || key.is_alias || key.grant_tokens[0])
    return -1;
  if (!session->key.is_alias)
    return strcmp (key.arn, session->key.arn) == 0 ? 0 : -1;
  return strcmp (key.region, session->key.region) == 0 ? 0 : -1;
}

/* The key material's id: not in every answer, and never needed to unwrap. */
static void
take_version (const struct aws_kms_answer *answer, char ret[WRAP_VERSION_MAX])
{
  if (answer_string (&answer->json, "KeyMaterialId", ret, WRAP_VERSION_MAX) < 0)
    ret[0] = '\0';
}

static int
take_wrapped (const struct aws_session *session, const struct aws_kms_request *request,
              const struct aws_kms_answer *answer, const char *algorithm, struct kms_wrapped *ret,
              struct kms_outcome *outcome)
{
  if (take_key (session, answer, ret->key) < 0
      || answer_blob (&answer->json, "CiphertextBlob", BASE64_STANDARD, &ret->blob) < 0)
    return aws_kms_bad_answer (request, outcome);
  snprintf (ret->algorithm, sizeof ret->algorithm, "%s", algorithm);
  take_version (answer, ret->key_version);
  return 0;
}

/* ---- operations ---- */

int
aws_encrypt (struct aws_session *session, const char *volume, const struct secret *plain,
             const char *algorithm, struct kms_wrapped *ret, struct kms_outcome *outcome)
{
  bool symmetric = strcmp (algorithm, AWS_SYMMETRIC) == 0;
  const struct aws_kms_request request = {
      .operation = "Encrypt",
      .key = session->key.arn,
      .volume = symmetric ? volume : NULL,
      .algorithm = algorithm,
      .grant_file = session->grant_file,
      .plain = plain,
  };
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};

  if (aws_kms_call (&session->context, &request, &answer, outcome) < 0)
    return -1;
  return take_wrapped (session, &request, &answer, algorithm, ret, outcome);
}

int
aws_decrypt (struct aws_session *session, const char *volume, const char *algorithm,
             const struct wrap_blob *blob, struct secret *ret_plain,
             char ret_version[WRAP_VERSION_MAX], struct kms_outcome *outcome)
{
  bool symmetric = strcmp (algorithm, AWS_SYMMETRIC) == 0;
  const struct aws_kms_request request = {
      .operation = "Decrypt",
      .key = session->key.arn,
      .volume = symmetric ? volume : NULL,
      .algorithm = algorithm,
      .grant_file = session->grant_file,
      .blob = blob,
  };
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  CLEANUP_SECRET struct secret plain = {0};
  char key[WRAP_KEY_MAX];

  if (aws_kms_call (&session->context, &request, &answer, outcome) < 0)
    return -1;
  if (take_key (session, &answer, key) < 0
      || answer_base64 (&answer.json, "Plaintext", BASE64_STANDARD, &plain) < 0)
    return aws_kms_bad_answer (&request, outcome);
  take_version (&answer, ret_version);
  secret_take (ret_plain, &plain);
  return 0;
}

int
aws_generate_data_key (struct aws_session *session, const char *volume, struct secret *ret_plain,
                       struct kms_wrapped *ret, struct kms_outcome *outcome)
{
  const struct aws_kms_request request = {
      .operation = "GenerateDataKey",
      .key = session->key.arn,
      .volume = volume,
      .grant_file = session->grant_file,
      .number_of_bytes = VOLUME_KEY_SIZE,
  };
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  CLEANUP_SECRET struct secret plain = {0};

  if (aws_kms_call (&session->context, &request, &answer, outcome) < 0)
    return -1;
  if (answer_base64 (&answer.json, "Plaintext", BASE64_STANDARD, &plain) < 0
      || plain.size != VOLUME_KEY_SIZE)
    return aws_kms_bad_answer (&request, outcome);
  if (take_wrapped (session, &request, &answer, AWS_SYMMETRIC, ret, outcome) < 0)
    return -1;
  secret_take (ret_plain, &plain);
  return 0;
}

bool
aws_may_be_rsa (const struct kms_outcome *outcome)
{
  return outcome->class == KMS_CONFIG
         && (strcmp (outcome->reason, "key_usage") == 0
             || strcmp (outcome->reason, "unsupported") == 0
             || strcmp (outcome->reason, "bad_request") == 0);
}

/* ---- the provider ---- */

/* Encrypt does not say which key material it used, Decrypt does; without the right to decrypt the
 * wrap is of no use anyway.
 */
static int
find_version (struct aws_session *session, const char *volume, struct kms_wrapped *wrapped,
              struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret plain = {0};

  return aws_decrypt (session, volume, wrapped->algorithm, &wrapped->blob, &plain,
                      wrapped->key_version, outcome);
}

static int
wrap_with (struct aws_session *session, const char *volume, const struct secret *plain,
           struct kms_wrapped *ret, struct kms_outcome *outcome)
{
  struct kms_outcome rsa_outcome = {0};

  if (aws_encrypt (session, volume, plain, AWS_SYMMETRIC, ret, outcome) == 0)
    return find_version (session, volume, ret, outcome);
  if (!aws_may_be_rsa (outcome)
      || aws_encrypt (session, volume, plain, AWS_RSA_OAEP, ret, &rsa_outcome) < 0)
    return -1;
  return 0;
}

static int
no_memory (struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
}

static int
aws_wrap (const struct kms_request *request, const struct secret *plain,
          struct kms_wrapped *ret_wrapped, struct kms_outcome *outcome)
{
  CLEANUP_AWS_SESSION struct aws_session session = {0};
  CLEANUP_FREE
  struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);

  if (!wrapped)
    return no_memory (outcome);
  if (aws_session_open (&session, request, outcome) < 0
      || wrap_with (&session, request->volume, plain, wrapped, outcome) < 0)
    return -1;
  *ret_wrapped = *wrapped;
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

static int
aws_generate (const struct kms_request *request, struct secret *ret_volume_key,
              struct kms_wrapped *ret_wrapped, struct kms_outcome *outcome)
{
  CLEANUP_AWS_SESSION struct aws_session session = {0};
  CLEANUP_SECRET struct secret plain = {0};
  CLEANUP_FREE
  struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  struct kms_outcome rsa_outcome = {0};

  if (!wrapped)
    return no_memory (outcome);
  if (aws_session_open (&session, request, outcome) < 0)
    return -1;
  if (aws_generate_data_key (&session, request->volume, &plain, wrapped, outcome) < 0) {
    if (!aws_may_be_rsa (outcome))
      return -1;
    if (secret_random (&plain, VOLUME_KEY_SIZE, NULL) < 0)
      return no_memory (outcome);
    if (aws_encrypt (&session, request->volume, &plain, AWS_RSA_OAEP, wrapped, &rsa_outcome) < 0)
      return -1; /* with what GenerateDataKey was told */
  }
  secret_take (ret_volume_key, &plain);
  *ret_wrapped = *wrapped;
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

static int
aws_unwrap (const struct kms_request *request, const struct wrap *wrap,
            const struct wrap_blob *blob, size_t plain_size, struct secret *ret_plain,
            struct kms_outcome *outcome)
{
  CLEANUP_AWS_SESSION struct aws_session session = {0};
  CLEANUP_SECRET struct secret plain = {0};
  char version[WRAP_VERSION_MAX];

  if (strcmp (wrap->algorithm, AWS_SYMMETRIC) != 0 && strcmp (wrap->algorithm, AWS_RSA_OAEP) != 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_algorithm",
                            "the wrap's algorithm is \"%s\", where AWS keys have " AWS_SYMMETRIC
                            " or " AWS_RSA_OAEP ": use the version of keyfence that made it",
                            wrap->algorithm);
  if (aws_session_open (&session, request, outcome) < 0
      || aws_decrypt (&session, request->volume, wrap->algorithm, blob, &plain, version, outcome)
             < 0)
    return -1;
  if (plain.size != plain_size)
    return kms_outcome_set (
        outcome, KMS_CORRUPT, "bad_wrap",
        "%.150s opens the wrap to %zu bytes, where %zu were wrapped: the header "
        "was changed; restore a backup of it",
        wrap->key, plain.size, plain_size);
  secret_take (ret_plain, &plain);
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

/* Only imported key material expires; what it wrapped can then not be opened until the same
 * material is imported again.
 */
static int
take_expiry (const struct aws_session *session, const struct answer *metadata, int64_t *ret)
{
  char arn[WRAP_KEY_MAX], model[40];

  if (answer_string (metadata, "KeyMetadata/Arn", arn, sizeof arn) < 0
      || strcmp (arn, session->key.arn) != 0)
    return -1;
  if (answer_string (metadata, "KeyMetadata/ExpirationModel", model, sizeof model) < 0
      || strcmp (model, "KEY_MATERIAL_EXPIRES") != 0) {
    *ret = 0;
    return 0;
  }
  return answer_int64 (metadata, "KeyMetadata/ValidTo", ret);
}

static int
aws_expiry (const struct kms_request *request, const struct wrap *wrap, int64_t *ret_expires_unix_s,
            struct kms_outcome *outcome)
{
  CLEANUP_AWS_SESSION struct aws_session session = {0};
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  struct aws_kms_request describe = {.operation = "DescribeKey"};

  (void)wrap; /* the service tells of the key as a whole */
  if (aws_session_open (&session, request, outcome) < 0)
    return -1;
  describe.key = session.key.arn;
  describe.grant_file = session.grant_file;
  if (aws_kms_call (&session.context, &describe, &answer, outcome) < 0)
    return -1;
  if (take_expiry (&session, &answer.json, ret_expires_unix_s) < 0)
    return aws_kms_bad_answer (&describe, outcome);
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

/* ---- before and after the agent's fork ---- */

static int
aws_prepare (const struct kms_request *request, int *ret_fd, struct kms_outcome *outcome)
{
  CLEANUP_AWS_SESSION struct aws_session session = {0};
  const struct aws_credentials *credentials;

  if (aws_session_open (&session, request, outcome) < 0
      || aws_credentials_get (&session.context, &credentials, outcome) < 0)
    return -1;
  if (aws_credentials_give (credentials, ret_fd) < 0)
    return no_memory (outcome);
  return 0;
}

static void
aws_inherit (const struct kms_request *request, int fd)
{
  (void)request;
  aws_credentials_inherit (fd);
}

const struct kms_provider kms_provider_aws = {
    .name = "aws",
    .form = AWS_KEY_FORM,
    .owns = aws_owns,
    .check_name = aws_check_name,
    .wrap = aws_wrap,
    .unwrap = aws_unwrap,
    .expiry = aws_expiry,
    .generate = aws_generate,
    .prepare = aws_prepare,
    .inherit = aws_inherit,
    .inspect = aws_inspect,
};
