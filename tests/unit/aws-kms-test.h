/* A key in AWS KMS as the tests use it: played answers, and one wrap. */
#ifndef TESTS_AWS_KMS_TEST_H
#define TESTS_AWS_KMS_TEST_H

#include "tests/unit/aws-http.h"

#include "common/encode.h"
#include "kms/aws-kms.h"
#include "kms/operations.h"
#include "kms/provider.h"

#define KMS_URL "https://kms.eu-central-1.amazonaws.com/"
#define ALIAS "arn:aws:kms:eu-central-1:111122223333:alias/disk"
#define MATERIAL "aaaabbbbccccddddaaaabbbbccccddddaaaabbbbccccddddaaaabbbbccccdddd"
#define BLOB_TEXT "YmxvYg==" /* "blob" */
#define ERROR(name, message) "{\"__type\":\"" name "\",\"message\":\"" message "\"}"

static struct kms_wrapped wrapped;
static struct wrap wrap;
static char plain64[100], plain32[60];

static inline int
with_credentials (void **state)
{
  uint8_t bytes[64];
  char *text;

  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)i;
  text = base64_encode (bytes, 64);
  snprintf (plain64, sizeof plain64, "%s", text);
  free (text);
  text = base64_encode (bytes, 32);
  snprintf (plain32, sizeof plain32, "%s", text);
  free (text);
  start_anew (state);
  wrapped = (struct kms_wrapped){0};
  wrap = (struct wrap){.wrapped = {4, "blob"}};
  snprintf (wrap.key, sizeof wrap.key, "%s", AWS_KEY);
  snprintf (wrap.algorithm, sizeof wrap.algorithm, "%s", AWS_SYMMETRIC);
  setenv ("AWS_ACCESS_KEY_ID", "AKID", 1);
  setenv ("AWS_SECRET_ACCESS_KEY", "kfPlanted-secret", 1);
  setenv ("AWS_SESSION_TOKEN", "kfPlanted-token", 1);
  return 0;
}

static inline struct kms_request
request_for (const char *key)
{
  return (struct kms_request){.key = key, .volume = AWS_VOLUME, .timeout_ms = 60000};
}

static inline char *
generated (const char *key)
{
  static char text[700];

  snprintf (text, sizeof text,
            "{\"CiphertextBlob\":\"" BLOB_TEXT "\",\"Plaintext\":\"%s\",\"KeyId\":\"%s\","
            "\"KeyMaterialId\":\"" MATERIAL "\"}",
            plain64, key);
  return text;
}

static inline char *
decrypted (const char *key, const char *plain)
{
  static char text[2][700];
  static int which;

  which = !which;
  snprintf (text[which], sizeof text[which],
            "{\"Plaintext\":\"%s\",\"KeyId\":\"%s\",\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\","
            "\"KeyMaterialId\":\"" MATERIAL "\"}",
            plain, key);
  return text[which];
}

static const char encrypted[] __attribute__ ((unused)) =
    "{\"CiphertextBlob\":\"" BLOB_TEXT "\",\"KeyId\":\"" AWS_KEY "\"}";

static inline struct kms_outcome
check_unwrap (int expected)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  assert_int_equal (kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &key, &outcome),
                    expected);
  assert_null (strstr (outcome.text, "kfPlanted"));
  return outcome;
}

#define KMS_TEST(name) cmocka_unit_test_setup_teardown (name, with_credentials, end_well)

#endif
