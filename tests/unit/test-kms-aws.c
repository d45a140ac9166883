/* AWS KMS: what is asked of it, what is believed of its answers, and what is tried again. */
#include "tests/unit/aws-kms-test.h"

/* ---- making and opening ---- */

static void
a_volume_key_is_generated_bound_to_its_volume (void **state)
{
  const struct kms_request request = request_for (ALIAS);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  PLAY ({KMS_URL, 200, generated (AWS_KEY), 0});
  assert_int_equal (kms_provider_aws.generate (&request, &key, &wrapped, &outcome), 0);
  assert_int_equal (key.size, 64);
  assert_int_equal (key.bytes[63], 63);
  assert_string_equal (wrapped.key, AWS_KEY); /* not the alias */
  assert_string_equal (wrapped.key_version, MATERIAL);
  assert_string_equal (wrapped.algorithm, "SYMMETRIC_DEFAULT");
  assert_int_equal (wrapped.blob.size, 4);
  assert_string_equal (seen[0].body, "{\"KeyId\":\"" ALIAS "\",\"EncryptionContext\":"
                                     "{\"keyfence:volume\":\"" AWS_VOLUME "\"},"
                                     "\"NumberOfBytes\":64}");
  assert_seen (0, "Content-Type: application/x-amz-json-1.1\n", seen[0].headers);
  assert_seen (0, "X-Amz-Target: TrentService.GenerateDataKey\n", seen[0].headers);
  assert_seen (0, "X-Amz-Security-Token: kfPlanted-token\n", seen[0].headers);
  assert_string_equal (seen[0].service, "kms");
  assert_string_equal (seen[0].region, "eu-central-1");
  assert_true (seen[0].keep);
  assert_false (seen[0].allow_plain);
}

static void
a_wrap_is_opened_by_the_very_key_that_made_it (void **state)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &key, &outcome),
                    0);
  assert_int_equal (key.bytes[1], 1);
  assert_string_equal (outcome.request_id, "request-1");
  assert_string_equal (seen[0].body, "{\"KeyId\":\"" AWS_KEY "\",\"EncryptionAlgorithm\":"
                                     "\"SYMMETRIC_DEFAULT\",\"EncryptionContext\":"
                                     "{\"keyfence:volume\":\"" AWS_VOLUME "\"},"
                                     "\"CiphertextBlob\":\"" BLOB_TEXT "\"}");
}

static void
an_existing_volume_key_is_wrapped_and_its_material_noted (void **state)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (secret_random (&key, 64, NULL), 0);
  PLAY ({KMS_URL, 200, encrypted, 0}, {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (kms_provider_aws.wrap (&request, &key, &wrapped, &outcome), 0);
  assert_string_equal (wrapped.key_version, MATERIAL);
  assert_seen (0, "TrentService.Encrypt\n", seen[0].headers);
  assert_seen (0, "\"Plaintext\":\"", seen[0].body);
  assert_seen (1, "TrentService.Decrypt\n", seen[1].headers);
}

static void
rsa_keys_wrap_what_is_made_here_without_context (void **state)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0}, again = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  PLAY ({KMS_URL, 400, ERROR ("InvalidKeyUsageException", "m"), 0}, {KMS_URL, 200, encrypted, 0});
  assert_int_equal (kms_provider_aws.generate (&request, &key, &wrapped, &outcome), 0);
  assert_int_equal (key.size, 64);
  assert_string_equal (wrapped.algorithm, "RSAES_OAEP_SHA_256");
  assert_string_equal (wrapped.key_version, "");
  assert_seen (1, "\"EncryptionAlgorithm\":\"RSAES_OAEP_SHA_256\"", seen[1].body);
  assert_null (strstr (seen[1].body, "EncryptionContext"));
  snprintf (wrap.algorithm, sizeof wrap.algorithm, "%s", wrapped.algorithm);
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &again, &outcome),
                    0);
  assert_seen (0, "RSAES_OAEP_SHA_256", seen[0].body);
  assert_null (strstr (seen[0].body, "EncryptionContext"));
}

static void
a_key_that_is_for_neither_says_what_it_said_first (void **state)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  PLAY ({KMS_URL, 400, ERROR ("InvalidKeyUsageException", "first"), 0},
        {KMS_URL, 400, ERROR ("ValidationException", "second"), 0});
  assert_int_equal (kms_provider_aws.generate (&request, &key, &wrapped, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "key_usage");
  assert_null (key.bytes);
  assert_string_equal (wrapped.key, "");
}

