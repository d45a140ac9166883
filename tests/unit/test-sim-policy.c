/* What the simulator makes of IAM policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "tools/sim/aws-policy.h"

#define ARN "arn:aws:iam::111122223333:role/app"

static enum policy_answer
ask_policy (const char *text, const struct json *context)
{
  CLEANUP_JSON struct json *policy = json_parse (text, strlen (text));
  struct policy_question question = {.action = "kms:Decrypt",
                                     .resource = "arn:aws:kms:us-east-1:111122223333:key/1",
                                     .principal_arn = ARN,
                                     .session_arn = "arn:aws:sts::111122223333:assumed-role/app/s",
                                     .account = "111122223333",
                                     .context = context};
  char why[160];

  assert_non_null (policy);
  assert_int_equal (aws_policy_check (text, why, sizeof why), 0);
  return aws_policy_ask (policy, &question, true);
}

#define STATEMENT(effect, principal, action, more)                            \
  "{\"Effect\":\"" effect "\",\"Principal\":" principal ",\"Action\":" action \
  ",\"Resource\":\"*\"" more "}"
#define POLICY(...) "{\"Statement\":[" __VA_ARGS__ "]}"
#define ROOT "{\"AWS\":\"arn:aws:iam::111122223333:root\"}"
#define ME "{\"AWS\":\"" ARN "\"}"
#define ONLY_V ",\"Condition\":{\"StringEquals\":{\"kms:EncryptionContext:v\":[\"0\",\"1\"]}}"

static void
a_policy_allows_whom_it_names_and_a_denial_wins (void **state)
{
  static const struct {
    const char *policy;
    enum policy_answer answer;
  } table[] = {
      {POLICY (), POLICY_SILENT},
      {POLICY (STATEMENT ("Allow", ROOT, "\"kms:*\"", "")), POLICY_ALLOW_ACCOUNT},
      {POLICY (STATEMENT ("Allow", "{\"AWS\":\"111122223333\"}", "\"*\"", "")),
       POLICY_ALLOW_ACCOUNT},
      {POLICY (STATEMENT ("Allow", ME, "\"kms:Decrypt\"", "")), POLICY_ALLOW},
      {POLICY (STATEMENT ("Allow", ME, "\"KMS:decrypt\"", "")), POLICY_ALLOW},
      {POLICY (STATEMENT ("Allow", ME, "[\"kms:Encrypt\",\"kms:De*t\"]", "")), POLICY_ALLOW},
      {POLICY (STATEMENT ("Allow", ME, "\"kms:Encrypt\"", "")), POLICY_SILENT},
      {POLICY (STATEMENT ("Allow", "\"*\"", "\"kms:Decrypt\"", "")), POLICY_ALLOW},
      {POLICY (STATEMENT ("Allow", "{\"AWS\":\"arn:aws:iam::999988887777:root\"}", "\"*\"", "")),
       POLICY_SILENT},
      {POLICY (STATEMENT ("Allow", "{\"Service\":\"ec2.amazonaws.com\"}", "\"*\"", "")),
       POLICY_SILENT},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"", "") "," STATEMENT ("Deny", ROOT, "\"*\"", "")),
       POLICY_DENY},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"", ONLY_V)), POLICY_ALLOW},
      {POLICY (STATEMENT ("Deny", ME, "\"*\"", ONLY_V)), POLICY_DENY},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"",
                          ",\"Condition\":{\"StringEquals\":{\"kms:EncryptionContext:v\":\"2\"}}")),
       POLICY_SILENT},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"",
                          ",\"Condition\":{\"Null\":{\"kms:EncryptionContext:v\":\"true\"}}")),
       POLICY_SILENT},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"",
                          ",\"Condition\":{\"Null\":{\"kms:ViaService\":\"true\"}}")),
       POLICY_ALLOW},
      {POLICY (STATEMENT ("Deny", ME, "\"*\"",
                          ",\"Condition\":{\"StringNotEquals\":{\"aws:SourceVpce\":\"v\"}}")),
       POLICY_DENY},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"",
                          ",\"Condition\":{\"ForAllValues:StringEquals\":"
                          "{\"kms:EncryptionContextKeys\":[\"v\",\"w\"]}}")),
       POLICY_ALLOW},
      {POLICY (STATEMENT ("Allow", ME, "\"*\"",
                          ",\"Condition\":{\"StringLike\":{\"kms:EncryptionContext:v\":\"?\"},"
                          "\"StringEqualsIfExists\":{\"kms:ViaService\":\"x\"}}")),
       POLICY_ALLOW},
  };
  CLEANUP_JSON struct json *context = json_object_new ();

  (void)state;
  json_set_string (context, "v", "1");
  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (ask_policy (table[i].policy, context) != table[i].answer)
      fail_msg ("%s: %d", table[i].policy, ask_policy (table[i].policy, context));
  assert_int_equal (ask_policy (POLICY (STATEMENT ("Allow", ME, "\"*\"", ONLY_V)), NULL),
                    POLICY_SILENT);
}

static void
a_policy_that_is_not_understood_whole_is_refused (void **state)
{
  static const char *const bad[] = {
      "",
      "[]",
      "{}",
      "{\"Statement\":[1]}",
      "{\"Statement\":{\"Effect\":\"Maybe\",\"Action\":\"*\",\"Resource\":\"*\"}}",
      "{\"Statement\":{\"Effect\":\"Allow\",\"NotAction\":\"*\",\"Resource\":\"*\"}}",
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":[1],\"Resource\":\"*\"}}",
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\"}}",
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{"
      "\"IpAddress\":{\"aws:SourceIp\":\"1.2.3.4\"}}}}",
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{"
      "\"StringEquals\":{\"a\":1}}}}",
  };
  char why[160];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_int_equal (aws_policy_check (bad[i], why, sizeof why), -1);
}

static void
a_pattern_matches_as_shells_do (void **state)
{
  (void)state;
  assert_true (aws_pattern_fits ("", ""));
  assert_true (aws_pattern_fits ("*", ""));
  assert_true (aws_pattern_fits ("a*b*c", "aXbYbZc"));
  assert_true (aws_pattern_fits ("a?c", "abc"));
  assert_false (aws_pattern_fits ("a?c", "ac"));
  assert_false (aws_pattern_fits ("a*b", "abc"));
  assert_false (aws_pattern_fits ("abc", "ab"));
  assert_false (aws_pattern_fits ("[a]", "a"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_policy_allows_whom_it_names_and_a_denial_wins),
      cmocka_unit_test (a_policy_that_is_not_understood_whole_is_refused),
      cmocka_unit_test (a_pattern_matches_as_shells_do),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
