/* provider-file.c owns keys that are files, and their algorithm "HKDF-SHA256+A256KW":
 *
 *   wrapping key = HKDF-SHA-256 (RFC 5869; key material = KEK, salt = uuid of the volume in 36
 *                  ASCII characters, info = "keyfence file wrap v1"), 32 bytes
 *   wrap         = AES-256 key wrap with its default IV (RFC 3394), 8 bytes longer than the plain
 *   key version  = first 16 hex digits of HMAC-SHA-256 (KEK, "keyfence file kek id")
 *
 * so that a wrap opens for one volume only, another KEK is told from a damaged wrap, and everything
 * can be redone with the openssl command (keyfence-volume(7)).
 */
#include "kms/provider.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "common/encode.h"
#include "kms/file-kek.h"
#include "kms/file-uri.h"

#define ALGORITHM "HKDF-SHA256+A256KW"
#define WRAP_INFO "keyfence file wrap v1"
#define ID_INFO "keyfence file kek id"
#define WRAPPING_KEY_SIZE 32
#define WRAP_OVERHEAD 8
#define ID_SIZE 8

#define CLEANUP_KDF CLEANUP (cleanup_kdf)
#define CLEANUP_CIPHER CLEANUP (cleanup_cipher)

static void
cleanup_kdf (EVP_KDF_CTX **ctx)
{
  EVP_KDF_CTX_free (*ctx);
}

static void
cleanup_cipher (EVP_CIPHER_CTX **ctx)
{
  EVP_CIPHER_CTX_free (*ctx);
}

static int
library_failed (struct kms_outcome *outcome, const char *what)
{
  ERR_clear_error ();
  return kms_outcome_set (outcome, KMS_OUTAGE, "crypto_error", "OpenSSL failed to %s", what);
}

/* ---- the algorithm ---- */

static int
kek_id (const struct secret *kek, char ret_id[2 * ID_SIZE + 1])
{
  uint8_t mac[32];
  size_t size;

  if (!EVP_Q_mac (NULL, "HMAC", NULL, "SHA256", NULL, kek->bytes, kek->size,
                  (const unsigned char *)ID_INFO, strlen (ID_INFO), mac, sizeof mac, &size))
    return -1;
  hex_encode (mac, ID_SIZE, ret_id);
  return 0;
}

