/* jwt.c owns tokens that are signed JSON. */
#include "tools/sim/jwt.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "common/encode.h"

#define LEEWAY_S 300

/* ---- base64url --------------------------------------------------------------------------------
 */

char *
base64url_encode (const uint8_t *bytes, size_t size)
{
  char *text = base64_encode (bytes, size);

  if (!text)
    return NULL;
  for (char *c = text; *c; c++)
    *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
  text[strcspn (text, "=")] = '\0';
  return text;
}

uint8_t *
base64url_decode (const char *text, size_t length, size_t *ret_size)
{
  size_t padded = (length + 3) / 4 * 4;
  CLEANUP_FREE
  char *copy = malloc (padded + 1);
  uint8_t *bytes = malloc (padded + 1);

  if (!copy || !bytes)
    abort ();
  memset (copy, '=', padded);
  memcpy (copy, text, length);
  copy[padded] = '\0';
  for (size_t i = 0; i < length; i++) {
    if (copy[i] == '+' || copy[i] == '/' || copy[i] == '=')
      copy[i] = '!';
    copy[i] = (char)(copy[i] == '-' ? '+' : copy[i] == '_' ? '/' : copy[i]);
  }
  if (base64_decode (copy, bytes, padded, ret_size) < 0) {
    free (bytes);
    return NULL;
  }
  return bytes;
}

/* ---- parsing ----------------------------------------------------------------------------------
 */

static struct json *
parse_part (const char *text, size_t length)
{
  size_t size;
  CLEANUP_FREE
  uint8_t *bytes = base64url_decode (text, length, &size);
  struct json *json = bytes ? json_parse ((const char *)bytes, size) : NULL;

  if (json && !json_is_object (json)) {
    json_free (json);
    return NULL;
  }
  return json;
}

int
jwt_parse (const char *text, struct jwt *ret)
{
  const char *claims = strchr (text, '.');
  const char *signature = claims ? strchr (claims + 1, '.') : NULL;

  memset (ret, 0, sizeof *ret);
  if (!signature || strlen (text) > JWT_MAX)
    return -1;
  ret->text = text;
  ret->signed_size = (size_t)(signature - text);
  ret->header = parse_part (text, (size_t)(claims - text));
  ret->claims = parse_part (claims + 1, (size_t)(signature - claims - 1));
  ret->signature = base64url_decode (signature + 1, strlen (signature + 1), &ret->signature_size);
  if (ret->header && ret->claims && ret->signature)
    return 0;
  jwt_clear (ret);
  return -1;
}

void
jwt_clear (struct jwt *jwt)
{
  json_free (jwt->header);
  json_free (jwt->claims);
  free (jwt->signature);
  memset (jwt, 0, sizeof *jwt);
}

/* ---- verifying --------------------------------------------------------------------------------
 */

static int
set_pss (EVP_PKEY_CTX *context)
{
  if (EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_PSS_PADDING) <= 0)
    return -1;
  return EVP_PKEY_CTX_set_rsa_pss_saltlen (context, RSA_PSS_SALTLEN_DIGEST) > 0 ? 0 : -1;
}

bool
jwt_verify (const struct jwt *jwt, EVP_PKEY *key)
{
  const char *algorithm = json_get_string (jwt->header, "alg");
  bool pss = algorithm && strcmp (algorithm, "PS256") == 0;
  EVP_MD_CTX *context;
  EVP_PKEY_CTX *key_context;
  bool good;

  if (!algorithm || (!pss && strcmp (algorithm, "RS256") != 0)
      || EVP_PKEY_get_base_id (key) != EVP_PKEY_RSA)
    return false;
  context = EVP_MD_CTX_new ();
  good = context && EVP_DigestVerifyInit (context, &key_context, EVP_sha256 (), NULL, key) == 1
         && (!pss || set_pss (key_context) == 0)
         && EVP_DigestVerify (context, jwt->signature, jwt->signature_size,
                              (const unsigned char *)jwt->text, jwt->signed_size)
                == 1;
  EVP_MD_CTX_free (context);
  ERR_clear_error ();
  return good;
}

bool
jwt_is_current (const struct jwt *jwt, int64_t now_s)
{
  uint64_t nbf = 0, exp;

  if (json_get_uint64 (jwt->claims, "exp", &exp) < 0 || now_s < 0 || exp <= (uint64_t)now_s)
    return false;
  if (!json_get (jwt->claims, "nbf"))
    return true;
  return json_get_uint64 (jwt->claims, "nbf", &nbf) == 0 && nbf <= (uint64_t)now_s + LEEWAY_S;
}

/* ---- making -----------------------------------------------------------------------------------
 */

static char *
sign_text (EVP_PKEY *key, const char *text)
{
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  uint8_t signature[1024];
  size_t size = sizeof signature;
  char *encoded = NULL;

  if (context && EVP_DigestSignInit (context, NULL, EVP_sha256 (), NULL, key) == 1
      && EVP_DigestSign (context, signature, &size, (const unsigned char *)text, strlen (text))
             == 1)
    encoded = base64url_encode (signature, size);
  EVP_MD_CTX_free (context);
  return encoded;
}

static char *
encode_json (const struct json *json)
{
  CLEANUP_FREE
  char *text = json_print (json, false);

  return text ? base64url_encode ((const uint8_t *)text, strlen (text)) : NULL;
}

char *
jwt_sign (EVP_PKEY *key, const char *key_id, const struct json *claims)
{
  CLEANUP_JSON struct json *header = json_object_new ();
  CLEANUP_FREE
  char *first = NULL;
  CLEANUP_FREE
  char *second = encode_json (claims);
  CLEANUP_FREE
  char *text = NULL;
  CLEANUP_FREE
  char *signature = NULL;
  char *token;

  if (!header)
    abort ();
  json_set_string (header, "typ", "JWT");
  json_set_string (header, "alg", "RS256");
  json_set_string (header, "kid", key_id);
  first = encode_json (header);
  if (!first || !second || asprintf (&text, "%s.%s", first, second) < 0)
    return NULL;
  signature = sign_text (key, text);
  if (!signature || asprintf (&token, "%s.%s", text, signature) < 0)
    return NULL;
  return token;
}