static void
a_wrap_of_an_unknown_algorithm_is_not_sent_anywhere (void **state)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  snprintf (wrap.algorithm, sizeof wrap.algorithm, "RSAES_OAEP_SHA_1");
  assert_int_equal (kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &key, &outcome),
                    -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_algorithm");
}

/* ---- what is believed ---- */

static void
unwrap_fails (const char *body, enum kms_class class, const char *reason)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  PLAY ({KMS_URL, 200, body, 0});
  assert_int_equal (kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &key, &outcome),
                    -1);
  assert_outcome (&outcome, class, reason);
  assert_null (key.bytes);
  assert_null (strstr (outcome.text, plain64));
}

static void
a_success_that_is_none_is_an_outage (void **state)
{
  char text[700];

  (void)state;
  unwrap_fails ("{}", KMS_OUTAGE, "bad_answer");
  unwrap_fails (decrypted (ALIAS, plain64), KMS_OUTAGE, "bad_answer");
  unwrap_fails (decrypted ("arn:aws:kms:eu-central-1:111122223333:key/"
                           "99999999-89ab-cdef-0123-456789abcdef",
                           plain64),
                KMS_OUTAGE, "bad_answer");
  unwrap_fails (decrypted (AWS_KEY, "not base64"), KMS_OUTAGE, "bad_answer");
  unwrap_fails (decrypted (AWS_KEY, ""), KMS_OUTAGE, "bad_answer");
  snprintf (text, sizeof text, "{\"Plaintext\":7,\"KeyId\":\"%s\"}", AWS_KEY);
  unwrap_fails (text, KMS_OUTAGE, "bad_answer");
}

static void
other_bytes_than_were_wrapped_are_corrupt (void **state)
{
  (void)state;
  unwrap_fails (decrypted (AWS_KEY, plain32), KMS_CORRUPT, "bad_wrap");
}

static void
a_data_key_of_another_length_is_refused (void **state)
{
  const struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};
  char text[700];

  (void)state;
  snprintf (text, sizeof text,
            "{\"CiphertextBlob\":\"" BLOB_TEXT "\",\"Plaintext\":\"%s\",\"KeyId\":\"%s\"}", plain32,
            AWS_KEY);
  PLAY ({KMS_URL, 200, text, 0});
  assert_int_equal (kms_provider_aws.generate (&request, &key, &wrapped, &outcome), -1);
  assert_outcome (&outcome, KMS_OUTAGE, "bad_answer");
}

static void
an_alias_must_be_answered_by_the_key_behind_it (void **state)
{
  static const char *const answers[] = {
      ALIAS, "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef",
      "01234567-89ab-cdef-0123-456789abcdef"};
  const struct kms_request request = request_for (ALIAS);

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (answers); i++) {
    CLEANUP_SECRET struct secret key = {0};
    struct kms_outcome outcome = {0};

    PLAY ({KMS_URL, 200, generated (answers[i]), 0});
    assert_int_equal (kms_provider_aws.generate (&request, &key, &wrapped, &outcome), -1);
    assert_outcome (&outcome, KMS_OUTAGE, "bad_answer");
  }
}

/* ---- what is tried again ---- */

