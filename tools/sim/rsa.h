/* RSA key pairs of both clouds, by OpenSSL. */
#ifndef SIM_RSA_H
#define SIM_RSA_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/bio.h>
#include <openssl/evp.h>

#include "common/cleanup.h"

#define RSA_BYTES_MAX 512 /* 4096 bits */

/* A new private key as PEM text on the heap; `bits` is "2048", "3072" or "4096", else NULL. */
char *rsa_new_pem (const char *bits) MUST_CHECK;

/* What a memory BIO holds, as a new string. */
char *bio_text (BIO *bio) MUST_CHECK;

EVP_PKEY *rsa_from_pem (const char *pem) MUST_CHECK;
void cleanup_pkey (EVP_PKEY **key);
#define CLEANUP_PKEY CLEANUP (cleanup_pkey)

enum rsa_padding { RSA_PAD_OAEP_SHA1, RSA_PAD_OAEP_SHA256, RSA_PAD_PKCS1 };

/* `ret` has RSA_BYTES_MAX bytes.  -1: too long, or (decrypting) not what was encrypted. */
int rsa_encrypt (EVP_PKEY *key, enum rsa_padding padding, const uint8_t *in, size_t size,
                 uint8_t *ret, size_t *ret_size) MUST_CHECK;
int rsa_decrypt (EVP_PKEY *key, enum rsa_padding padding, const uint8_t *in, size_t size,
                 uint8_t *ret, size_t *ret_size) MUST_CHECK;

/* Modulus ("n") or exponent ("e"), big endian, into RSA_BYTES_MAX bytes. */
size_t rsa_number (EVP_PKEY *key, const char *which, uint8_t *ret);

#endif
