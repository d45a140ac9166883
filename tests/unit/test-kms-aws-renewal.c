/* Credentials for AWS: how long they are used, when they are renewed, and how a child has them. */
#include "tests/unit/aws-credentials-test.h"

static void
use_instance_role (int64_t now_s, const char *key, const char *expires)
{
  char body[512];

  snprintf (
      body, sizeof body,
      "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
      "\"Expiration\":\"%s\"}",
      key, expires);
  aws_credentials_reset (now_s);
  PLAY ({IMDS "api/token", 200, "T", 0}, {IMDS "meta-data", 200, "r", 0},
        {IMDS "api/token", 200, "T", 0}, {IMDS "meta-data", 200, body, 0});
  must_get (key, "instance role");
}

#define EXPIRES "2027-01-15T09:00:00Z" /* an hour after NOW */
#define NO_ANSWER                           \
  {                                         \
    IMDS "api/token", 0, NULL, HTTP_TIMEOUT \
  }

static void
credentials_are_kept_until_a_quarter_of_an_hour_before_the_end (void **state)
{
  (void)state;
  use_instance_role (NOW, "AKID1", EXPIRES);
  aws_credentials_set_clock (NOW + 44 * 60);
  must_get ("AKID1", "instance role");
  aws_credentials_set_clock (NOW + 46 * 60);
  PLAY (IMDS_STEPS ("AKID2", "2027-01-15T10:00:00Z"));
  must_get ("AKID2", "disk-role");
}

static void
an_early_renewal_that_fails_is_tried_again_after_a_minute (void **state)
{
  (void)state;
  use_instance_role (NOW, "AKID1", EXPIRES);
  aws_credentials_set_clock (NOW + 46 * 60);
  PLAY (NO_ANSWER);
  must_get ("AKID1", "instance role");
  must_get ("AKID1", "instance role"); /* not asked again at once */
  aws_credentials_set_clock (NOW + 47 * 60 + 1);
  PLAY (NO_ANSWER);
  must_get ("AKID1", "instance role");
  assert_all_played ();
}

static void
close_to_the_end_each_operation_asks_and_uses_what_is_there (void **state)
{
  (void)state;
  use_instance_role (NOW, "AKID1", EXPIRES);
  aws_credentials_set_clock (NOW + 51 * 60);
  PLAY (NO_ANSWER, NO_ANSWER);
  must_get ("AKID1", "instance role");
  must_get ("AKID1", "instance role");
  assert_all_played ();
}

static void
an_instances_credentials_are_used_after_their_end (void **state)
{
  (void)state;
  use_instance_role (NOW, "AKID1", EXPIRES);
  aws_credentials_set_clock (NOW + 61 * 60);
  PLAY (NO_ANSWER);
  must_get ("AKID1", "instance role");
  must_get ("AKID1", "instance role"); /* the next try is a quarter of an hour away */
  aws_credentials_set_clock (NOW + 61 * 60 + 25 * 60 + 1);
  PLAY (NO_ANSWER);
  must_get ("AKID1", "instance role");
  assert_all_played ();
}

static void
credentials_that_come_expired_are_used (void **state)
{
  (void)state;
  use_instance_role (NOW, "AKIDOLD", "2027-01-15T07:00:00Z");
  must_get ("AKIDOLD", "instance role");
}

static void
other_credentials_are_not_used_after_their_end (void **state)
{
  (void)state;
  aws_credentials_reset (NOW);
  setenv ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/c", 1);
  PLAY ({"localhost", 200, JSON_CREDENTIALS ("AKIDC", EXPIRES), 0});
  must_get ("AKIDC", "container");
  aws_credentials_set_clock (NOW + 59 * 60);
  PLAY ({"localhost", 404, "", 0});
  must_get ("AKIDC", "container");
  aws_credentials_set_clock (NOW + 60 * 60);
  PLAY ({"localhost", 404, "", 0});
  must_fail (KMS_CREDENTIALS, "container", "404");
}

