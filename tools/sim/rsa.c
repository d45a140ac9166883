/* rsa.c owns RSA: new keys, OAEP, numbers. */
#include "tools/sim/rsa.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

void
cleanup_pkey (EVP_PKEY **key)
{
  EVP_PKEY_free (*key);
}

char *
bio_text (BIO *bio)
{
  char *data, *text;
  long size = BIO_get_mem_data (bio, &data);

  text = malloc ((size_t)size + 1);
  if (text) {
    memcpy (text, data, (size_t)size); /* it has no NUL of its own */
    text[size] = '\0';
  }
  return text;
}

static char *
to_pem (EVP_PKEY *key)
{
  BIO *bio = BIO_new (BIO_s_mem ());
  char *pem = NULL;

  if (bio && PEM_write_bio_PKCS8PrivateKey (bio, key, NULL, NULL, 0, NULL, NULL) == 1)
    pem = bio_text (bio);
  BIO_free (bio);
  return pem;
}

char *
rsa_new_pem (const char *bits)
{
  static const unsigned sizes[] = {2048, 3072, 4096};
  static const char *const names[] = {"2048", "3072", "4096"};

  for (size_t i = 0; i < 3; i++)
    if (strcmp (bits, names[i]) == 0) {
      CLEANUP_PKEY EVP_PKEY *key = EVP_RSA_gen (sizes[i]);

      return key ? to_pem (key) : NULL;
    }
  return NULL;
}

EVP_PKEY *
rsa_from_pem (const char *pem)
{
  BIO *bio = BIO_new_mem_buf (pem, -1);
  EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey (bio, NULL, NULL, NULL) : NULL;

  BIO_free (bio);
  return key;
}

static int
set_padding (EVP_PKEY_CTX *context, enum rsa_padding padding)
{
  if (padding == RSA_PAD_PKCS1)
    return EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_PADDING) > 0 ? 0 : -1;
  if (EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_OAEP_PADDING) <= 0)
    return -1;
  if (padding == RSA_PAD_OAEP_SHA256
      && (EVP_PKEY_CTX_set_rsa_oaep_md (context, EVP_sha256 ()) <= 0
          || EVP_PKEY_CTX_set_rsa_mgf1_md (context, EVP_sha256 ()) <= 0))
    return -1;
  return 0;
}

typedef int init_function (EVP_PKEY_CTX *context);
typedef int cipher_function (EVP_PKEY_CTX *context, unsigned char *out, size_t *out_size,
                             const unsigned char *in, size_t size);

static int
run_cipher (EVP_PKEY *key, init_function *init, cipher_function *function, enum rsa_padding padding,
            const uint8_t *in, size_t size, uint8_t *ret, size_t *ret_size)
{
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new (key, NULL);
  size_t out_size = RSA_BYTES_MAX;
  int r = -1;

  if (context && init (context) > 0 && set_padding (context, padding) == 0
      && function (context, ret, &out_size, in, size) > 0) {
    *ret_size = out_size;
    r = 0;
  }
  EVP_PKEY_CTX_free (context);
  ERR_clear_error ();
  return r;
}

int
rsa_encrypt (EVP_PKEY *key, enum rsa_padding padding, const uint8_t *in, size_t size, uint8_t *ret,
             size_t *ret_size)
{
  return run_cipher (key, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, padding, in, size, ret,
                     ret_size);
}

int
rsa_decrypt (EVP_PKEY *key, enum rsa_padding padding, const uint8_t *in, size_t size, uint8_t *ret,
             size_t *ret_size)
{
  return run_cipher (key, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, padding, in, size, ret,
                     ret_size);
}

size_t
rsa_number (EVP_PKEY *key, const char *which, uint8_t *ret)
{
  BIGNUM *number = NULL;
  size_t size = 0;

  if (EVP_PKEY_get_bn_param (key, *which == 'n' ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_RSA_E,
                             &number)
          == 1
      && BN_num_bytes (number) <= RSA_BYTES_MAX)
    size = (size_t)BN_bn2bin (number, ret);
  BN_free (number);
  return size;
}
