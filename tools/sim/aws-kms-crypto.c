/* aws-kms-crypto.c owns the KMS operations that encrypt and decrypt. */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/x509.h>

#include "common/checked.h"
#include "tools/sim/aws-cipher.h"
#include "tools/sim/aws-kms.h"
#include "tools/sim/rsa.h"

#define DATA_KEY_MAX 1024

/* ---- what is common ---------------------------------------------------------------------------
 */

/* With DryRun, a request that would have succeeded ends here. */
static int
check_dry_run (struct aws_call *call)
{
  bool dry = false;

  if (json_get_bool (call->params, "DryRun", &dry) == 0 && dry)
    return aws_fail (call, "DryRunOperationException",
                     "The request would have succeeded, but the DryRun option is set.");
  return 0;
}

/* Right state, right usage. */
static int
check_usable (struct aws_call *call, const struct aws_key *key)
{
  char arn[AWS_ARN_MAX];

  if (aws_check_state (call, key) < 0)
    return -1;
  if (strcmp (key->usage, "ENCRYPT_DECRYPT") == 0)
    return 0;
  aws_key_arn (key, arn);
  return aws_fail (call, "InvalidKeyUsageException",
                   "%s key usage is %s which is not valid for %s.", arn, key->usage,
                   call->ex->operation);
}

/* EncryptionAlgorithm (or its like) must fit the key; *ret_padding for RSA. */
static int
take_algorithm (struct aws_call *call, const char *member, const struct aws_key *key,
                const char **ret_name, enum rsa_padding *ret_padding)
{
  const char *name = json_get_string (call->params, member);
  bool sha256, sha1;

  if (!name)
    name = "SYMMETRIC_DEFAULT";
  sha256 = strcmp (name, "RSAES_OAEP_SHA_256") == 0;
  sha1 = strcmp (name, "RSAES_OAEP_SHA_1") == 0;
  if (aws_key_is_symmetric (key) ? strcmp (name, "SYMMETRIC_DEFAULT") != 0 : !sha256 && !sha1)
    return aws_fail (call, "InvalidKeyUsageException",
                     "Algorithm %.60s is incompatible with key spec %s.", name, key->spec);
  *ret_name = name;
  *ret_padding = sha1 ? RSA_PAD_OAEP_SHA1 : RSA_PAD_OAEP_SHA256;
  return 0;
}

static void
set_key_arn (struct json *reply, const char *member, const struct aws_key *key)
{
  char arn[AWS_ARN_MAX];

  aws_key_arn (key, arn);
  json_set_string (reply, member, arn);
}

static const struct aws_material *
current_material (const struct aws_key *key)
{
  return &key->materials[key->material_count - 1];
}

/* ---- encrypting -------------------------------------------------------------------------------
 */

static int
encrypt_with (struct aws_call *call, const struct aws_key *key, const char *algorithm_member,
              const struct json *context, const uint8_t *plaintext, size_t size, uint8_t *ret_blob,
              size_t *ret_size)
{
  const char *algorithm;
  enum rsa_padding padding;
  CLEANUP_PKEY EVP_PKEY *rsa = NULL;

  if (take_algorithm (call, algorithm_member, key, &algorithm, &padding) < 0)
    return -1;
  if (aws_key_is_symmetric (key)) {
    aws_seal (key, context, plaintext, size, ret_blob, ret_size);
    return 0;
  }
  if (context)
    return aws_fail (call, "ValidationException",
                     "EncryptionContext is not supported with asymmetric keys.");
  rsa = rsa_from_pem (key->private_pem);
  if (!rsa || rsa_encrypt (rsa, padding, plaintext, size, ret_blob, ret_size) < 0)
    return aws_fail (call, "ValidationException",
                     "The plaintext is too long for %s with key spec %s.", algorithm, key->spec);
  return 0;
}

int
aws_encrypt (struct aws_call *call, struct json *reply)
{
  const struct json *context;
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  CLEANUP_FREE
  uint8_t *plaintext = NULL;
  uint8_t blob[AWS_BLOB_MAX];
  size_t size, blob_size;
  const char *algorithm = json_get_string (call->params, "EncryptionAlgorithm");

  if (aws_take_context (call, "EncryptionContext", &context) < 0
      || aws_take_blob (call, "Plaintext", 1, AWS_PLAINTEXT_MAX, &plaintext, &size) < 0
      || aws_find_authorized (call, "KeyId", "kms:Encrypt", context, &key) < 0
      || check_usable (call, key) < 0
      || encrypt_with (call, key, "EncryptionAlgorithm", context, plaintext, size, blob, &blob_size)
             < 0
      || check_dry_run (call) < 0)
    return -1;
  aws_set_blob (reply, "CiphertextBlob", blob, blob_size);
  set_key_arn (reply, "KeyId", key);
  json_set_string (reply, "EncryptionAlgorithm", algorithm ? algorithm : "SYMMETRIC_DEFAULT");
  return 0;
}

