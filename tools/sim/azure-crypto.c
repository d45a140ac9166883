/* azure-crypto.c owns the Key Vault operations that wrap and unwrap, encrypt and decrypt. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "common/checked.h"
#include "tools/sim/azure-vault.h"
#include "tools/sim/rsa.h"

#define VALUE_MAX 1024

static const struct algorithm {
  const char *name;
  unsigned oct_bits; /* 0: RSA */
  enum rsa_padding padding;
} algorithms[] = {
    {"RSA-OAEP-256", 0, RSA_PAD_OAEP_SHA256},
    {"RSA-OAEP", 0, RSA_PAD_OAEP_SHA1},
    {"RSA1_5", 0, RSA_PAD_PKCS1},
    {"A128KW", 128, 0},
    {"A192KW", 192, 0},
    {"A256KW", 256, 0},
};

/* What is asked for, and what it may be done with. */
struct crypto_request {
  struct azure_key *key;
  struct azure_version *version;
  const struct algorithm *algorithm;
  uint8_t *value;
  size_t size;
};

static void
crypto_request_clear (struct crypto_request *request)
{
  azure_key_free (request->key);
  free (request->value);
}

static int
fail_parameter (struct azure_call *call, const char *what)
{
  return azure_fail (call, 400, "BadParameter", NULL, "%s", what);
}

/* ---- what may be done -------------------------------------------------------------------------
 */

/* Opening what was wrapped needs an enabled key; wrapping, as the real service has it, does not.
 * The dates stop wrapping and not unwrapping.
 */
static int
check_state (struct azure_call *call, const struct crypto_request *request, const char *op,
             bool opens)
{
  const struct azure_version *version = request->version;
  int64_t now_s = call->ex->now_s;

  if (!azure_list_has (version->key_ops, op))
    return azure_fail (call, 403, "Forbidden", "KeyOperationForbidden",
                       "Operation %s is not permitted on this key.", op);
  if (opens && !version->enabled)
    return azure_fail (call, 403, "Forbidden", "KeyDisabled",
                       "Operation %s is not allowed on a disabled key.", op);
  if (!opens && version->exp_s != 0 && now_s >= version->exp_s)
    return azure_fail (call, 403, "Forbidden", "KeyExpired",
                       "Operation %s is not allowed on an expired key.", op);
  if (!opens && version->nbf_s > now_s)
    return azure_fail (call, 403, "Forbidden", "KeyNotYetValid",
                       "Operation %s is not allowed on a key that is not yet valid.", op);
  return 0;
}

static int
take_algorithm (struct azure_call *call, struct crypto_request *request)
{
  const char *name = json_get_string (call->params, "alg");
  bool oct = strcmp (request->key->kty, "oct-HSM") == 0;

  for (size_t i = 0; name && i < ARRAY_SIZE (algorithms); i++)
    if (strcmp (algorithms[i].name, name) == 0 && (algorithms[i].oct_bits != 0) == oct
        && (!oct || algorithms[i].oct_bits == request->key->bits)) {
      request->algorithm = &algorithms[i];
      return 0;
    }
  return fail_parameter (call, "Property alg has invalid value for this key");
}

static int
take_value (struct azure_call *call, struct crypto_request *request)
{
  const char *text = json_get_string (call->params, "value");

  if (!text || strlen (text) > VALUE_MAX * 4 / 3
      || !(request->value = base64url_decode (text, strlen (text), &request->size))
      || request->size == 0)
    return fail_parameter (call, "Property value has invalid value");
  return 0;
}

static int
take_request (struct azure_call *call, const char *op, bool opens, struct crypto_request *request)
{
  if (azure_find_key (call, &request->key) < 0)
    return -1;
  request->version = azure_key_version (request->key, call->version);
  if (!request->version)
    return azure_fail_not_found (call);
  if (take_algorithm (call, request) < 0 || take_value (call, request) < 0)
    return -1;
  return check_state (call, request, op, opens);
}

/* ---- doing it ---------------------------------------------------------------------------------
 */

/* RFC 3394 with the default IV. */
static int
key_wrap (const struct crypto_request *request, bool wrap, uint8_t *ret, size_t *ret_size)
{
  const EVP_CIPHER *ciphers[] = {EVP_aes_128_wrap (), EVP_aes_192_wrap (), EVP_aes_256_wrap ()};
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new ();
  int size = 0, r = -1;

  if (!context)
    abort ();
  EVP_CIPHER_CTX_set_flags (context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (request->size % 8 == 0 && request->size >= (wrap ? 16 : 24)
      && EVP_CipherInit_ex (context, ciphers[request->key->bits / 64 - 2], NULL,
                            request->version->oct, NULL, wrap)
             == 1
      && EVP_CipherUpdate (context, ret, &size, request->value, (int)request->size) == 1
      && size > 0) {
    *ret_size = (size_t)size;
    r = 0;
  }
  EVP_CIPHER_CTX_free (context);
  ERR_clear_error ();
  return r;
}

static int
transform (const struct crypto_request *request, bool opens, uint8_t *ret, size_t *ret_size)
{
  CLEANUP_PKEY EVP_PKEY *rsa = NULL;

  if (request->algorithm->oct_bits != 0)
    return key_wrap (request, !opens, ret, ret_size);
  rsa = rsa_from_pem (request->version->pem);
  if (!rsa)
    return -1;
  return (opens ? rsa_decrypt : rsa_encrypt) (rsa, request->algorithm->padding, request->value,
                                              request->size, ret, ret_size);
}

static void
reply_value (struct azure_call *call, const struct crypto_request *request, const uint8_t *bytes,
             size_t size)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  CLEANUP_FREE
  char *text = base64url_encode (bytes, size);
  char kid[512];

  if (!json)
    abort ();
  snprintf (kid, sizeof kid, "%s/keys/%s/%s", call->base, request->key->name, request->version->id);
  json_set_string (json, "kid", kid);
  json_set_string (json, "value", text);
  snprintf (call->ex->key, sizeof call->ex->key, "%s", kid);
  reply_json (call->ex->reply, 200, AZURE_JSON, json);
}

static int
run (struct azure_call *call, const char *op, bool opens)
{
  CLEANUP (crypto_request_clear) struct crypto_request request = {0};
  uint8_t result[VALUE_MAX + RSA_BYTES_MAX];
  size_t size;

  if (take_request (call, op, opens, &request) < 0)
    return -1;
  if (transform (&request, opens, result, &size) < 0)
    return fail_parameter (call, opens ? "The parameter is incorrect.\r\n"
                                       : "The value is too long, or of a wrong size, for this key");
  if (opens && call->ex->wrong_plaintext)
    result[0] ^= 1;
  reply_value (call, &request, result, size);
  return 0;
}

int
azure_wrap (struct azure_call *call)
{
  return run (call, "wrapKey", false);
}

int
azure_unwrap (struct azure_call *call)
{
  return run (call, "unwrapKey", true);
}

int
azure_encrypt (struct azure_call *call)
{
  return run (call, "encrypt", false);
}

int
azure_decrypt (struct azure_call *call)
{
  return run (call, "decrypt", true);
}