static int
hkdf (const struct secret *kek, const char *volume, struct secret *ret_key)
{
  EVP_KDF *kdf = EVP_KDF_fetch (NULL, "HKDF", NULL);
  CLEANUP_KDF EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new (kdf) : NULL;
  OSSL_PARAM params[] = {
      OSSL_PARAM_utf8_string (OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
      OSSL_PARAM_octet_string (OSSL_KDF_PARAM_KEY, kek->bytes, kek->size),
      OSSL_PARAM_octet_string (OSSL_KDF_PARAM_SALT, (char *)(uintptr_t)volume, strlen (volume)),
      OSSL_PARAM_octet_string (OSSL_KDF_PARAM_INFO, (char *)(uintptr_t)WRAP_INFO,
                               strlen (WRAP_INFO)),
      OSSL_PARAM_END,
  };

  EVP_KDF_free (kdf); /* the context holds a reference */
  return ctx && EVP_KDF_derive (ctx, ret_key->bytes, ret_key->size, params) == 1 ? 0 : -1;
}

static int
wrapping_key (const struct secret *kek, const char *volume, struct secret *ret_key,
              struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret key = {0};
  struct error err;

  if (secret_init (&key, WRAPPING_KEY_SIZE, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  if (hkdf (kek, volume, &key) < 0)
    return library_failed (outcome, "derive the wrapping key");
  secret_take (ret_key, &key);
  return 0;
}

/* A keyed context for one wrap or unwrap, or NULL. */
static EVP_CIPHER_CTX *
a256kw_new (const struct secret *key, bool wrap)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new ();

  if (!ctx)
    return NULL;
  EVP_CIPHER_CTX_set_flags (ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (EVP_CipherInit_ex (ctx, EVP_aes_256_wrap (), NULL, key->bytes, NULL, wrap) == 1)
    return ctx;
  EVP_CIPHER_CTX_free (ctx);
  return NULL;
}

static int
a256kw_wrap (const struct secret *key, const struct secret *plain, struct kms_wrapped *wrapped)
{
  CLEANUP_CIPHER EVP_CIPHER_CTX *ctx = a256kw_new (key, true);
  int size = 0;

  if (!ctx
      || EVP_CipherUpdate (ctx, wrapped->blob.bytes, &size, plain->bytes, (int)plain->size) != 1
      || (size_t)size != plain->size + WRAP_OVERHEAD)
    return -1;
  wrapped->blob.size = (size_t)size;
  return 0;
}

/* 1 opened, 0 the wrap is not by this key or damaged, -1 the library failed. */
static int
a256kw_unwrap (const struct secret *key, const struct wrap_blob *blob, struct secret *plain)
{
  CLEANUP_CIPHER EVP_CIPHER_CTX *ctx = a256kw_new (key, false);
  int size = 0;

  if (!ctx)
    return -1;
  return EVP_CipherUpdate (ctx, plain->bytes, &size, blob->bytes, (int)blob->size) == 1
         && (size_t)size == plain->size;
}

/* ---- the provider ---- */

static bool
file_owns (const char *key)
{
  char path[WRAP_KEY_MAX];

  return file_uri_path (key, path) == 0;
}

/* Opens, judges and reads the KEK; gives the id it has and the wrapping key for the volume. */
static int
load (const struct kms_request *request, enum file_kek_use use, char ret_id[2 * ID_SIZE + 1],
      struct secret *ret_key, struct kms_outcome *outcome)
{
  CLEANUP_FILE_KEK struct file_kek file = FILE_KEK_CLOSED;
  CLEANUP_SECRET struct secret kek = {0};

  if (file_kek_open (request->key, use, &file, outcome) < 0 || file_kek_judge (&file, outcome) < 0
      || file_kek_read (&file, &kek, outcome) < 0)
    return -1;
  if (use == FILE_KEK_NEW_WRAP && file_kek_is_weak (&kek))
    return kms_outcome_set (outcome, KMS_DENIED, "bad_key",
                            "%.200s holds one byte 32 times over, which is no key: fill it with "
                            "32 random bytes",
                            file.path);
  if (kek_id (&kek, ret_id) < 0)
    return library_failed (outcome, "identify the key");
  return wrapping_key (&kek, request->volume, ret_key, outcome);
}

static int
file_wrap (const struct kms_request *request, const struct secret *plain,
           struct kms_wrapped *ret_wrapped, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_FREE struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  char id[2 * ID_SIZE + 1];

  if (!wrapped)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  if (load (request, FILE_KEK_NEW_WRAP, id, &key, outcome) < 0)
    return -1;
  if (a256kw_wrap (&key, plain, wrapped) < 0)
    return library_failed (outcome, "wrap the key");
  snprintf (wrapped->key, sizeof wrapped->key, "%s", request->key);
  snprintf (wrapped->key_version, sizeof wrapped->key_version, "%s", id);
  snprintf (wrapped->algorithm, sizeof wrapped->algorithm, "%s", ALGORITHM);
  *ret_wrapped = *wrapped;
  return kms_outcome_set (outcome, KMS_OK, "", "%s", "");
}

static int
bad_wrap (const struct kms_request *request, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_CORRUPT, "bad_wrap",
                          "the right key (%.150s) doesn't open this wrap: it is damaged, or made "
                          "for another volume than %.36s; restore a backup of the header",
                          request->key, request->volume);
}

static int
open_blob (const struct kms_request *request, const struct secret *key,
           const struct wrap_blob *blob, struct secret *plain, struct kms_outcome *outcome)
{
  int r = a256kw_unwrap (key, blob, plain);

  if (r < 0)
    return library_failed (outcome, "unwrap the key");
  ERR_clear_error ();
  return r == 1 ? kms_outcome_set (outcome, KMS_OK, "", "%s", "") : bad_wrap (request, outcome);
}

static int
file_unwrap (const struct kms_request *request, const struct wrap *wrap,
             const struct wrap_blob *blob, size_t plain_size, struct secret *ret_plain,
             struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret key = {0}, plain = {0};
  char id[2 * ID_SIZE + 1];
  struct error err;

  if (strcmp (wrap->algorithm, ALGORITHM) != 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_algorithm",
                            "the wrap's algorithm is \"%s\", where file keys have " ALGORITHM
                            ": use the version of keyfence that made it",
                            wrap->algorithm);
  if (load (request, FILE_KEK_OLD_WRAP, id, &key, outcome) < 0)
    return -1;
  if (strcmp (wrap->key_version, id) != 0)
    return kms_outcome_set (outcome, KMS_DENIED, "wrong_key",
                            "%.150s holds another key (%s) than the one that wrapped this volume's "
                            "key (%.32s): put that one back",
                            request->key, id, wrap->key_version);
  if (blob->size != plain_size + WRAP_OVERHEAD)
    return bad_wrap (request, outcome);
  if (secret_init (&plain, plain_size, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  if (open_blob (request, &key, blob, &plain, outcome) < 0)
    return -1;
  secret_take (ret_plain, &plain);
  return 0;
}

/* ---- inspection ---- */

/* False when what else could be found out is no longer of interest. */
static bool
inspect_strength (const struct file_kek *file, struct kms_report *report)
{
  CLEANUP_SECRET struct secret kek = {0};
  struct kms_outcome outcome = {0};

  if (file_kek_read (file, &kek, &outcome) < 0)
    kms_report_add_outcome (report, KMS_FAIL, "readable", NULL, &outcome);
  else if (file_kek_is_weak (&kek))
    kms_report_add (report, KMS_FAIL, "not a weak value",
                    "fill it with 32 bytes of /dev/urandom, before any volume uses it",
                    "one byte, 32 times over");
  else {
    kms_report_add (report, KMS_PASS, "not a weak value", NULL, "its bytes differ");
    return true;
  }
  return false;
}

static void
inspect_missing (const struct kms_request *request, const struct kms_outcome *outcome,
                 struct kms_report *report)
{
  char path[WRAP_KEY_MAX], command[256] = "";

  if (strcmp (outcome->reason, "not_found") != 0 || file_uri_path (request->key, path) < 0) {
    kms_report_add_outcome (report, KMS_FAIL, "exists", NULL, outcome);
    return;
  }
  file_kek_advise (path, command, sizeof command);
  kms_report_add (report, KMS_FAIL, "exists", command, "there is no file %.200s", path);
}

/* Wraps and unwraps random bytes as long as a volume key, for a volume that can't exist. */
static int
round_trip (const struct kms_request *request, struct kms_outcome *outcome)
{
  struct kms_request trial = *request;
  CLEANUP_SECRET struct secret plain = {0}, again = {0};
  CLEANUP_FREE struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  CLEANUP_FREE struct wrap *wrap = calloc (1, sizeof *wrap);
  struct error err;

  trial.volume = "00000000-0000-0000-0000-000000000000";
  if (!wrapped || !wrap || secret_random (&plain, VOLUME_KEY_SIZE, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "no memory or no random bytes");
  if (file_wrap (&trial, &plain, wrapped, outcome) < 0)
    return -1;
  memcpy (wrap->key_version, wrapped->key_version, sizeof wrap->key_version);
  memcpy (wrap->algorithm, wrapped->algorithm, sizeof wrap->algorithm);
  if (file_unwrap (&trial, wrap, &wrapped->blob, plain.size, &again, outcome) < 0)
    return -1;
  return secret_equal (&plain, &again) ? 0 : bad_wrap (&trial, outcome);
}

static void
file_inspect (const struct kms_request *request, struct kms_report *report)
{
  CLEANUP_FILE_KEK struct file_kek file = FILE_KEK_CLOSED;
  struct kms_outcome outcome = {0};

  if (file_kek_open (request->key, FILE_KEK_NEW_WRAP, &file, &outcome) < 0) {
    inspect_missing (request, &outcome, report);
    return;
  }
  kms_report_add (report, KMS_PASS, "exists", NULL, "%s", file.path);
  file_kek_report (&file, report);
  if (file_kek_judge (&file, &outcome) < 0 || !inspect_strength (&file, report))
    return;
  if (request->probe)
    kms_report_add_probe (report, request->volume, request->probe);
  if (request->run_only && request->probe)
    return;
  if (round_trip (request, &outcome) < 0)
    kms_report_add_outcome (report, KMS_FAIL, "wraps and unwraps", NULL, &outcome);
  else
    kms_report_add (report, KMS_PASS, "wraps and unwraps", NULL, "64 random bytes came back");
}

const struct kms_provider kms_provider_file = {
    .name = "file",
    .form = FILE_URI_FORM,
    .owns = file_owns,
    .wrap = file_wrap,
    .unwrap = file_unwrap,
    .generate = NULL,
    .inspect = file_inspect,
};
