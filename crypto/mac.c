/* mac.c owns the computing of the header's MAC and of the volume key's LUKS2 digest. */
#include "crypto/mac.h"

#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define HKDF_INFO "keyfence header v1"

static int
derive (EVP_KDF_CTX *context, const struct secret *volume_key, const char *uuid,
        struct secret *mac_key)
{
  char hash[] = "SHA256", info[] = HKDF_INFO;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string (OSSL_KDF_PARAM_DIGEST, hash, 0),
      OSSL_PARAM_construct_octet_string (OSSL_KDF_PARAM_KEY, volume_key->bytes, volume_key->size),
      OSSL_PARAM_construct_octet_string (OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)uuid,
                                         strlen (uuid)),
      OSSL_PARAM_construct_octet_string (OSSL_KDF_PARAM_INFO, info, sizeof info - 1),
      OSSL_PARAM_construct_end ()};

  return EVP_KDF_derive (context, mac_key->bytes, mac_key->size, params) == 1 ? 0 : -1;
}

static int
hkdf (const struct secret *volume_key, const char *uuid, struct secret *mac_key)
{
  EVP_KDF *kdf = EVP_KDF_fetch (NULL, "HKDF", NULL);
  EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new (kdf) : NULL;
  int r = context ? derive (context, volume_key, uuid, mac_key) : -1;

  EVP_KDF_CTX_free (context);
  EVP_KDF_free (kdf);
  return r;
}

int
mac_compute (const struct secret *volume_key, const char *uuid, const uint8_t *bytes, size_t size,
             uint8_t ret_mac[MAC_SIZE], struct error *err)
{
  CLEANUP_SECRET struct secret mac_key = {0};
  uint8_t mac[MAC_SIZE];
  unsigned got = 0;

  if (secret_init (&mac_key, MAC_SIZE, err) < 0)
    return -1;
  if (hkdf (volume_key, uuid, &mac_key) < 0
      || !HMAC (EVP_sha256 (), mac_key.bytes, (int)mac_key.size, bytes, size, mac, &got)
      || got != MAC_SIZE)
    return error_set (err, ERROR_SYSTEM, "OpenSSL can't compute HKDF or HMAC with SHA-256");
  memcpy (ret_mac, mac, MAC_SIZE);
  return 0;
}

bool
mac_equal (const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE])
{
  return CRYPTO_memcmp (a, b, MAC_SIZE) == 0;
}

int
mac_digest_matches (const struct secret *volume_key, const struct profile_digest *digest,
                    bool *ret_matches, struct error *err)
{
  const EVP_MD *hash = EVP_get_digestbyname (digest->hash);
  uint8_t found[PROFILE_DIGEST_MAX];

  if (!hash || digest->size > sizeof found || digest->iterations > INT_MAX
      || PKCS5_PBKDF2_HMAC ((const char *)volume_key->bytes, (int)volume_key->size, digest->salt,
                            sizeof digest->salt, (int)digest->iterations, hash, (int)digest->size,
                            found)
             != 1)
    return error_set (err, ERROR_SYSTEM, "OpenSSL can't compute PBKDF2 with %s", digest->hash);
  *ret_matches = CRYPTO_memcmp (found, digest->bytes, digest->size) == 0;
  return 0;
}
