/* tls.c owns making the CA and the server's certificate. */
#include "tools/sim/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "common/io.h"

#define CERT_FILE "server-cert.pem"
#define KEY_FILE "server-key.pem"
#define FILE_MAX (64 * 1024)
#define VALID_S (10L * 365 * 86400)

static const char names[] =
    "DNS:localhost,DNS:*.localhost,DNS:*.vault.localhost,DNS:*.managedhsm.localhost,"
    "DNS:*.vault.azure.net,DNS:*.managedhsm.azure.net,IP:127.0.0.1,IP:::1";

/* ---- files ------------------------------------------------------------------------------------
 */

static char *
load (int dir_fd, const char *name)
{
  char path[64], *text = NULL;

  snprintf (path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, name);
  return read_file (path, FILE_MAX, &text, NULL) < 0 ? NULL : text;
}

static int
save (int dir_fd, const char *name, mode_t mode, BIO *bio, struct error *err)
{
  char *data;
  long size = BIO_get_mem_data (bio, &data);
  CLEANUP_CLOSE int fd = openat (dir_fd, "tls.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

  if (fd < 0 || fchmod (fd, mode) < 0 || write_full (fd, data, (size_t)size) < 0
      || renameat (dir_fd, "tls.new", dir_fd, name) < 0)
    return error_set_errno (err, errno, "can't write %s in the state folder", name);
  return 0;
}

/* ---- certificates -----------------------------------------------------------------------------
 */

static int
add_extension (X509 *cert, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX context;
  X509_EXTENSION *extension;
  int r;

  X509V3_set_ctx_nodb (&context);
  X509V3_set_ctx (&context, issuer, cert, NULL, NULL, 0);
  extension = X509V3_EXT_conf_nid (NULL, &context, nid, value);
  r = extension && X509_add_ext (cert, extension, -1) == 1 ? 0 : -1;
  X509_EXTENSION_free (extension);
  return r;
}

static int
fill_in (X509 *cert, EVP_PKEY *key, const char *common_name)
{
  X509_NAME *name = X509_get_subject_name (cert);
  uint8_t serial[8];

  if (RAND_bytes (serial, sizeof serial) != 1)
    return -1;
  serial[0] &= 0x7f;
  BIGNUM *number = BN_bin2bn (serial, sizeof serial, NULL);
  if (!number || !BN_to_ASN1_INTEGER (number, X509_get_serialNumber (cert))) {
    BN_free (number);
    return -1;
  }
  BN_free (number);
  if (X509_set_version (cert, X509_VERSION_3) != 1
      || !X509_gmtime_adj (X509_getm_notBefore (cert), -86400)
      || !X509_gmtime_adj (X509_getm_notAfter (cert), VALID_S)
      || X509_NAME_add_entry_by_txt (name, "O", MBSTRING_ASC,
                                     (const unsigned char *)"keyfence-kms-sim (for tests)", -1, -1,
                                     0)
             != 1
      || X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_ASC, (const unsigned char *)common_name,
                                     -1, -1, 0)
             != 1
      || X509_set_pubkey (cert, key) != 1)
    return -1;
  return 0;
}

static X509 *
make_ca (EVP_PKEY *key)
{
  X509 *ca = X509_new ();

  if (ca && fill_in (ca, key, "keyfence-kms-sim CA") == 0
      && X509_set_issuer_name (ca, X509_get_subject_name (ca)) == 1
      && add_extension (ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") == 0
      && add_extension (ca, ca, NID_key_usage, "critical,keyCertSign") == 0
      && add_extension (ca, ca, NID_subject_key_identifier, "hash") == 0
      && X509_sign (ca, key, EVP_sha256 ()) > 0)
    return ca;
  X509_free (ca);
  return NULL;
}

static X509 *
make_server (EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
  X509 *cert = X509_new ();

  if (cert && fill_in (cert, key, "localhost") == 0
      && X509_set_issuer_name (cert, X509_get_subject_name (ca)) == 1
      && add_extension (cert, ca, NID_basic_constraints, "critical,CA:FALSE") == 0
      && add_extension (cert, ca, NID_key_usage, "critical,digitalSignature") == 0
      && add_extension (cert, ca, NID_ext_key_usage, "serverAuth") == 0
      && add_extension (cert, ca, NID_subject_alt_name, names) == 0
      && add_extension (cert, ca, NID_subject_key_identifier, "hash") == 0
      && add_extension (cert, ca, NID_authority_key_identifier, "keyid") == 0
      && X509_sign (cert, ca_key, EVP_sha256 ()) > 0)
    return cert;
  X509_free (cert);
  return NULL;
}

static int
write_all (int dir_fd, X509 *ca, X509 *cert, EVP_PKEY *key, struct error *err)
{
  BIO *ca_bio = BIO_new (BIO_s_mem ()), *cert_bio = BIO_new (BIO_s_mem ()),
      *key_bio = BIO_new (BIO_s_mem ());
  int r = -1;

  if (!ca_bio || !cert_bio || !key_bio || PEM_write_bio_X509 (ca_bio, ca) != 1
      || PEM_write_bio_X509 (cert_bio, cert) != 1
      || PEM_write_bio_PKCS8PrivateKey (key_bio, key, NULL, NULL, 0, NULL, NULL) != 1)
    error_set (err, ERROR_SYSTEM, "OpenSSL can't write the certificates");
  else if (save (dir_fd, KEY_FILE, 0600, key_bio, err) == 0
           && save (dir_fd, TLS_CA_FILE, 0644, ca_bio, err) == 0
           && save (dir_fd, CERT_FILE, 0644, cert_bio, err) == 0)
    r = 0;
  BIO_free (ca_bio);
  BIO_free (cert_bio);
  BIO_free (key_bio);
  return r;
}

static int
make (int dir_fd, struct error *err)
{
  EVP_PKEY *ca_key = EVP_EC_gen ("P-256"), *key = EVP_EC_gen ("P-256");
  X509 *ca = ca_key ? make_ca (ca_key) : NULL;
  X509 *cert = ca && key ? make_server (key, ca, ca_key) : NULL;
  int r = cert ? write_all (dir_fd, ca, cert, key, err)
               : error_set (err, ERROR_SYSTEM, "OpenSSL can't make the certificates");

  X509_free (cert);
  X509_free (ca);
  EVP_PKEY_free (key);
  EVP_PKEY_free (ca_key);
  return r;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

static bool
is_valid (const char *cert_pem)
{
  BIO *bio = BIO_new_mem_buf (cert_pem, -1);
  X509 *cert = bio ? PEM_read_bio_X509 (bio, NULL, NULL, NULL) : NULL;
  bool valid = cert && X509_cmp_current_time (X509_get0_notAfter (cert)) > 0;

  X509_free (cert);
  BIO_free (bio);
  return valid;
}

int
tls_load (int dir_fd, char **ret_cert, char **ret_key, struct error *err)
{
  char *cert = load (dir_fd, CERT_FILE), *key = load (dir_fd, KEY_FILE);

  if (!cert || !key || !is_valid (cert)) {
    free (cert);
    free (key);
    if (make (dir_fd, err) < 0)
      return -1;
    cert = load (dir_fd, CERT_FILE);
    key = load (dir_fd, KEY_FILE);
  }
  if (!cert || !key) {
    free (cert);
    free (key);
    return error_set (err, ERROR_SYSTEM, "can't read the certificate in the state folder");
  }
  *ret_cert = cert;
  *ret_key = key;
  return 0;
}
