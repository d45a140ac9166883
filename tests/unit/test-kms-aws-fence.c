/* What the fence asks of AWS besides plain checks: with fresh credentials, and until when a key's
 * material is valid; and that nothing in a header's key name makes us read files.
 */
#include "tests/unit/aws-credentials-test.h"
#include "tests/unit/aws-kms-test.h"

#include "kms/handover.h"

#define LATER "2099-01-01T00:00:00Z"
#define DESCRIBED(members) "{\"KeyMetadata\":{\"Arn\":\"" AWS_KEY "\"" members "}}"

/* Credentials of the instance in place of those of the environment: they are kept. */
static void
use_instance (void)
{
  unsetenv ("AWS_ACCESS_KEY_ID");
  unsetenv ("AWS_SECRET_ACCESS_KEY");
  unsetenv ("AWS_SESSION_TOKEN");
  PLAY (IMDS_STEPS ("AKID1", LATER));
  must_get ("AKID1", "disk-role");
}

static int
unwrap (bool fresh, struct kms_outcome *outcome)
{
  struct kms_request request = request_for (AWS_KEY);
  CLEANUP_SECRET struct secret key = {0};

  request.fresh = fresh;
  *outcome = (struct kms_outcome){0};
  return kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &key, outcome);
}

/* ---- fresh ---- */

static void
only_a_fresh_unwrap_gets_new_credentials (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_instance ();
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (unwrap (false, &outcome), 0);
  assert_string_equal (seen[0].access_key, "AKID1");
  PLAY (IMDS_STEPS ("AKID2", LATER), {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (unwrap (true, &outcome), 0);
  assert_string_equal (seen[4].access_key, "AKID2");
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0}); /* which are kept in turn */
  assert_int_equal (unwrap (false, &outcome), 0);
  assert_string_equal (seen[0].access_key, "AKID2");
}