static void
what_may_pass_is_tried_three_times (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  PLAY ({KMS_URL, 400, ERROR ("ThrottlingException", "Rate exceeded"), 0},
        {KMS_URL, 0, NULL, HTTP_CONNECT}, {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_int_equal (waits, 2);
  PLAY ({KMS_URL, 200, "<html>", 0}, {KMS_URL, 503, "", 0},
        {KMS_URL, 400, ERROR ("ThrottlingException", "Rate exceeded"), 0});
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_OUTAGE, "throttled");
}

static void
what_will_not_pass_is_asked_once (void **state)
{
  static const struct {
    unsigned status;
    const char *body;
    enum kms_class class;
    const char *reason;
  } cases[] = {
      {400, ERROR ("DisabledException", "m"), KMS_DENIED, "key_disabled"},
      {400, ERROR ("AccessDeniedException", "m"), KMS_DENIED, "access_denied"},
      {400, ERROR ("NotFoundException", "m"), KMS_DENIED, "not_found"},
      {400, ERROR ("InvalidCiphertextException", "m"), KMS_CORRUPT, "bad_wrap"},
      {400, ERROR ("IncorrectKeyException", "m"), KMS_CONFIG, "incorrect_key"},
      {400, ERROR ("NewException", "m"), KMS_OUTAGE, "unknown_error"},
      {407, "proxy", KMS_OUTAGE, "bad_answer"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct kms_outcome outcome;

    PLAY ({KMS_URL, cases[i].status, cases[i].body, 0});
    outcome = check_unwrap (-1);
    assert_outcome (&outcome, cases[i].class, cases[i].reason);
    assert_string_equal (outcome.request_id, "request-1");
  }
}

static void
failures_of_the_way_have_their_own_reasons (void **state)
{
  static const struct {
    enum http_failure failure;
    const char *reason;
    size_t tries;
    enum kms_class class;
  } cases[] = {
      {HTTP_NXDOMAIN, "nxdomain", 3, KMS_OUTAGE},     {HTTP_RESOLVE, "dns", 3, KMS_OUTAGE},
      {HTTP_CONNECT, "connect", 3, KMS_OUTAGE},       {HTTP_TLS, "tls", 3, KMS_OUTAGE},
      {HTTP_TLS_VERIFY, "tls_verify", 1, KMS_OUTAGE}, {HTTP_TIMEOUT, "timeout", 3, KMS_OUTAGE},
      {HTTP_BROKEN, "broken", 3, KMS_OUTAGE},         {HTTP_TOO_LARGE, "too_large", 3, KMS_OUTAGE},
      {HTTP_REFUSED, "refused", 1, KMS_CONFIG},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct played steps[3];
    struct kms_outcome outcome;

    for (size_t j = 0; j < cases[i].tries; j++)
      steps[j] = (struct played){KMS_URL, 0, NULL, cases[i].failure};
    play (steps, cases[i].tries);
    outcome = check_unwrap (-1);
    assert_outcome (&outcome, cases[i].class, cases[i].reason);
  }
}

static void
expired_credentials_are_renewed_once (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  PLAY ({KMS_URL, 400, ERROR ("ExpiredTokenException", "m"), 0},
        {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_int_equal (waits, 0);
  PLAY ({KMS_URL, 400, ERROR ("ExpiredTokenException", "m"), 0},
        {KMS_URL, 400, ERROR ("ExpiredTokenException", "m"), 0});
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "credentials_expired");
}

static void
grant_tokens_are_sent_until_they_are_refused (void **state)
{
  char key[300], file[128];
  CLEANUP_SECRET struct secret volume_key = {0};
  struct kms_request request;
  struct kms_outcome outcome = {0};

  (void)state;
  write_file ("token", "one\n\ntwo\r\n");
  snprintf (file, sizeof file, "%s/token", aws_home);
  snprintf (key, sizeof key, AWS_KEY "?grant-tokens=%s", file);
  request = request_for (key);
  PLAY ({KMS_URL, 400, ERROR ("InvalidGrantTokenException", "m"), 0},
        {KMS_URL, 200, generated (AWS_KEY), 0});
  assert_int_equal (kms_provider_aws.generate (&request, &volume_key, &wrapped, &outcome), 0);
  assert_seen (0, "\"KeyId\":\"" AWS_KEY "\"", seen[0].body);
  assert_seen (0, "\"GrantTokens\":[\"one\",\"two\"]}", seen[0].body);
  assert_null (strstr (seen[1].body, "GrantTokens"));
  assert_string_equal (wrapped.key, AWS_KEY); /* the file is no part of the name that is kept */
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0); /* by the plain name, and yet with the tokens */
  assert_seen (0, "\"GrantTokens\":[\"one\",\"two\"]}", seen[0].body);
  unlink (file);
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_null (strstr (seen[0].body, "GrantTokens"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      KMS_TEST (a_volume_key_is_generated_bound_to_its_volume),
      KMS_TEST (a_wrap_is_opened_by_the_very_key_that_made_it),
      KMS_TEST (an_existing_volume_key_is_wrapped_and_its_material_noted),
      KMS_TEST (rsa_keys_wrap_what_is_made_here_without_context),
      KMS_TEST (a_key_that_is_for_neither_says_what_it_said_first),
      KMS_TEST (a_wrap_of_an_unknown_algorithm_is_not_sent_anywhere),
      KMS_TEST (a_success_that_is_none_is_an_outage),
      KMS_TEST (other_bytes_than_were_wrapped_are_corrupt),
      KMS_TEST (a_data_key_of_another_length_is_refused),
      KMS_TEST (an_alias_must_be_answered_by_the_key_behind_it),
      KMS_TEST (what_may_pass_is_tried_three_times),
      KMS_TEST (what_will_not_pass_is_asked_once),
      KMS_TEST (failures_of_the_way_have_their_own_reasons),
      KMS_TEST (expired_credentials_are_renewed_once),
      KMS_TEST (grant_tokens_are_sent_until_they_are_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
