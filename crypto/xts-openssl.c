/* xts-openssl.c owns the OpenSSL back end: one EVP context a direction, of which only the IV
 * changes.
 *
 * Per sector there is one EVP_CipherInit_ex2 without cipher and key, which copies the IV, and one
 * EVP_CipherUpdate, which is one XTS data unit; nothing else, because a cipher or key given again
 * makes a new key schedule, and EVP_CIPHER_CTX_set_padding makes every init slower.
 */
#include "crypto/xts.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/xts-backend.h"

struct xts_context {
  EVP_CIPHER_CTX *encrypt, *decrypt;
};

/* Fetched by its full name, so that no per-sector call has to look it up; the contexts hold it. */
static EVP_CIPHER *
fetch_cipher (struct error *err)
{
  EVP_CIPHER *cipher = EVP_CIPHER_fetch (NULL, "AES-256-XTS", NULL);

  if (!cipher)
    error_set (err, ERROR_SYSTEM,
               "OpenSSL has no AES-256-XTS: check its configuration (openssl list "
               "-cipher-algorithms), or use crypto=gcrypt");
  ERR_clear_error ();
  return cipher;
}

static int
openssl_load (struct error *err)
{
  EVP_CIPHER *cipher = fetch_cipher (err);

  if (!cipher)
    return -1;
  EVP_CIPHER_free (cipher);
  return 0;
}

static EVP_CIPHER_CTX *
keyed_context (EVP_CIPHER *cipher, const struct secret *key, int encrypt)
{
  EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new ();

  if (evp && EVP_CipherInit_ex2 (evp, cipher, key->bytes, NULL, encrypt, NULL) != 1) {
    EVP_CIPHER_CTX_free (evp);
    evp = NULL;
  }
  return evp;
}

/* EVP_CIPHER_CTX_free wipes the key schedules. */
static void
openssl_context_free (struct xts_context *context)
{
  if (!context)
    return;
  EVP_CIPHER_CTX_free (context->encrypt);
  EVP_CIPHER_CTX_free (context->decrypt);
  free (context);
}

static struct xts_context *
openssl_context_new (const struct secret *key, struct error *err)
{
  struct xts_context *context;
  EVP_CIPHER *cipher;

  if (xts_check_key (key, err) < 0 || !(cipher = fetch_cipher (err)))
    return NULL;
  context = calloc (1, sizeof *context);
  if (context) {
    context->encrypt = keyed_context (cipher, key, 1);
    context->decrypt = keyed_context (cipher, key, 0);
  }
  EVP_CIPHER_free (cipher);
  if (context && context->encrypt && context->decrypt)
    return context;
  error_set (err, ERROR_SYSTEM, "OpenSSL made no AES-256-XTS context: out of memory?");
  ERR_clear_error ();
  openssl_context_free (context);
  return NULL;
}

static int
crypt_sectors (EVP_CIPHER_CTX *evp, uint64_t tweak, size_t sector_size, const uint8_t *in,
               uint8_t *out, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    uint8_t iv[XTS_TWEAK_SIZE];
    int written;

    xts_tweak_bytes (tweak, iv);
    if (EVP_CipherInit_ex2 (evp, NULL, NULL, iv, -1, NULL) != 1
        || EVP_CipherUpdate (evp, out, &written, in, (int)sector_size) != 1
        || written != (int)sector_size)
      return -1;
    tweak += sector_size / XTS_TWEAK_UNIT;
    in += sector_size;
    out += sector_size;
  }
  return 0;
}

static int
openssl_encrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                 const uint8_t *in, uint8_t *out, size_t count)
{
  return crypt_sectors (context->encrypt, first_tweak, sector_size, in, out, count);
}

static int
openssl_decrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                 const uint8_t *in, uint8_t *out, size_t count)
{
  return crypt_sectors (context->decrypt, first_tweak, sector_size, in, out, count);
}

/* OpenSSL's secure heap is not for cipher contexts: they lie on the ordinary heap. */
const struct xts_backend xts_openssl = {
    .name = "openssl",
    .locks_memory = false,
    .load = openssl_load,
    .context_new = openssl_context_new,
    .context_free = openssl_context_free,
    .encrypt = openssl_encrypt,
    .decrypt = openssl_decrypt,
};
