/* Client certificates: how they are read, and the assertions they sign. */
#include "tests/unit/azure-http.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>

#include "kms/azure-assertion.h"
#include "kms/azure-credential.h"
#include "kms/azure-file.h"
#include "tests/unit/azure-folder.h"

#define TOKEN_URL "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token"
#define TOKEN "{\"access_token\":\"t1\",\"expires_in\":3600}"

static EVP_PKEY *test_key;
static X509 *test_leaf;

static int
make_certificate (void)
{
  X509_NAME *name;

  test_key = EVP_RSA_gen (2048);
  test_leaf = X509_new ();
  if (!test_key || !test_leaf)
    return -1;
  ASN1_INTEGER_set (X509_get_serialNumber (test_leaf), 1);
  X509_gmtime_adj (X509_getm_notBefore (test_leaf), 0);
  X509_gmtime_adj (X509_getm_notAfter (test_leaf), 3600);
  X509_set_pubkey (test_leaf, test_key);
  name = X509_get_subject_name (test_leaf);
  X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_ASC, (const uint8_t *)"test", -1, -1, 0);
  X509_set_issuer_name (test_leaf, name);
  return X509_sign (test_leaf, test_key, EVP_sha256 ()) > 0 ? 0 : -1;
}

static const char *
write_bio (const char *name, BIO *bio)
{
  char *bytes;
  long size = BIO_get_mem_data (bio, &bytes);
  const char *path = write_file (name, bytes, (size_t)size);

  BIO_free (bio);
  return path;
}

static const char *
write_pem (const char *name, X509 *leaf, const char *password)
{
  BIO *bio = BIO_new (BIO_s_mem ());

  if (leaf)
    PEM_write_bio_X509 (bio, leaf);
  PEM_write_bio_PKCS8PrivateKey (bio, test_key, password ? EVP_aes_256_cbc () : NULL, password,
                                 password ? (int)strlen (password) : 0, NULL, NULL);
  return write_bio (name, bio);
}

static const char *
write_pfx (const char *name, const char *password)
{
  PKCS12 *store = PKCS12_create (password, "test", test_key, test_leaf, NULL, 0, 0, 0, 0, 0);
  BIO *bio = BIO_new (BIO_s_mem ());

  i2d_PKCS12_bio (bio, store);
  PKCS12_free (store);
  return write_bio (name, bio);
}

static int
load (const char *path, const char *password, struct azure_certificate *ret,
      struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret file = {0};

  *outcome = (struct kms_outcome){0};
  if (azure_read_file (path, 65536, &file, outcome) < 0)
    return -1;
  return azure_certificate_load (path, &file, password, ret, outcome);
}

