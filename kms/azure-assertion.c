/* azure-assertion.c owns the making of client assertions. */
#include "kms/azure-assertion.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "kms/secret-text.h"

#define JWT_MAX ((size_t)16 * 1024)
#define SIGNATURE_MAX 1024 /* RSA up to 8192 bits */

#define CLEANUP_DIGEST CLEANUP (cleanup_digest)

static void
cleanup_digest (EVP_MD_CTX **ctx)
{
  EVP_MD_CTX_free (*ctx);
}

static void
add_part (struct secret_text *jwt, const struct secret_text *json)
{
  const char *text = secret_text_get (json);

  if (text)
    secret_text_add_base64 (jwt, (const uint8_t *)text, json->length, BASE64_URL);
  jwt->failed |= !text;
}

/* ---- the header ---- */

/* x5c has standard base64, unlike everything else here (RFC 7515, section 4.1.6). */
static void
add_chain (struct secret_text *json, X509 *leaf)
{
  unsigned char *der = NULL;
  int size = i2d_X509 (leaf, &der);

  if (size > 0) {
    secret_text_add (json, ",\"x5c\":[\"");
    secret_text_add_base64 (json, der, (size_t)size, BASE64_STANDARD);
    secret_text_add (json, "\"]");
  }
  json->failed |= size <= 0;
  OPENSSL_free (der);
}

static void
add_header (struct secret_text *json, X509 *leaf, bool with_chain)
{
  uint8_t digest[SHA256_DIGEST_LENGTH];

  if (X509_digest (leaf, EVP_sha256 (), digest, NULL) != 1)
    json->failed = true;
  secret_text_add (json, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"");
  secret_text_add_base64 (json, digest, sizeof digest, BASE64_URL);
  secret_text_add (json, "\"");
  if (with_chain)
    add_chain (json, leaf);
  secret_text_add (json, "}");
}

/* ---- the claims ---- */

static void
add_claim (struct secret_text *json, const char *name, const char *value)
{
  secret_text_add (json, json->length ? "," : "{");
  secret_text_add_json (json, name);
  secret_text_add (json, ":");
  secret_text_add_json (json, value);
}

static void
add_time (struct secret_text *json, const char *name, int64_t time_s)
{
  char text[64];

  snprintf (text, sizeof text, ",\"%s\":%" PRId64, name, time_s);
  secret_text_add (json, text);
}

static void
add_claims (struct secret_text *json, const char *client_id, const char *audience, const char *jti,
            int64_t now_s)
{
  add_claim (json, "aud", audience);
  add_claim (json, "iss", client_id);
  add_claim (json, "sub", client_id);
  add_claim (json, "jti", jti);
  add_time (json, "iat", now_s);
  add_time (json, "nbf", now_s);
  add_time (json, "exp", now_s + AZURE_ASSERTION_LIFETIME_S);
  secret_text_add (json, "}");
}

/* ---- the signature ---- */

/* PS256: RSASSA-PSS with SHA-256, MGF1 with SHA-256, a salt of 32 bytes (RFC 7518, section 3.5). */
static int
sign (EVP_PKEY *key, const char *text, size_t size, uint8_t signature[SIGNATURE_MAX],
      size_t *ret_size)
{
  CLEANUP_DIGEST EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  EVP_PKEY_CTX *settings; /* the context's own */
  size_t signature_size = SIGNATURE_MAX;

  if (!ctx || EVP_DigestSignInit (ctx, &settings, EVP_sha256 (), NULL, key) != 1
      || EVP_PKEY_CTX_set_rsa_padding (settings, RSA_PKCS1_PSS_PADDING) <= 0
      || EVP_PKEY_CTX_set_rsa_pss_saltlen (settings, RSA_PSS_SALTLEN_DIGEST) <= 0
      || EVP_DigestSign (ctx, signature, &signature_size, (const uint8_t *)text, size) != 1)
    return -1;
  *ret_size = signature_size;
  return 0;
}

static int
add_signature (EVP_PKEY *key, struct secret_text *jwt)
{
  uint8_t signature[SIGNATURE_MAX];
  const char *text = secret_text_get (jwt);
  size_t size;

  if (!text || sign (key, text, jwt->length, signature, &size) < 0)
    return -1;
  secret_text_add (jwt, ".");
  secret_text_add_base64 (jwt, signature, size, BASE64_URL);
  return secret_text_get (jwt) ? 0 : -1;
}

int
azure_assertion (const struct azure_certificate *certificate, bool with_chain,
                 const char *client_id, const char *audience, const char *jti, int64_t now_s,
                 struct secret *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET_TEXT struct secret_text header = {0}, claims = {0}, jwt = {0};

  if (secret_text_init (&header, JWT_MAX) < 0 || secret_text_init (&claims, JWT_MAX) < 0
      || secret_text_init (&jwt, 3 * JWT_MAX) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  add_header (&header, certificate->leaf, with_chain);
  add_claims (&claims, client_id, audience, jti, now_s);
  add_part (&jwt, &header);
  secret_text_add (&jwt, ".");
  add_part (&jwt, &claims);
  if (add_signature (certificate->key, &jwt) < 0) {
    ERR_clear_error ();
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_certificate",
                            "no assertion can be signed with the certificate's key");
  }
  jwt.memory.size = jwt.length + 1;
  secret_take (ret, &jwt.memory);
  return 0;
}
