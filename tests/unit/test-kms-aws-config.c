/* The shared config and credentials files of AWS, as its tools read them. */
#include "tests/unit/aws-test.h"

#include "kms/aws-config.h"
#include "kms/secret-text.h"

static const char config_text[] = "# a comment\n"
                                  "; another = one\n"
                                  "stray = value\n"
                                  "[default]\n"
                                  "region = eu-central-1\n"
                                  "Output=json   \n"
                                  "s3 =\n"
                                  "  max = 5\n"
                                  "  region = nested\n"
                                  "empty =\n"
                                  "\n"
                                  "[profile prod] # the real one\n"
                                  "role_arn = arn:aws:iam::111122223333:role/r#1 ; not this\n"
                                  "region=us-east-1\r\n"
                                  "  continued = no property of its own\n"
                                  "[profile \"two words\"]\n"
                                  "region = us-west-1\n"
                                  "[nameless]\n"
                                  "region = ignored\n"
                                  "[services mine]\n"
                                  "kms =\n"
                                  "  endpoint_url = https://kms.example\n"
                                  "sts =\n"
                                  "\tendpoint_url = https://sts.example\n"
                                  "endpoint_url = https://flat.example\n"
                                  "[profile prod]\n"
                                  "region = us-east-2\n"
                                  "[profile cut\n"
                                  "region = ignored\n";

static const char credentials_text[] = "[default]\n"
                                       "aws_access_key_id=AKIDDEFAULT\n"
                                       "aws_secret_access_key = a/b+c==\n"
                                       "[prod]\n"
                                       "region = from-credentials\n"
                                       "[only-here]\n"
                                       "aws_access_key_id = AKIDONLY";

static struct aws_config config;

static int
load (void **state)
{
  struct kms_outcome outcome = {0};

  make_home (state);
  write_file (".aws/config", config_text);
  write_file (".aws/credentials", credentials_text);
  if (aws_config_load (&config, &outcome) < 0)
    fail_msg ("%s", outcome.text);
  return 0;
}

static int
unload (void **state)
{
  aws_config_clear (&config);
  return drop_home (state);
}

static void
assert_value (const char *profile, const char *property, const char *expected)
{
  char value[128] = "untouched";
  int r = aws_config_get (&config, profile, property, value, sizeof value);

  if (r != (expected != NULL) || strcmp (value, expected ? expected : "untouched") != 0)
    fail_msg ("%s of %s is %d, \"%s\"", property, profile, r, value);
}

static void
properties_are_found_in_their_profile (void **state)
{
  (void)state;
  assert_value ("default", "region", "eu-central-1");
  assert_value ("default", "REGION", "eu-central-1");
  assert_value ("default", "output", "json");
  assert_value ("default", "role_arn", NULL);
  assert_value ("default", "stray", NULL);
  assert_value ("default", "empty", NULL);
  assert_value ("two words", "region", "us-west-1");
  assert_value ("Default", "region", NULL);
  assert_value ("none", "region", NULL);
}

static void
comments_begin_at_a_line_or_behind_white_space (void **state)
{
  (void)state;
  assert_value ("prod", "role_arn", "arn:aws:iam::111122223333:role/r#1");
}

static void
nested_properties_are_no_properties_of_the_profile (void **state)
{
  (void)state;
  assert_value ("default", "max", NULL);
  assert_value ("prod", "continued", NULL);
}

static void
sections_of_the_config_file_need_the_word_profile (void **state)
{
  (void)state;
  assert_false (aws_config_has_profile (&config, "nameless"));
  assert_false (aws_config_has_profile (&config, "mine"));
  assert_false (aws_config_has_profile (&config, "cut"));
  assert_true (aws_config_has_profile (&config, "default"));
  assert_true (aws_config_has_profile (&config, "prod"));
  assert_true (aws_config_has_profile (&config, "only-here"));
}

static void
the_credentials_file_wins_and_later_lines_do (void **state)
{
  CLEANUP_SECRET struct secret secret = {0};

  (void)state;
  assert_value ("prod", "region", "from-credentials");
  assert_int_equal (aws_config_get_secret (&config, AWS_CONFIG_FILE, "prod", "region", &secret), 1);
  assert_string_equal (secret_get_text (&secret), "us-east-2");
}

static void
secrets_keep_every_character (void **state)
{
  CLEANUP_SECRET struct secret secret = {0}, last = {0}, none = {0};

  (void)state;
  assert_int_equal (aws_config_get_secret (&config, AWS_CREDENTIALS_FILE, "default",
                                           "aws_secret_access_key", &secret),
                    1);
  assert_string_equal (secret_get_text (&secret), "a/b+c==");
  assert_int_equal (
      aws_config_get_secret (&config, AWS_ANY_FILE, "only-here", "aws_access_key_id", &last), 1);
  assert_string_equal (secret_get_text (&last), "AKIDONLY");
  assert_int_equal (
      aws_config_get_secret (&config, AWS_CONFIG_FILE, "default", "aws_secret_access_key", &none),
      0);
}