static void
certificates_come_as_pem_or_pkcs12_with_or_without_password (void **state)
{
  struct azure_certificate certificate;
  struct kms_outcome outcome;
  const struct {
    const char *path, *password;
  } good[] = {{strdupa (write_pem ("a.pem", test_leaf, NULL)), NULL},
              {strdupa (write_pem ("b.pem", test_leaf, "pw")), "pw"},
              {strdupa (write_pfx ("c.pfx", "pw")), "pw"},
              {strdupa (write_pfx ("d.pfx", "")), NULL}};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (good); i++) {
    if (load (good[i].path, good[i].password, &certificate, &outcome) < 0)
      fail_msg ("%s: %s", good[i].path, outcome.text);
    assert_int_equal (X509_cmp (certificate.leaf, test_leaf), 0);
    azure_certificate_clear (&certificate);
  }
  assert_int_equal (load (good[1].path, "wrong", &certificate, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "bad_certificate");
  assert_int_equal (load (good[2].path, "wrong", &certificate, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "bad_certificate");
  assert_int_equal (load (write_pem ("e.pem", NULL, NULL), NULL, &certificate, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "bad_certificate");
  assert_non_null (strstr (outcome.text, "no certificate"));
  assert_int_equal (load (write_file ("f", "rubbish", 7), NULL, &certificate, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "bad_certificate");
}

/* The signature as RFC 7518 has PS256, by OpenSSL's verification. */
static void
assert_signed (const char *jwt)
{
  const char *dot = strrchr (jwt, '.');
  CLEANUP_SECRET struct secret signature = {0};
  EVP_MD_CTX *ctx = EVP_MD_CTX_new ();
  EVP_PKEY_CTX *settings;

  assert_int_equal (secret_base64_decode (dot + 1, strlen (dot + 1), BASE64_URL, &signature), 0);
  assert_int_equal (
      EVP_DigestVerifyInit (ctx, &settings, EVP_sha256 (), NULL, X509_get0_pubkey (test_leaf)), 1);
  EVP_PKEY_CTX_set_rsa_padding (settings, RSA_PKCS1_PSS_PADDING);
  EVP_PKEY_CTX_set_rsa_pss_saltlen (settings, 32);
  assert_int_equal (EVP_DigestVerify (ctx, signature.bytes, signature.size, (const uint8_t *)jwt,
                                      (size_t)(dot - jwt)),
                    1);
  EVP_MD_CTX_free (ctx);
}

static void
decode_part (const char *part, char *ret, size_t max)
{
  CLEANUP_SECRET struct secret bytes = {0};

  assert_int_equal (secret_base64_decode (part, strcspn (part, "."), BASE64_URL, &bytes), 0);
  assert_true (bytes.size < max);
  memcpy (ret, bytes.bytes, bytes.size);
  ret[bytes.size] = '\0';
}

static void
an_assertion_is_what_entra_expects (void **state)
{
  CLEANUP_SECRET struct secret jwt = {0};
  const struct azure_certificate certificate = {test_leaf, test_key};
  struct kms_outcome outcome = {0};
  uint8_t digest[32];
  char header[8000], claims[2000], expected[2000], thumbprint[60];
  CLEANUP_SECRET_TEXT struct secret_text base64 = {0};

  (void)state;
  assert_int_equal (
      azure_assertion (&certificate, false, CLIENT, TOKEN_URL, "jti-1", 1700000000, &jwt, &outcome),
      0);
  assert_signed ((const char *)jwt.bytes);
  decode_part ((const char *)jwt.bytes, header, sizeof header);
  decode_part (strchr ((const char *)jwt.bytes, '.') + 1, claims, sizeof claims);
  X509_digest (test_leaf, EVP_sha256 (), digest, NULL);
  assert_int_equal (secret_text_init (&base64, 100), 0);
  secret_text_add_base64 (&base64, digest, 32, BASE64_URL);
  snprintf (thumbprint, sizeof thumbprint, "%s", secret_text_get (&base64));
  snprintf (expected, sizeof expected, "{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"%s\"}",
            thumbprint);
  assert_string_equal (header, expected);
  assert_string_equal (claims, "{\"aud\":\"" TOKEN_URL "\",\"iss\":\"" CLIENT "\",\"sub\":\"" CLIENT
                               "\",\"jti\":\"jti-1\",\"iat\":1700000000,\"nbf\":1700000000,"
                               "\"exp\":1700000600}");
}

static void
a_certificates_assertion_is_sent_with_its_chain_on_request (void **state)
{
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  const struct azure_need need = {.resource = "https://vault.azure.net",
                                  .authority = "https://login.microsoftonline.com",
                                  .tenant = TENANT,
                                  .deadline_ms = fake_ms + 5000};
  struct kms_outcome outcome = {0};
  char header[8000];
  const char *assertion;

  (void)state;
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_CLIENT_CERTIFICATE_PATH", write_pfx ("g.pfx", "pw"), 1);
  setenv ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "pw", 1);
  PLAY ({TOKEN_URL, 200, TOKEN});
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), 0);
  azure_token_clear (&token);
  assertion = strstr (seen[0].body, "&client_assertion=") + strlen ("&client_assertion=");
  assert_signed (assertion);
  decode_part (assertion, header, sizeof header);
  assert_null (strstr (header, "x5c"));
  setenv ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true", 1);
  PLAY ({TOKEN_URL, 200, TOKEN});
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), 0);
  decode_part (strstr (seen[0].body, "&client_assertion=") + strlen ("&client_assertion="), header,
               sizeof header);
  assert_non_null (strstr (header, "\"x5c\":[\"MII"));
}

static int
set_up_all (void **state)
{
  return make_dir (state) < 0 || make_certificate () < 0 ? -1 : 0;
}

static int
tear_down_all (void **state)
{
  X509_free (test_leaf);
  EVP_PKEY_free (test_key);
  return remove_dir (state);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      PLAYED_TEST (certificates_come_as_pem_or_pkcs12_with_or_without_password),
      PLAYED_TEST (an_assertion_is_what_entra_expects),
      PLAYED_TEST (a_certificates_assertion_is_sent_with_its_chain_on_request),
  };

  return cmocka_run_group_tests (tests, set_up_all, tear_down_all);
}