/* NumberOfBytes or KeySpec, exactly one. */
static int
take_data_key_size (struct aws_call *call, size_t *ret)
{
  const char *spec = json_get_string (call->params, "KeySpec");
  bool numbered = json_get (call->params, "NumberOfBytes");
  uint64_t size = 0;

  if (numbered && spec)
    return aws_fail (call, "ValidationException",
                     "Please specify either number of bytes or key spec, not both.");
  if (!numbered && !spec)
    return aws_fail (call, "ValidationException",
                     "Please specify either number of bytes or key "
                     "spec.");
  if (spec)
    size = strcmp (spec, "AES_256") == 0 ? 32 : strcmp (spec, "AES_128") == 0 ? 16 : 0;
  else if (json_get_uint64 (call->params, "NumberOfBytes", &size) < 0)
    size = 0;
  if (size < 1 || size > DATA_KEY_MAX)
    return aws_fail (call, "ValidationException",
                     "1 validation error detected: Value at '%s' failed to satisfy constraint",
                     spec ? "keySpec" : "numberOfBytes");
  *ret = (size_t)size;
  return 0;
}

static int
generate (struct aws_call *call, struct json *reply, const char *action, bool plaintext)
{
  const struct json *context;
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  uint8_t data_key[DATA_KEY_MAX], blob[AWS_BLOB_MAX];
  size_t size, blob_size;

  if (aws_take_context (call, "EncryptionContext", &context) < 0
      || take_data_key_size (call, &size) < 0
      || aws_find_authorized (call, "KeyId", action, context, &key) < 0
      || check_usable (call, key) < 0)
    return -1;
  if (!aws_key_is_symmetric (key))
    return aws_fail (call, "InvalidKeyUsageException",
                     "%s is only valid with symmetric encryption keys.", call->ex->operation);
  if (check_dry_run (call) < 0)
    return -1;
  if (RAND_priv_bytes (data_key, (int)size) != 1)
    abort ();
  aws_seal (key, context, data_key, size, blob, &blob_size);
  aws_set_blob (reply, "CiphertextBlob", blob, blob_size);
  if (call->ex->wrong_plaintext)
    data_key[0] ^= 1;
  if (plaintext)
    aws_set_blob (reply, "Plaintext", data_key, size);
  set_key_arn (reply, "KeyId", key);
  json_set_string (reply, "KeyMaterialId", current_material (key)->id);
  return 0;
}

int
aws_generate_data_key (struct aws_call *call, struct json *reply)
{
  return generate (call, reply, "kms:GenerateDataKey", true);
}

int
aws_generate_data_key_without_plaintext (struct aws_call *call, struct json *reply)
{
  return generate (call, reply, "kms:GenerateDataKeyWithoutPlaintext", false);
}

/* ---- decrypting -------------------------------------------------------------------------------
 */

/* The words that differ between Decrypt and ReEncrypt. */
struct source {
  const char *key_member, *context_member, *algorithm_member, *action;
};

struct opened {
  struct aws_key *key;
  uint8_t plaintext[AWS_PLAINTEXT_MAX];
  size_t size;
  const char *algorithm, *material_id; /* material_id: NULL for RSA */
};

static void
opened_clear (struct opened *opened)
{
  aws_key_free (opened->key);
}

/* The key of a blob that names none: as the service, say no more than this. */
static int
find_blob_key (struct aws_call *call, const char *id, struct aws_key **ret)
{
  *ret = aws_key_load (call->ex->sim, call->region, id, call->ex->now_s);
  if (*ret) {
    aws_key_arn (*ret, call->ex->key);
    return 0;
  }
  return aws_fail (call, "AccessDeniedException",
                   "The ciphertext refers to a customer master key that does not exist, does not "
                   "exist in this region, or you are not allowed to access.");
}

/* The named key, checked against the blob's; or the blob's own. */
static int
find_source_key (struct aws_call *call, const struct source *source, const uint8_t *blob,
                 size_t size, struct aws_key **ret)
{
  const char *named = json_get_string (call->params, source->key_member);
  char id[sizeof (*ret)->id];
  bool ours = aws_blob_key (blob, size, id, sizeof id) == 0;

  if (!named && !ours)
    return aws_fail (call, "InvalidCiphertextException", "%s", "");
  if (!named)
    return find_blob_key (call, id, ret);
  return aws_key_find (call, named, ret);
}

static int
open_symmetric (struct aws_call *call, const struct json *context, const uint8_t *blob, size_t size,
                struct opened *ret)
{
  const struct aws_material *material;
  char id[sizeof ret->key->id];

  if (aws_blob_key (blob, size, id, sizeof id) < 0)
    return aws_fail (call, "InvalidCiphertextException", "%s", "");
  if (strcmp (id, ret->key->id) != 0)
    return aws_fail (call, "IncorrectKeyException",
                     "The key ID in the request does not identify a CMK that can perform this "
                     "operation.");
  if (aws_open (ret->key, context, blob, size, ret->plaintext, &ret->size, &material) < 0)
    return aws_fail (call, "InvalidCiphertextException", "%s", "");
  ret->material_id = material->id;
  return 0;
}

