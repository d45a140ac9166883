/* AWS: names of keys, partitions, and where the services are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "kms/aws-arn.h"
#include "kms/aws-endpoint.h"
#include "kms/policy.h"

#define ID "01234567-89ab-cdef-0123-456789abcdef"
#define MRK "mrk-0123456789abcdef0123456789abcdef"
#define KEY "arn:aws:kms:eu-central-1:111122223333:key/" ID

static void
keys_are_named_by_key_or_alias_arn (void **state)
{
  static const struct {
    const char *name, *partition, *region, *arn;
    bool alias, multi;
    const char *grants;
  } cases[] = {
      {KEY, "aws", "eu-central-1", KEY, false, false, ""},
      {"arn:aws:kms:us-east-1:111122223333:key/" MRK, "aws", "us-east-1",
       "arn:aws:kms:us-east-1:111122223333:key/" MRK, false, true, ""},
      {"arn:aws:kms:us-east-1:111122223333:alias/a/b_c-d", "aws", "us-east-1",
       "arn:aws:kms:us-east-1:111122223333:alias/a/b_c-d", true, false, ""},
      {"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/" ID, "aws-us-gov", "us-gov-west-1",
       "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/" ID, false, false, ""},
      {"arn:aws-cn:kms:cn-northwest-1:111122223333:key/" ID, "aws-cn", "cn-northwest-1",
       "arn:aws-cn:kms:cn-northwest-1:111122223333:key/" ID, false, false, ""},
      {"arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/" ID, "aws-eusc", "eusc-de-east-1",
       "arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/" ID, false, false, ""},
      {KEY "?grant-tokens=/run/tokens", "aws", "eu-central-1", KEY, false, false, "/run/tokens"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct aws_key key;
    struct error err = {0};

    if (aws_key_parse (cases[i].name, &key, &err) < 0)
      fail_msg ("%s: %s", cases[i].name, err.text);
    assert_string_equal (key.partition->name, cases[i].partition);
    assert_string_equal (key.region, cases[i].region);
    assert_string_equal (key.arn, cases[i].arn);
    assert_string_equal (key.account, "111122223333");
    assert_ptr_equal (strstr (key.arn, key.resource), key.resource);
    assert_int_equal (key.is_alias, cases[i].alias);
    assert_int_equal (key.is_multi_region, cases[i].multi);
    assert_string_equal (key.grant_tokens, cases[i].grants);
  }
}

static void
other_names_are_refused_and_the_reason_is_said (void **state)
{
  static const struct {
    const char *name, *says;
  } cases[] = {
      {"", "other parts"},
      {"arn:", "other parts"},
      {ID, "other parts"},
      {"alias/x", "other parts"},
      {"arn:aws:s3:eu-central-1:111122223333:key/" ID, "other parts"},
      {"arn:aws:kms:eu-central-1:111122223333", "other parts"},
      {"arn:aws:kms:eu-central-1:11112222333:key/" ID, "12 digits"},
      {"arn:aws:kms:eu-central-1:11112222333x:key/" ID, "12 digits"},
      {"arn:aws:kms::111122223333:key/" ID, "region"},
      {"arn:aws:kms:eu-central:111122223333:key/" ID, "region"},
      {"arn:aws:kms:eu-central-1x:111122223333:key/" ID, "region"},
      {"arn:aws:kms:moon-base-1:111122223333:key/" ID, "region"},
      {"arn:aws:kms:cn-north-1:111122223333:key/" ID, "aws-cn"},
      {"arn:aws:kms:us-gov-west-1:111122223333:key/" ID, "aws-us-gov"},
      {"arn:aws-cn:kms:us-east-1:111122223333:key/" ID, "partition"},
      {"arn:aws-moon:kms:us-east-1:111122223333:key/" ID, "partition"},
      {"arn:aws:kms:us-east-1:111122223333:key/", "UUID"},
      {"arn:aws:kms:us-east-1:111122223333:key/" ID "0", "UUID"},
      {"arn:aws:kms:us-east-1:111122223333:key/mrk-0123", "UUID"},
      {"arn:aws:kms:us-east-1:111122223333:alias/", "alias"},
      {"arn:aws:kms:us-east-1:111122223333:alias/a b", "alias"},
      {"arn:aws:kms:us-east-1:111122223333:alias/a\"b", "alias"},
      {"arn:aws:kms:us-east-1:111122223333:grant/x", "neither"},
      {KEY "?", "grant-tokens"},
      {KEY "?grant-tokens=relative", "grant-tokens"},
      {KEY "?version=1", "grant-tokens"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct aws_key key = {.region = "untouched"};
    struct error err = {0};

    if (aws_key_parse (cases[i].name, &key, &err) == 0)
      fail_msg ("taken: %s", cases[i].name);
    assert_int_equal (err.class, ERROR_USAGE);
    assert_string_equal (key.region, "untouched");
    if (!strstr (err.text, cases[i].says))
      fail_msg ("%s: %s does not say %s", cases[i].name, err.text, cases[i].says);
  }
}

static void
new_regions_belong_to_the_partition_of_their_prefix (void **state)
{
  static const struct {
    const char *region, *partition;
  } cases[] = {
      {"us-east-1", "aws"},
      {"ap-southeast-12", "aws"},
      {"mx-central-1", "aws"},
      {"us-gov-east-1", "aws-us-gov"},
      {"cn-north-1", "aws-cn"},
      {"us-iso-east-1", "aws-iso"},
      {"us-isob-east-1", "aws-iso-b"},
      {"eu-isoe-west-1", "aws-iso-e"},
      {"us-isof-south-1", "aws-iso-f"},
      {"eusc-de-east-1", "aws-eusc"},
      {"eusc-fr-east-1", NULL},
      {"us", NULL},
      {"", NULL},
      {"us-east", NULL},
      {"us-east-", NULL},
      {"us--1", NULL},
      {"aws-global", NULL},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    const struct aws_partition *p = aws_partition_of (cases[i].region);

    if ((p == NULL) != (cases[i].partition == NULL)
        || (p && strcmp (p->name, cases[i].partition) != 0))
      fail_msg ("%s is in %s", cases[i].region, p ? p->name : "none");
  }
}

/* ---- endpoints ---- */