static void
a_fresh_unwrap_never_goes_on_with_old_credentials (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_instance ();
  PLAY ({IMDS "api/token", 0, NULL, HTTP_TIMEOUT});
  assert_int_equal (unwrap (true, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "no_credentials");
  PLAY (IMDS_STEPS ("AKID2", LATER), {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (unwrap (false, &outcome), 0);
}

static void
what_passes_is_tried_again_with_the_same_fresh_credentials (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_instance ();
  PLAY (IMDS_STEPS ("AKID2", LATER), {KMS_URL, 503, "", 0},
        {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (unwrap (true, &outcome), 0);
  assert_string_equal (seen[5].access_key, "AKID2");
}

static void
a_role_that_is_refused_afresh_was_granted_before (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  write_file (".aws/config", "[default]\nrole_arn = " ROLE "\nsource_profile = base\n"
                             "[profile base]\naws_access_key_id = AKIDBASE\n"
                             "aws_secret_access_key = sbase\n");
  unsetenv ("AWS_ACCESS_KEY_ID");
  unsetenv ("AWS_SECRET_ACCESS_KEY");
  unsetenv ("AWS_SESSION_TOKEN");
  PLAY ({STS_URL, 200, ASSUMED ("AKIDROLE", LATER), 0},
        {KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  setenv ("AWS_REGION", "eu-central-1", 1);
  assert_int_equal (unwrap (false, &outcome), 0);
  PLAY ({STS_URL, 403,
         "<ErrorResponse><Error><Code>AccessDenied</Code><Message>m</Message></Error>"
         "</ErrorResponse>",
         0});
  assert_int_equal (unwrap (true, &outcome), -1);
  assert_int_equal (outcome.class, KMS_DENIED);
}

static void
a_child_is_given_fresh_credentials (void **state)
{
  struct kms_request request = request_for (AWS_KEY);
  struct kms_outcome outcome = {0};
  CLEANUP_SECRET struct secret given = {0};
  int fd = -1;

  (void)state;
  use_instance ();
  request.fresh = true;
  PLAY (IMDS_STEPS ("AKID2", LATER));
  assert_int_equal (kms_provider_aws.prepare (&request, &fd, &outcome), 0);
  assert_int_equal (handover_take (fd, &given), 0);
  assert_non_null (memmem (given.bytes, given.size, "AKID2", 5));
  close (fd);
}

/* ---- expiry ---- */

static int
expiry (const char *body, unsigned status, int64_t *ret_s, struct kms_outcome *outcome)
{
  const struct kms_request request = request_for (AWS_KEY);

  PLAY ({KMS_URL, status, body, 0});
  return operation_expiry (&request, &wrap, ret_s, outcome);
}

static void
only_imported_key_material_that_expires_has_a_date (void **state)
{
  static const struct {
    const char *body;
    int64_t expires_s;
  } cases[] = {
      {DESCRIBED (",\"Origin\":\"AWS_KMS\""), 0},
      {DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_DOES_NOT_EXPIRE\""), 0},
      {DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\",\"ValidTo\":1.9E9"), 1900000000},
      {DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\",\"ValidTo\":1900000000.25"),
       1900000000},
      {DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\",\"ValidTo\":-5"), 1},
      {DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\",\"ValidTo\":999999999999"),
       KMS_EXPIRY_MAX},
  };
  struct kms_outcome outcome;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    int64_t expires_s = 77;

    assert_int_equal (expiry (cases[i].body, 200, &expires_s, &outcome), 0);
    assert_int_equal (expires_s, cases[i].expires_s);
  }
  assert_seen (0, "TrentService.DescribeKey", seen[0].headers);
  assert_string_equal (seen[0].body, "{\"KeyId\":\"" AWS_KEY "\"}");
}

static void
a_description_of_something_else_is_no_answer (void **state)
{
  static const char *const bodies[] = {
      "{}",
      "{\"KeyMetadata\":{\"Arn\":\"" ALIAS "\"}}",
      DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\""),
      DESCRIBED (",\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\",\"ValidTo\":\"soon\""),
  };
  struct kms_outcome outcome;
  int64_t expires_s = 77;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bodies); i++) {
    assert_int_equal (expiry (bodies[i], 200, &expires_s, &outcome), -1);
    assert_outcome (&outcome, KMS_OUTAGE, "bad_answer");
  }
  assert_int_equal (expiry (ERROR ("AccessDeniedException", "m"), 400, &expires_s, &outcome), -1);
  assert_outcome (&outcome, KMS_DENIED, "access_denied");
  assert_int_equal (expires_s, 77);
}

/* ---- a header's key name ---- */

static void
a_stored_name_with_grant_tokens_is_refused_and_its_file_never_read (void **state)
{
  char key[300];
  struct kms_request request;
  struct kms_outcome outcome = {0};
  CLEANUP_SECRET struct secret volume_key = {0};
  int64_t expires_s;
  int fd = -1;

  (void)state;
  write_file ("token", "planted-file\n");
  snprintf (key, sizeof key, AWS_KEY "?grant-tokens=%s/token", aws_home);
  request = request_for (key);
  assert_int_equal (operation_check (&request, &wrap, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
  assert_int_equal (operation_unwrap (&request, &wrap, &volume_key, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
  assert_int_equal (operation_expiry (&request, &wrap, &expires_s, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
  request.stored = true; /* as the agent has it before it forks for an unwrap */
  assert_int_equal (kms_provider_aws.prepare (&request, &fd, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  assert_int_equal (unwrap (false, &outcome), 0); /* nothing of it is remembered */
  assert_null (strstr (seen[0].body, "planted"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      KMS_TEST (only_a_fresh_unwrap_gets_new_credentials),
      KMS_TEST (a_fresh_unwrap_never_goes_on_with_old_credentials),
      KMS_TEST (what_passes_is_tried_again_with_the_same_fresh_credentials),
      KMS_TEST (a_role_that_is_refused_afresh_was_granted_before),
      KMS_TEST (a_child_is_given_fresh_credentials),
      KMS_TEST (only_imported_key_material_that_expires_has_a_date),
      KMS_TEST (a_description_of_something_else_is_no_answer),
      KMS_TEST (a_stored_name_with_grant_tokens_is_refused_and_its_file_never_read),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
