/* azure-certificate.c owns the reading of certificates with their private keys. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "kms/azure-assertion.h"

#define CLEANUP_BIO CLEANUP (cleanup_bio)

static void
cleanup_bio (BIO **bio)
{
  BIO_free (*bio);
}

void
azure_certificate_clear (struct azure_certificate *certificate)
{
  X509_free (certificate->leaf);
  EVP_PKEY_free (certificate->key);
  *certificate = (struct azure_certificate){0};
}

/* OpenSSL must not ask on a terminal. */
static int
give_password (char *buf, int size, int writing, void *password)
{
  size_t length = password ? strlen (password) : 0;

  (void)writing;
  if (length > (size_t)size)
    return -1;
  memcpy (buf, password ? password : "", length);
  return (int)length;
}

/* The certificate that fits the key, wherever in the file the two are. */
static void
load_pem (const struct secret *file, const char *password, struct azure_certificate *certificate)
{
  CLEANUP_BIO BIO *keys = BIO_new_mem_buf (file->bytes, (int)file->size - 1);
  CLEANUP_BIO BIO *leaves = BIO_new_mem_buf (file->bytes, (int)file->size - 1);
  X509 *leaf;

  if (!keys || !leaves)
    return;
  certificate->key =
      PEM_read_bio_PrivateKey (keys, NULL, give_password, (void *)(uintptr_t)password);
  while (certificate->key && !certificate->leaf
         && (leaf = PEM_read_bio_X509 (leaves, NULL, give_password, NULL))) {
    if (X509_check_private_key (leaf, certificate->key) == 1)
      certificate->leaf = leaf;
    else
      X509_free (leaf);
  }
}

static void
load_pkcs12 (const struct secret *file, const char *password, struct azure_certificate *certificate)
{
  CLEANUP_BIO BIO *bio = BIO_new_mem_buf (file->bytes, (int)file->size - 1);
  PKCS12 *store = bio ? d2i_PKCS12_bio (bio, NULL) : NULL;

  if (store && PKCS12_parse (store, password, &certificate->key, &certificate->leaf, NULL) != 1)
    *certificate = (struct azure_certificate){0};
  PKCS12_free (store);
}

static int
refuse (const char *name, const char *why, struct kms_outcome *outcome)
{
  ERR_clear_error ();
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_certificate",
                          "the certificate %.120s can't be used: %s", name, why);
}

int
azure_certificate_load (const char *name, const struct secret *file, const char *password,
                        struct azure_certificate *ret, struct kms_outcome *outcome)
{
  CLEANUP_AZURE_CERTIFICATE struct azure_certificate certificate = {0};

  if (memmem (file->bytes, file->size, "-----BEGIN ", 11))
    load_pem (file, password, &certificate);
  else
    load_pkcs12 (file, password, &certificate);
  if (!certificate.key)
    return refuse (name,
                   "there is no private key in it that AZURE_CLIENT_CERTIFICATE_PASSWORD opens "
                   "(PEM or PKCS #12; a very old PKCS #12 file must be exported anew)",
                   outcome);
  if (!certificate.leaf)
    return refuse (name, "there is no certificate in it that fits its private key", outcome);
  if (EVP_PKEY_get_base_id (certificate.key) != EVP_PKEY_RSA)
    return refuse (name, "its key is not RSA, which Entra wants", outcome);
  ERR_clear_error ();
  *ret = certificate;
  certificate = (struct azure_certificate){0};
  return 0;
}
