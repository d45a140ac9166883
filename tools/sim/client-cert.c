/* client-cert.c owns making the demo application's certificate. */
#include "tools/sim/client-cert.h"

#include <fcntl.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/io.h"
#include "tools/sim/rsa.h"

#define VALID_S (10L * 365 * 86400)

static X509 *
make (EVP_PKEY *key)
{
  X509 *cert = X509_new ();
  X509_NAME *name = cert ? X509_get_subject_name (cert) : NULL;

  if (cert && X509_set_version (cert, X509_VERSION_3) == 1
      && ASN1_INTEGER_set (X509_get_serialNumber (cert), 1) == 1
      && X509_gmtime_adj (X509_getm_notBefore (cert), -86400)
      && X509_gmtime_adj (X509_getm_notAfter (cert), VALID_S)
      && X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_ASC,
                                     (const unsigned char *)"keyfence-kms-sim client", -1, -1, 0)
             == 1
      && X509_set_issuer_name (cert, name) == 1 && X509_set_pubkey (cert, key) == 1
      && X509_sign (cert, key, EVP_sha256 ()) > 0)
    return cert;
  X509_free (cert);
  return NULL;
}

static char *
to_pem (X509 *cert)
{
  BIO *bio = BIO_new (BIO_s_mem ());
  char *pem = NULL;

  if (bio && PEM_write_bio_X509 (bio, cert) == 1)
    pem = bio_text (bio);
  BIO_free (bio);
  return pem;
}

char *
client_cert_new (int dir_fd, const char *name)
{
  CLEANUP_FREE
  char *key_pem = rsa_new_pem ("2048");
  CLEANUP_PKEY EVP_PKEY *key = key_pem ? rsa_from_pem (key_pem) : NULL;
  X509 *cert = key ? make (key) : NULL;
  char *pem = cert ? to_pem (cert) : NULL;
  CLEANUP_CLOSE int fd =
      openat (dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

  X509_free (cert);
  if (pem && fd >= 0 && write_full (fd, key_pem, strlen (key_pem)) == 0
      && write_full (fd, pem, strlen (pem)) == 0)
    return pem;
  free (pem);
  return NULL;
}