static void
endpoints_are_those_of_aws_rule_sets (void **state)
{
  static const struct {
    const char *service, *region;
    struct aws_endpoint_options options;
    const char *url;
  } cases[] = {
      {"kms", "eu-central-1", {0}, "https://kms.eu-central-1.amazonaws.com/"},
      {"kms", "eu-central-1", {.fips = true}, "https://kms-fips.eu-central-1.amazonaws.com/"},
      {"kms", "eu-central-1", {.dual_stack = true}, "https://kms.eu-central-1.api.aws/"},
      {"kms",
       "us-east-1",
       {.fips = true, .dual_stack = true},
       "https://kms-fips.us-east-1.api.aws/"},
      {"kms", "cn-north-1", {0}, "https://kms.cn-north-1.amazonaws.com.cn/"},
      {"kms",
       "cn-north-1",
       {.dual_stack = true},
       "https://kms.cn-north-1.api.amazonwebservices.com.cn/"},
      {"kms", "us-gov-west-1", {.fips = true}, "https://kms-fips.us-gov-west-1.amazonaws.com/"},
      {"kms", "us-iso-east-1", {0}, "https://kms.us-iso-east-1.c2s.ic.gov/"},
      {"kms", "eusc-de-east-1", {0}, "https://kms.eusc-de-east-1.amazonaws.eu/"},
      {"sts", "eu-central-1", {0}, "https://sts.eu-central-1.amazonaws.com/"},
      {"sts", "us-east-1", {.fips = true}, "https://sts-fips.us-east-1.amazonaws.com/"},
      {"sts", "us-gov-west-1", {.fips = true}, "https://sts.us-gov-west-1.amazonaws.com/"},
      {"kms", "eu-central-1", {.custom = ""}, "https://kms.eu-central-1.amazonaws.com/"},
      {"kms", "eu-central-1", {.custom = "http://localhost:8443"}, "http://localhost:8443/"},
      {"kms",
       "eu-central-1",
       {.custom = "https://proxy.example/kms/"},
       "https://proxy.example/kms/"},
      {"kms",
       "eu-central-1",
       {.custom = "https://vpce-1-a.kms.eu-central-1.vpce.amazonaws.com"},
       "https://vpce-1-a.kms.eu-central-1.vpce.amazonaws.com/"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    char url[AWS_URL_MAX];
    struct error err = {0};

    if (aws_endpoint (cases[i].service, cases[i].region, &cases[i].options, url, &err) < 0)
      fail_msg ("%s: %s", cases[i].url, err.text);
    assert_string_equal (url, cases[i].url);
  }
}

static void
settings_that_contradict_each_other_are_refused (void **state)
{
  static const struct {
    const char *region;
    struct aws_endpoint_options options;
    const char *says;
  } cases[] = {
      {"moon-base-1", {0}, "region"},
      {"eu-central-1", {.fips = true, .custom = "https://x.example"}, "AWS_USE_FIPS_ENDPOINT"},
      {"eu-central-1", {.dual_stack = true, .custom = "https://x.example"}, "DUALSTACK"},
      {"eu-central-1", {.custom = "ftp://x"}, "URL"},
      {"eu-central-1", {.custom = "x.example"}, "URL"},
      {"eu-central-1", {.custom = "https://user@x.example"}, "URL"},
      {"eu-central-1", {.custom = "https://kms.us-east-1.amazonaws.com"}, "us-east-1"},
      {"eu-central-1",
       {.custom = "https://vpce-1-a.kms.us-east-1.vpce.amazonaws.com"},
       "us-east-1"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    char url[AWS_URL_MAX] = "untouched";
    struct error err = {0};

    if (aws_endpoint ("kms", cases[i].region, &cases[i].options, url, &err) == 0)
      fail_msg ("case %zu gave %s", i, url);
    assert_string_equal (url, "untouched");
    if (!strstr (err.text, cases[i].says))
      fail_msg ("case %zu: %s does not say %s", i, err.text, cases[i].says);
  }
}

/* ---- policies ---- */

static char *
policy_of (const struct policy_request *request)
{
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream (&text, &size);
  struct error err = {0};

  assert_non_null (out);
  if (policy_write (request, out, &err) < 0)
    fail_msg ("%s", err.text);
  fclose (out);
  return text;
}

static void
a_policy_binds_use_to_the_encryption_context (void **state)
{
  const struct policy_request any = {.key = KEY};
  const struct policy_request one = {
      .key = KEY, .principal = "arn:aws:iam::111122223333:role/disk", .volume = ID};
  CLEANUP_FREE
  char *any_text = policy_of (&any);
  CLEANUP_FREE
  char *one_text = policy_of (&one);

  (void)state;
  assert_non_null (strstr (any_text, "\"arn:aws:iam::111122223333:role/ROLE\""));
  assert_non_null (strstr (any_text, "\"Null\": {\"kms:EncryptionContext:keyfence:volume\""));
  assert_non_null (strstr (one_text, "\"arn:aws:iam::111122223333:role/disk\""));
  assert_non_null (strstr (one_text, "\"kms:EncryptionContext:keyfence:volume\": \"" ID "\""));
  assert_null (strstr (one_text, "\"Null\""));
  assert_null (strstr (any_text, "kms:*"));
}

static void
a_policy_is_never_made_of_what_would_break_out_of_it (void **state)
{
  static const struct policy_request bad[] = {
      {.key = KEY, .principal = "x\", \"Effect\": \"Deny"},
      {.key = KEY, .principal = "*"},
      {.key = KEY, .principal = ""},
      {.key = KEY, .volume = "*"},
      {.key = "arn:aws:kms:nowhere"},
      {.key = "file:///etc/kek"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    struct error err = {0};
    FILE *out = tmpfile ();

    assert_int_equal (policy_write (&bad[i], out, &err), -1);
    assert_int_equal (err.class, ERROR_USAGE);
    assert_int_equal (ftell (out), 0);
    fclose (out);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (keys_are_named_by_key_or_alias_arn),
      cmocka_unit_test (other_names_are_refused_and_the_reason_is_said),
      cmocka_unit_test (new_regions_belong_to_the_partition_of_their_prefix),
      cmocka_unit_test (endpoints_are_those_of_aws_rule_sets),
      cmocka_unit_test (settings_that_contradict_each_other_are_refused),
      cmocka_unit_test (a_policy_binds_use_to_the_encryption_context),
      cmocka_unit_test (a_policy_is_never_made_of_what_would_break_out_of_it),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