static void
services_have_properties_below_their_name (void **state)
{
  char value[64];

  (void)state;
  assert_int_equal (
      aws_config_get_service (&config, "mine", "kms", "endpoint_url", value, sizeof value), 1);
  assert_string_equal (value, "https://kms.example");
  assert_int_equal (
      aws_config_get_service (&config, "mine", "sts", "endpoint_url", value, sizeof value), 1);
  assert_string_equal (value, "https://sts.example");
  assert_int_equal (
      aws_config_get_service (&config, "mine", "s3", "endpoint_url", value, sizeof value), 0);
  assert_int_equal (
      aws_config_get_service (&config, "other", "kms", "endpoint_url", value, sizeof value), 0);
}

static void
a_value_that_does_not_fit_is_not_cut (void **state)
{
  char value[5] = "none";

  (void)state;
  assert_int_equal (aws_config_get (&config, "default", "region", value, sizeof value), 0);
  assert_string_equal (value, "none");
}

/* ---- the files ---- */

static void
files_that_are_missing_are_empty (void **state)
{
  CLEANUP_AWS_CONFIG struct aws_config empty = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (aws_config_load (&empty, &outcome), 0);
  assert_string_equal (empty.profile, "default");
  assert_false (empty.profile_given);
  assert_false (aws_config_has_profile (&empty, "default"));
}

static void
a_profile_that_was_asked_for_must_exist (void **state)
{
  CLEANUP_AWS_CONFIG struct aws_config here = {0};
  struct kms_outcome outcome = {0};

  (void)state;
  setenv ("AWS_PROFILE", "absent", 1);
  assert_int_equal (aws_config_load (&here, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "profile_not_found");
  assert_non_null (strstr (outcome.text, "absent"));
}

static void
the_environment_names_files_and_profile (void **state)
{
  CLEANUP_AWS_CONFIG struct aws_config here = {0};
  struct kms_outcome outcome = {0};
  char path[128], region[32];

  (void)state;
  write_file ("config", "[profile x]\nregion = sa-east-1\n");
  write_file (".aws/config", "[profile x]\nregion = wrong\n");
  snprintf (path, sizeof path, "%s/config", aws_home);
  setenv ("AWS_CONFIG_FILE", path, 1);
  setenv ("AWS_DEFAULT_PROFILE", "x", 1);
  assert_int_equal (aws_config_load (&here, &outcome), 0);
  assert_true (here.profile_given);
  assert_int_equal (aws_config_get (&here, here.profile, "region", region, sizeof region), 1);
  assert_string_equal (region, "sa-east-1");
}

static void
files_that_are_no_settings_are_said_to_be_unreadable (void **state)
{
  CLEANUP_AWS_CONFIG struct aws_config here = {0};
  struct kms_outcome outcome = {0};
  char path[128];

  (void)state;
  setenv ("AWS_CONFIG_FILE", aws_home, 1);
  assert_int_equal (aws_config_load (&here, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "config_unreadable");
  write_file ("config", "");
  snprintf (path, sizeof path, "%s/config", aws_home);
  assert_int_equal (truncate (path, (off_t)AWS_FILE_MAX + 1), 0);
  setenv ("AWS_CONFIG_FILE", path, 1);
  assert_int_equal (aws_config_load (&here, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "config_unreadable");
}

#define LOADED(name) cmocka_unit_test_setup_teardown (name, load, unload)
#define AT_HOME(name) cmocka_unit_test_setup_teardown (name, make_home, drop_home)

int
main (void)
{
  const struct CMUnitTest tests[] = {
      LOADED (properties_are_found_in_their_profile),
      LOADED (comments_begin_at_a_line_or_behind_white_space),
      LOADED (nested_properties_are_no_properties_of_the_profile),
      LOADED (sections_of_the_config_file_need_the_word_profile),
      LOADED (the_credentials_file_wins_and_later_lines_do),
      LOADED (secrets_keep_every_character),
      LOADED (services_have_properties_below_their_name),
      LOADED (a_value_that_does_not_fit_is_not_cut),
      AT_HOME (files_that_are_missing_are_empty),
      AT_HOME (a_profile_that_was_asked_for_must_exist),
      AT_HOME (the_environment_names_files_and_profile),
      AT_HOME (files_that_are_no_settings_are_said_to_be_unreadable),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
