/* Credentials for AWS: which of them are taken, and what is said when there are none. */
#include "tests/unit/aws-credentials-test.h"

/* ---- which ---- */

static void
set_environment (void)
{
  setenv ("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
  setenv ("AWS_SECRET_ACCESS_KEY", "senv", 1);
  setenv ("AWS_SESSION_TOKEN", "tenv", 1);
}

/* Each place is taken away in turn, and the next in AWS' order comes to light. */
static void
places_are_looked_at_in_the_order_of_aws (void **state)
{
  const struct aws_credentials *c;
  char path[128];

  (void)state;
  set_environment ();
  setenv ("AWS_ROLE_ARN", ROLE, 1);
  write_file ("token", "JWT\n");
  snprintf (path, sizeof path, "%s/token", aws_home);
  setenv ("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
  setenv ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x", 1);
  write_file (".aws/config", "[default]\nrole_arn = " ROLE "\nsource_profile = base\n"
                             "[profile base]\naws_access_key_id = AKIDBASE\n"
                             "aws_secret_access_key = sbase\n");
  c = must_get ("AKIDENV", "environment");
  assert_string_equal (secret_get_text (&c->secret_key), "senv");
  assert_string_equal (secret_get_text (&c->session_token), "tenv");
  unsetenv ("AWS_ACCESS_KEY_ID");

  PLAY ({STS_URL, 200, ASSUMED ("AKIDROLE", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDROLE", "role " ROLE);
  assert_string_equal (seen[0].access_key, "AKIDBASE");
  write_file (".aws/config", "[default]\n");

  aws_credentials_reset (0);
  PLAY ({STS_URL, 200, ASSUMED ("AKIDWEB", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDWEB", "web identity");
  assert_string_equal (seen[0].access_key, "");
  assert_seen (0, "WebIdentityToken=JWT", seen[0].body);
  unsetenv ("AWS_WEB_IDENTITY_TOKEN_FILE");

  aws_credentials_reset (0);
  write_file (".aws/credentials", "[default]\naws_access_key_id = AKIDFILE\n"
                                  "aws_secret_access_key = sfile\n");
  write_file (".aws/config", "[default]\ncredential_process = echo '{\"Version\":1,"
                             "\"AccessKeyId\":\"AKIDPROC\",\"SecretAccessKey\":\"sproc\"}'\n"
                             "aws_access_key_id = AKIDCONF\naws_secret_access_key = sconf\n");
  must_get ("AKIDFILE", "credentials file");
  write_file (".aws/credentials", "");
  aws_credentials_reset (0);
  must_get ("AKIDPROC", "credential_process");
  write_file (".aws/config", "[default]\naws_access_key_id = AKIDCONF\n"
                             "aws_secret_access_key = sconf\n");
  aws_credentials_reset (0);
  must_get ("AKIDCONF", "config file");
  write_file (".aws/config", "");

  PLAY ({"http://169.254.170.2/v2/credentials/x", 200,
         JSON_CREDENTIALS ("AKIDECS", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDECS", "container");
  assert_true (seen[0].link_local);
  unsetenv ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");

  aws_credentials_reset (0);
  PLAY (IMDS_STEPS ("AKIDIMDS", "2099-01-01T00:00:00Z"));
  must_get ("AKIDIMDS", "disk-role");
  setenv ("AWS_EC2_METADATA_DISABLED", "true", 1);
  aws_credentials_reset (0);
  must_fail (KMS_CREDENTIALS, "no_credentials", "AWS_EC2_METADATA_DISABLED");
}

static void
half_of_a_pair_in_the_environment_is_an_error (void **state)
{
  (void)state;
  setenv ("AWS_ACCESS_KEY_ID", "AKID", 1);
  must_fail (KMS_CREDENTIALS, "bad_credentials", "AWS_SECRET_ACCESS_KEY");
  setenv ("AWS_SECRET_ACCESS_KEY", "a b", 1);
  must_fail (KMS_CREDENTIALS, "bad_credentials", "characters");
}

static void
the_chosen_profile_is_used (void **state)
{
  (void)state;
  write_file (".aws/credentials", "[default]\naws_access_key_id = AKIDDEF\n"
                                  "aws_secret_access_key = s\n"
                                  "[prod]\naws_access_key_id = AKIDPROD\n"
                                  "aws_secret_access_key = s\naws_session_token = t\n");
  setenv ("AWS_PROFILE", "prod", 1);
  must_get ("AKIDPROD", "profile prod");
}

/* ---- profiles that lead elsewhere ---- */

static void
roles_are_had_one_by_another (void **state)
{
  (void)state;
  write_file (".aws/config",
              "[default]\nrole_arn = " ROLE "\nsource_profile = middle\nexternal_id = e x\n"
              "role_session_name = me\nduration_seconds = 900\nregion = eu-central-1\n"
              "[profile middle]\nrole_arn = " ROLE "2\nsource_profile = base\n"
              "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = sbase\n");
  PLAY ({STS_URL, 200, ASSUMED ("AKIDMID", "2099-01-01T00:00:00Z"), 0},
        {STS_URL, 200, ASSUMED ("AKIDEND", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDEND", ROLE);
  assert_string_equal (seen[0].access_key, "AKIDBASE");
  assert_string_equal (seen[0].service, "sts");
  assert_string_equal (seen[0].region, "eu-central-1");
  assert_seen (0, "RoleSessionName=keyfence", seen[0].body);
  assert_string_equal (seen[1].access_key, "AKIDMID");
  assert_string_equal (seen[1].secret_key, "sAKIDMID");
  assert_seen (1, "X-Amz-Security-Token: tAKIDMID", seen[1].headers);
  assert_seen (1, "&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fdisk", seen[1].body);
  assert_seen (1, "&ExternalId=e%20x", seen[1].body);
  assert_seen (1, "&RoleSessionName=me", seen[1].body);
  assert_seen (1, "&DurationSeconds=900", seen[1].body);
}

/* The region comes with the key's name, and so from a disk. */
static void
a_web_identity_for_another_partition_is_sent_nowhere (void **state)
{
  char path[128];

  (void)state;
  write_file ("token", "planted-token\n");
  snprintf (path, sizeof path, "%s/token", aws_home);
  setenv ("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
  setenv ("AWS_ROLE_ARN", "arn:aws-cn:iam::111122223333:role/disk", 1);
  must_fail (KMS_CONFIG, "other_partition", "arn:aws-cn:iam::111122223333:role/disk");
  setenv ("AWS_ROLE_ARN", "arn:aws-us-gov:iam::111122223333:role/disk", 1);
  must_fail (KMS_CONFIG, "other_partition", "eu-central-1");
  setenv ("AWS_ROLE_ARN", ROLE, 1);
  PLAY ({STS_URL, 200, ASSUMED ("AKIDWEB", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDWEB", "web identity");
}

static void
a_profile_may_be_its_own_source (void **state)
{
  (void)state;
  write_file (".aws/credentials", "[default]\nrole_arn = " ROLE "\nsource_profile = default\n"
                                  "aws_access_key_id = AKIDSELF\naws_secret_access_key = s\n");
  PLAY ({STS_URL, 200, ASSUMED ("AKIDROLE", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDROLE", ROLE);
  assert_string_equal (seen[0].access_key, "AKIDSELF");
}

static void
a_role_may_be_had_by_the_environment_or_the_instance (void **state)
{
  (void)state;
  write_file (".aws/config",
              "[default]\nrole_arn = " ROLE "\ncredential_source = Ec2InstanceMetadata\n");
  PLAY (IMDS_STEPS ("AKIDIMDS", "2099-01-01T00:00:00Z"),
        {STS_URL, 200, ASSUMED ("AKIDROLE", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDROLE", ROLE);
  assert_string_equal (seen[4].access_key, "AKIDIMDS");
}

static void
profiles_that_can_not_work_say_why (void **state)
{
  static const struct {
    const char *profile, *reason, *says;
  } cases[] = {
      {"sso_session = x\n", "interactive", "sso_session"},
      {"sso_start_url = https://x\n", "interactive", "browser"},
      {"role_arn = " ROLE "\n", "bad_profile", "source_profile"},
      {"role_arn = " ROLE "\nsource_profile = none\n", "bad_profile", "neither shared file"},
      {"role_arn = " ROLE "\nsource_profile = default\n", "bad_profile", "without credentials"},
      {"role_arn = " ROLE "\nsource_profile = x\ncredential_source = Environment\n", "bad_profile",
       "keep one"},
      {"role_arn = " ROLE "\ncredential_source = Moon\n", "bad_profile", "none of"},
      {"role_arn = " ROLE "\ncredential_source = Environment\n", "bad_profile", "where no"},
      {"role_arn = " ROLE "\nsource_profile = x\nmfa_serial = arn:x\n", "bad_profile", "MFA"},
      {"aws_access_key_id = x\n", "bad_credentials", "without"},
      {"web_identity_token_file = /nonexistent\n", "bad_profile", "without role_arn"},
      {"web_identity_token_file = /nonexistent/t\nrole_arn = " ROLE "\n", "token_file",
       "/nonexistent/t"},
      {"credential_process = false\n", "credential_process", "status 1"},
      {"credential_process = echo '{}'\n", "credential_process", "Version"},
      {"credential_process = echo nonsense\n", "credential_process", "JSON"},
      {"credential_process = echo '{\"Version\":2}'\n", "credential_process", "Version"},
      {"credential_process = 'x\n", "credential_process", "quote"},
      {"credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"a\"}'\n", "bad_credentials",
       "credential_process"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    char text[1024];

    snprintf (text, sizeof text, "[default]\n%s", cases[i].profile);
    write_file (".aws/config", text);
    aws_credentials_reset (0);
    must_fail (KMS_CREDENTIALS, cases[i].reason, cases[i].says);
  }
}

static void
a_ring_of_profiles_is_noticed (void **state)
{
  (void)state;
  write_file (".aws/config", "[default]\nrole_arn = " ROLE "\nsource_profile = a\n"
                             "[profile a]\nrole_arn = " ROLE "\nsource_profile = b\n"
                             "[profile b]\nrole_arn = " ROLE "\nsource_profile = a\n");
  must_fail (KMS_CREDENTIALS, "bad_profile", "circle");
  must_fail (KMS_CREDENTIALS, "bad_profile", "circle"); /* and the way back is found */
}

/* ---- containers and instances ---- */

static void
credentials_of_containers_come_from_known_hosts_only (void **state)
{
  static const char *const bad[] = {"http://example.com/c", "http://169.254.170.3/c",
                                    "http://10.0.0.1/", "ftp://localhost/"};
  static const char *const good[] = {"http://127.0.0.1:1/c", "http://localhost/c",
                                     "https://x.example/c", "http://169.254.170.23/v1/credentials",
                                     "http://[fd00:ec2::23]/v1/credentials"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    setenv ("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
    must_fail (KMS_CREDENTIALS, "bad_credentials", bad[i]);
  }
  for (size_t i = 0; i < ARRAY_SIZE (good); i++) {
    setenv ("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i], 1);
    aws_credentials_reset (0);
    PLAY ({good[i], 200, JSON_CREDENTIALS ("AKIDC", "2099-01-01T00:00:00Z"), 0});
    must_get ("AKIDC", "container");
  }
}

static void
the_token_file_of_a_container_is_preferred_and_read_each_time (void **state)
{
  char path[128];

  (void)state;
  snprintf (path, sizeof path, "%s/token", aws_home);
  setenv ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1", 1);
  setenv ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other", 1);
  setenv ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
  write_file ("token", "  first\n");
  PLAY ({"169.254.170.23", 200, JSON_CREDENTIALS ("AKIDA", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDA", "container");
  assert_seen (0, "Authorization: first\n", seen[0].headers);
  write_file ("token", "second");
  aws_credentials_distrust ();
  PLAY ({"169.254.170.23", 200, JSON_CREDENTIALS ("AKIDB", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDB", "container");
  assert_seen (0, "Authorization: second\n", seen[0].headers);
}

static void
containers_are_asked_three_times (void **state)
{
  (void)state;
  setenv ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/c", 1);
  PLAY ({"localhost", 500, "", 0}, {"localhost", 0, NULL, HTTP_TIMEOUT},
        {"localhost", 200, JSON_CREDENTIALS ("AKIDC", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDC", "container");
  assert_int_equal (waits, 2);
  aws_credentials_reset (0);
  PLAY ({"localhost", 403, "", 0});
  must_fail (KMS_CREDENTIALS, "container", "403");
}

static void
the_instance_is_asked_by_session_tokens_only (void **state)
{
  (void)state;
  PLAY (IMDS_STEPS ("AKIDI", "2099-01-01T00:00:00Z"));
  must_get ("AKIDI", "IMDSv2");
  assert_string_equal (seen[0].method, "PUT");
  assert_seen (0, "X-aws-ec2-metadata-token-ttl-seconds: 21600", seen[0].headers);
  for (size_t i = 0; i < 4; i++)
    assert_true (seen[i].link_local);
  assert_seen (1, "X-aws-ec2-metadata-token: IMDSTOKEN", seen[1].headers);
  assert_seen (3, "X-aws-ec2-metadata-token: IMDSTOKEN", seen[3].headers);
  aws_credentials_reset (0);
  PLAY ({IMDS "api/token", 403, "", 0}); /* no way back to the first version */
  must_fail (KMS_CREDENTIALS, "instance_metadata", "403");
}

static void
what_is_wrong_with_the_instance_is_said (void **state)
{
  (void)state;
  PLAY ({IMDS "api/token", 0, NULL, HTTP_TIMEOUT});
  must_fail (KMS_CREDENTIALS, "no_credentials", "hop limit");
  PLAY ({IMDS "api/token", 200, "T", 0}, {IMDS "meta-data", 404, "", 0});
  must_fail (KMS_CREDENTIALS, "no_role", "instance profile");
  PLAY ({IMDS "api/token", 200, "T", 0}, {IMDS "meta-data", 200, "a/../b", 0});
  must_fail (KMS_CREDENTIALS, "instance_metadata", "nothing that it could be");
  PLAY ({IMDS "api/token", 200, "T", 0}, {IMDS "meta-data", 500, "", 0});
  must_fail (KMS_CREDENTIALS, "instance_metadata", "500");
  PLAY (
      {IMDS "api/token", 200, "T", 0}, {IMDS "meta-data", 200, "r", 0},
      {IMDS "api/token", 200, "T", 0},
      {IMDS "meta-data", 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"m\"}", 0});
  must_fail (KMS_CREDENTIALS, "no_role", "trust policy");
}

static void
another_metadata_service_is_where_the_settings_say (void **state)
{
  (void)state;
  setenv ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/", 1);
  PLAY ({"http://127.0.0.1:9/latest/api/token", 0, NULL, HTTP_CONNECT});
  must_fail (KMS_CREDENTIALS, "no_credentials", "127.0.0.1:9");
  unsetenv ("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  setenv ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", 1);
  PLAY ({"http://[fd00:ec2::254]/latest/api/token", 0, NULL, HTTP_CONNECT});
  must_fail (KMS_CREDENTIALS, "no_credentials", "fd00:ec2::254");
}

/* ---- roles that are refused ---- */

#define STS_DENIED \
  "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"

static void
a_role_is_denied_only_if_it_was_granted_before (void **state)
{
  (void)state;
  write_file (".aws/config", "[default]\nrole_arn = " ROLE "\nsource_profile = b\n[profile b]\n"
                             "aws_access_key_id = AKIDB\naws_secret_access_key = s\n");
  PLAY ({STS_URL, 403, STS_DENIED, 0});
  must_fail (KMS_CONFIG, "role_denied", ROLE);
  PLAY ({STS_URL, 200, ASSUMED ("AKIDR", "2099-01-01T00:00:00Z"), 0});
  must_get ("AKIDR", ROLE);
  aws_credentials_distrust ();
  PLAY ({STS_URL, 403, STS_DENIED, 0});
  must_fail (KMS_DENIED, "role_denied", ROLE);
}

static void
answers_of_sts_that_are_cut_are_none (void **state)
{
  (void)state;
  write_file (".aws/config", "[default]\nrole_arn = " ROLE "\nsource_profile = b\n[profile b]\n"
                             "aws_access_key_id = AKIDB\naws_secret_access_key = s\n");
  PLAY ({STS_URL, 200, "<AssumeRoleResponse><AccessKeyId>A</AccessKeyId>", 0});
  must_fail (KMS_OUTAGE, "bad_answer", "AssumeRole");
  PLAY ({STS_URL, 200, ASSUMED ("AKID", "2099-01-01T00:00:00Z") "x", 0});
  must_fail (KMS_OUTAGE, "bad_answer", "AssumeRole");
  PLAY ({STS_URL, 200, ASSUMED ("AKID", "soon"), 0});
  must_fail (KMS_OUTAGE, "bad_answer", "AssumeRole");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      PLAYED_TEST (places_are_looked_at_in_the_order_of_aws),
      PLAYED_TEST (half_of_a_pair_in_the_environment_is_an_error),
      PLAYED_TEST (the_chosen_profile_is_used),
      PLAYED_TEST (roles_are_had_one_by_another),
      PLAYED_TEST (a_web_identity_for_another_partition_is_sent_nowhere),
      PLAYED_TEST (a_profile_may_be_its_own_source),
      PLAYED_TEST (a_role_may_be_had_by_the_environment_or_the_instance),
      PLAYED_TEST (profiles_that_can_not_work_say_why),
      PLAYED_TEST (a_ring_of_profiles_is_noticed),
      PLAYED_TEST (credentials_of_containers_come_from_known_hosts_only),
      PLAYED_TEST (the_token_file_of_a_container_is_preferred_and_read_each_time),
      PLAYED_TEST (containers_are_asked_three_times),
      PLAYED_TEST (the_instance_is_asked_by_session_tokens_only),
      PLAYED_TEST (what_is_wrong_with_the_instance_is_said),
      PLAYED_TEST (another_metadata_service_is_where_the_settings_say),
      PLAYED_TEST (a_role_is_denied_only_if_it_was_granted_before),
      PLAYED_TEST (answers_of_sts_that_are_cut_are_none),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