static void
a_denial_is_confirmed_with_fresh_credentials (void **state)
{
  (void)state;
  use_instance_role (NOW, "AKID1", EXPIRES);
  aws_credentials_distrust ();
  PLAY (IMDS_STEPS ("AKID2", "2027-01-15T10:00:00Z"));
  must_get ("AKID2", "disk-role");
  aws_credentials_distrust ();
  PLAY (NO_ANSWER);
  must_get ("AKID2", "disk-role"); /* none fresher can be had */
  must_get ("AKID2", "disk-role");
}

static void
files_and_environment_are_read_each_time (void **state)
{
  (void)state;
  write_file (".aws/credentials", "[default]\naws_access_key_id = AKID1\n"
                                  "aws_secret_access_key = s\n");
  must_get ("AKID1", "default");
  write_file (".aws/credentials", "[default]\naws_access_key_id = AKID2\n"
                                  "aws_secret_access_key = s\n");
  must_get ("AKID2", "default");
}

static void
a_process_without_expiration_runs_once (void **state)
{
  char config[512];

  (void)state;
  snprintf (config, sizeof config,
            "[default]\ncredential_process = sh -c 'echo x >>%s/out; echo \"{\\\"Version\\\":1,"
            "\\\"AccessKeyId\\\":\\\"AKIDP\\\",\\\"SecretAccessKey\\\":\\\"s\\\"}\"'\n",
            aws_home);
  write_file (".aws/config", config);
  for (int i = 0; i < 3; i++)
    must_get ("AKIDP", "credential_process");
  snprintf (config, sizeof config, "%s/out", aws_home);
  {
    struct stat st;

    assert_int_equal (stat (config, &st), 0);
    assert_int_equal (st.st_size, 2);
  }
}

static void
a_child_uses_what_its_parent_handed_over (void **state)
{
  const struct aws_credentials *c;
  CLEANUP_CLOSE int fd = -1;

  (void)state;
  use_instance_role (NOW, "AKID1", EXPIRES);
  c = must_get ("AKID1", "instance role");
  assert_int_equal (aws_credentials_give (c, &fd), 0);
  aws_credentials_reset (0);
  aws_credentials_inherit (fd);
  c = must_get ("AKID1", "instance role r");
  assert_string_equal (secret_get_text (&c->session_token), "t");
}

static void
times_are_read_in_all_their_forms (void **state)
{
  static const struct {
    const char *text;
    int64_t seconds;
  } cases[] = {
      {"2027-01-15T08:00:00Z", NOW},      {"2027-01-15T08:00:00.123Z", NOW},
      {"2027-01-15T10:00:00+02:00", NOW}, {"2027-01-15T00:30:00-07:30", NOW},
      {"2027-01-15T08:00:00", -1},        {"2027-01-15", -1},
      {"2027-01-15T08:00:00Zx", -1},      {"", -1},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    int64_t t = -1;

    assert_int_equal (aws_parse_time (cases[i].text, &t), cases[i].seconds < 0 ? -1 : 0);
    assert_int_equal (t, cases[i].seconds);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      PLAYED_TEST (credentials_are_kept_until_a_quarter_of_an_hour_before_the_end),
      PLAYED_TEST (an_early_renewal_that_fails_is_tried_again_after_a_minute),
      PLAYED_TEST (close_to_the_end_each_operation_asks_and_uses_what_is_there),
      PLAYED_TEST (an_instances_credentials_are_used_after_their_end),
      PLAYED_TEST (credentials_that_come_expired_are_used),
      PLAYED_TEST (other_credentials_are_not_used_after_their_end),
      PLAYED_TEST (a_denial_is_confirmed_with_fresh_credentials),
      PLAYED_TEST (files_and_environment_are_read_each_time),
      PLAYED_TEST (a_process_without_expiration_runs_once),
      PLAYED_TEST (a_child_uses_what_its_parent_handed_over),
      PLAYED_TEST (times_are_read_in_all_their_forms),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