static int
open_rsa (struct aws_call *call, enum rsa_padding padding, const uint8_t *blob, size_t size,
          struct opened *ret)
{
  CLEANUP_PKEY EVP_PKEY *rsa = rsa_from_pem (ret->key->private_pem);

  if (!rsa || rsa_decrypt (rsa, padding, blob, size, ret->plaintext, &ret->size) < 0)
    return aws_fail (call, "InvalidCiphertextException", "%s", "");
  return 0;
}

static int
open_blob (struct aws_call *call, const struct source *source, struct opened *ret)
{
  const struct json *context;
  CLEANUP_FREE
  uint8_t *blob = NULL;
  size_t size;
  enum rsa_padding padding;

  if (aws_take_context (call, source->context_member, &context) < 0
      || aws_take_blob (call, "CiphertextBlob", 1, AWS_BLOB_MAX, &blob, &size) < 0
      || find_source_key (call, source, blob, size, &ret->key) < 0
      || aws_authorize (call, ret->key, source->action, context) < 0
      || check_usable (call, ret->key) < 0
      || take_algorithm (call, source->algorithm_member, ret->key, &ret->algorithm, &padding) < 0)
    return -1;
  if (!aws_key_is_symmetric (ret->key))
    return open_rsa (call, padding, blob, size, ret);
  return open_symmetric (call, context, blob, size, ret);
}

int
aws_decrypt (struct aws_call *call, struct json *reply)
{
  static const struct source source = {"KeyId", "EncryptionContext", "EncryptionAlgorithm",
                                       "kms:Decrypt"};
  CLEANUP (opened_clear) struct opened opened = {0};

  if (open_blob (call, &source, &opened) < 0 || check_dry_run (call) < 0)
    return -1;
  if (call->ex->wrong_plaintext && opened.size > 0)
    opened.plaintext[0] ^= 1;
  set_key_arn (reply, "KeyId", opened.key);
  aws_set_blob (reply, "Plaintext", opened.plaintext, opened.size);
  json_set_string (reply, "EncryptionAlgorithm", opened.algorithm);
  if (opened.material_id)
    json_set_string (reply, "KeyMaterialId", opened.material_id);
  return 0;
}

int
aws_re_encrypt (struct aws_call *call, struct json *reply)
{
  static const struct source source = {"SourceKeyId", "SourceEncryptionContext",
                                       "SourceEncryptionAlgorithm", "kms:ReEncryptFrom"};
  CLEANUP (opened_clear) struct opened opened = {0};
  const struct json *context;
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  uint8_t blob[AWS_BLOB_MAX];
  size_t size;
  const char *algorithm = json_get_string (call->params, "DestinationEncryptionAlgorithm");

  if (open_blob (call, &source, &opened) < 0
      || aws_take_context (call, "DestinationEncryptionContext", &context) < 0
      || aws_find_authorized (call, "DestinationKeyId", "kms:ReEncryptTo", context, &key) < 0
      || check_usable (call, key) < 0
      || encrypt_with (call, key, "DestinationEncryptionAlgorithm", context, opened.plaintext,
                       opened.size, blob, &size)
             < 0
      || check_dry_run (call) < 0)
    return -1;
  aws_set_blob (reply, "CiphertextBlob", blob, size);
  set_key_arn (reply, "SourceKeyId", opened.key);
  set_key_arn (reply, "KeyId", key);
  json_set_string (reply, "SourceEncryptionAlgorithm", opened.algorithm);
  json_set_string (reply, "DestinationEncryptionAlgorithm",
                   algorithm ? algorithm : "SYMMETRIC_DEFAULT");
  if (opened.material_id)
    json_set_string (reply, "SourceKeyMaterialId", opened.material_id);
  if (aws_key_is_symmetric (key))
    json_set_string (reply, "DestinationKeyMaterialId", current_material (key)->id);
  return 0;
}

/* ---- public keys ------------------------------------------------------------------------------
 */

int
aws_get_public_key (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  CLEANUP_PKEY EVP_PKEY *rsa = NULL;
  unsigned char *der = NULL;
  struct json *algorithms;
  int size;

  if (aws_find_authorized (call, "KeyId", "kms:GetPublicKey", NULL, &key) < 0
      || check_usable (call, key) < 0)
    return -1;
  if (aws_key_is_symmetric (key))
    return aws_fail (call, "UnsupportedOperationException",
                     "GetPublicKey is only valid with asymmetric keys.");
  rsa = rsa_from_pem (key->private_pem);
  size = rsa ? i2d_PUBKEY (rsa, &der) : -1;
  if (size <= 0)
    return aws_fail (call, "KMSInternalException", "The key can't be read.");
  set_key_arn (reply, "KeyId", key);
  aws_set_blob (reply, "PublicKey", der, (size_t)size);
  OPENSSL_free (der);
  json_set_string (reply, "KeySpec", key->spec);
  json_set_string (reply, "KeyUsage", key->usage);
  algorithms = json_set_array (reply, "EncryptionAlgorithms");
  json_append_string (algorithms, "RSAES_OAEP_SHA_1");
  json_append_string (algorithms, "RSAES_OAEP_SHA_256");
  return 0;
}
