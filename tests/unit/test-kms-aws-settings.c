/* AWS KMS: where it is asked, by which settings, and what is refused before anything is asked. */
#include "tests/unit/aws-kms-test.h"

static void
settings_say_where_and_by_which_authorities (void **state)
{
  (void)state;
  setenv ("AWS_ENDPOINT_URL", "http://simulator.example:1", 1);
  setenv ("AWS_CA_BUNDLE", "/ca.pem", 1);
  PLAY ({"http://simulator.example:1/", 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_true (seen[0].allow_plain);
  assert_string_equal (seen[0].ca_bundle, "/ca.pem");
  assert_string_equal (seen[0].region, "eu-central-1");
  setenv ("AWS_ENDPOINT_URL_KMS", "https://kms.example", 1);
  PLAY ({"https://kms.example/", 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  setenv ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  setenv ("AWS_USE_FIPS_ENDPOINT", "true", 1);
  PLAY ({"https://kms-fips.eu-central-1.amazonaws.com/", 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
}

static void
the_profile_says_it_where_the_environment_does_not (void **state)
{
  (void)state;
  write_file (".aws/config", "[default]\nservices = mine\nendpoint_url = https://flat.example\n"
                             "use_dualstack_endpoint = false\nca_bundle = /profile.pem\n"
                             "[services mine]\nkms =\n  endpoint_url = https://nested.example\n");
  PLAY ({"https://nested.example/", 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_string_equal (seen[0].ca_bundle, "/profile.pem");
  write_file (".aws/config", "[default]\nendpoint_url = https://flat.example\n");
  PLAY ({"https://flat.example/", 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
}

static void
settings_that_contradict_the_key_are_refused (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  setenv ("AWS_ENDPOINT_URL_KMS", "https://kms.us-east-1.amazonaws.com", 1);
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_CONFIG, "endpoint");
}

/* One with `length` characters, which is refused and named, and one with a character less, which is
 * used as it is.
 */
static void
assert_bounded (const char *variable, const char *start, size_t max)
{
  struct kms_outcome outcome;
  char value[1100];

  memset (value, 'a', sizeof value);
  memcpy (value, start, strlen (start));
  value[max] = '\0';
  setenv (variable, value, 1);
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_setting");
  if (!strstr (outcome.text, variable))
    fail_msg ("%s is not named: %s", variable, outcome.text);
  unsetenv (variable);
}

static void
settings_that_are_too_long_are_named_and_never_cut (void **state)
{
  char text[1400], path[1100];
  struct kms_outcome outcome;

  (void)state;
  assert_bounded ("AWS_ENDPOINT_URL", "https://localhost/", 512);
  assert_bounded ("AWS_ENDPOINT_URL_KMS", "https://localhost/", 512);
  assert_bounded ("AWS_ENDPOINT_URL_STS", "https://localhost/", 512);
  assert_bounded ("AWS_CA_BUNDLE", "/", 1024);
  assert_bounded ("AWS_REGION", "eu-central-1", 64);
  memset (path, 'a', sizeof path);
  path[0] = '/';
  path[1023] = '\0';
  setenv ("AWS_CA_BUNDLE", path, 1);
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_int_equal (strncmp (seen[0].ca_bundle, path, sizeof seen[0].ca_bundle - 1), 0);
  unsetenv ("AWS_CA_BUNDLE");
  path[1023] = 'a';
  path[1024] = '\0';
  snprintf (text, sizeof text, "[default]\nca_bundle = %s\n", path);
  write_file (".aws/config", text);
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_setting");
  assert_non_null (strstr (outcome.text, "ca_bundle"));
  path[512] = '\0';
  snprintf (text, sizeof text,
            "[default]\nservices = s\n[services s]\nkms =\n  endpoint_url = %s\n", path);
  write_file (".aws/config", text);
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_setting");
  assert_non_null (strstr (outcome.text, "endpoint_url"));
}

static void
files_that_are_dev_null_are_empty (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  write_file (".aws/config", "[default]\nendpoint_url = https://elsewhere.example\n");
  setenv ("AWS_CONFIG_FILE", "/dev/null", 1);
  setenv ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  setenv ("AWS_CONFIG_FILE", "/dev/zero", 1);
  outcome = check_unwrap (-1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "config_unreadable");
}

static void
a_key_of_another_region_than_the_configured_is_asked_there (void **state)
{
  (void)state;
  setenv ("AWS_REGION", "us-east-1", 1);
  PLAY ({KMS_URL, 200, decrypted (AWS_KEY, plain64), 0});
  check_unwrap (0);
  assert_string_equal (seen[0].region, "eu-central-1");
}

static void
a_malformed_name_is_said_to_be_one (void **state)
{
  const struct kms_request request = request_for ("arn:aws:kms:eu-central-1:1:key/x");
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (kms_provider_aws.unwrap (&request, &wrap, &wrap.wrapped, 64, &key, &outcome),
                    -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      KMS_TEST (settings_say_where_and_by_which_authorities),
      KMS_TEST (the_profile_says_it_where_the_environment_does_not),
      KMS_TEST (settings_that_contradict_the_key_are_refused),
      KMS_TEST (settings_that_are_too_long_are_named_and_never_cut),
      KMS_TEST (files_that_are_dev_null_are_empty),
      KMS_TEST (a_key_of_another_region_than_the_configured_is_asked_there),
      KMS_TEST (a_malformed_name_is_said_to_be_one),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
