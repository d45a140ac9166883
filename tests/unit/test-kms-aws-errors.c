/* What errors of AWS mean: the whole table is walked, in all the forms in which errors come. */
#include "tests/unit/aws-test.h"

#include <time.h>

#include "kms/aws-errors.h"
#include "kms/aws-xml.h"

#define SECRET_IN_MESSAGE "x-amz-security-token:kfPlanted"

static const struct aws_asked kms_asked = {"kms", "Decrypt", AWS_KEY};
static const struct aws_asked sts_asked = {"sts", "AssumeRole", "arn:aws:iam::111122223333:role/r"};

/* An answer whose Date header is `skew_s` from now. */
static void
make_answer (unsigned status, const char *body, int64_t skew_s, struct http_answer *ret)
{
  *ret = (struct http_answer){
      .failure = HTTP_ANSWERED, .status = status, .date_s = (int64_t)time (NULL) + skew_s};
  snprintf (ret->request_id, sizeof ret->request_id, "id-1");
  assert_int_equal (secret_init (&ret->body, strlen (body) + 1, NULL), 0);
  memcpy (ret->body.bytes, body, strlen (body));
  ret->body.size--;
}

static void
classify (const struct aws_asked *asked, unsigned status, const char *body, int64_t skew_s,
          struct kms_outcome *outcome, unsigned *advice)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};

  *outcome = (struct kms_outcome){0};
  make_answer (status, body, skew_s, &answer);
  assert_int_equal (aws_classify (asked, &answer, outcome, advice), -1);
  assert_string_equal (outcome->request_id, "id-1");
}

static void
error_body (const struct aws_asked *asked, const char *name, const char *message, char *ret,
            size_t max)
{
  if (asked == &kms_asked)
    snprintf (ret, max, "{\"__type\":\"com.amazonaws.kms#%s\",\"message\":\"%s\"}", name, message);
  else
    snprintf (ret, max,
              "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
              "<Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>",
              name, message);
}

static void
every_rule_of_the_table_is_reached_whatever_the_status (void **state)
{
  static const unsigned statuses[] = {400, 403, 404, 409, 500, 503};
  const size_t refusals = 4; /* of them: what is denied comes with these only */

  (void)state;
  for (const struct aws_rule *rule = aws_rules; rule->name; rule++) {
    const struct aws_asked *asked =
        rule->service && strcmp (rule->service, "sts") == 0 ? &sts_asked : &kms_asked;
    char body[600];

    error_body (asked, rule->name, rule->hint ? rule->hint : "words", body, sizeof body);
    for (size_t i = 0; i < (rule->class == KMS_DENIED ? refusals : ARRAY_SIZE (statuses)); i++) {
      struct kms_outcome outcome;
      unsigned advice;

      classify (asked, statuses[i], body, 0, &outcome, &advice);
      if (outcome.class != rule->class || strcmp (outcome.reason, rule->reason) != 0
          || advice != rule->advice)
        fail_msg ("%s (%s): %s/%s instead of %s/%s", rule->name, rule->hint ? rule->hint : "",
                  kms_class_name (outcome.class), outcome.reason, kms_class_name (rule->class),
                  rule->reason);
    }
  }
}

static void
classes_are_those_of_the_contract (void **state)
{
  static const struct {
    const char *name, *message;
    enum kms_class class;
    const char *reason;
  } cases[] = {
      {"DisabledException", AWS_KEY " is disabled.", KMS_DENIED, "key_disabled"},
      {"KMSInvalidStateException", AWS_KEY " is pending deletion.", KMS_DENIED, "pending_deletion"},
      {"KMSInvalidStateException", AWS_KEY " is pending deletion (or pending replica deletion).",
       KMS_DENIED, "pending_deletion"},
      {"KMSInvalidStateException", AWS_KEY " is pending import.", KMS_DENIED, "pending_import"},
      {"KMSInvalidStateException", AWS_KEY " is unavailable.", KMS_DENIED, "key_unavailable"},
      {"KMSInvalidStateException", AWS_KEY " is creating.", KMS_OUTAGE, "key_state"},
      {"KMSInvalidStateException", "The external key store proxy did not respond in time.",
       KMS_OUTAGE, "external_key_store"},
      {"AccessDeniedException", "User: x is not authorized", KMS_DENIED, "access_denied"},
      {"NotFoundException", "Key does not exist", KMS_DENIED, "not_found"},
      {"InvalidGrantTokenException", "", KMS_CONFIG, "grant_token"},
      {"IncorrectKeyException", "", KMS_CONFIG, "incorrect_key"},
      {"InvalidKeyUsageException", "", KMS_CONFIG, "key_usage"},
      {"InvalidCiphertextException", "", KMS_CORRUPT, "bad_wrap"},
      {"KeyUnavailableException", "", KMS_OUTAGE, "service_error"},
      {"KMSInternalException", "", KMS_OUTAGE, "service_error"},
      {"DependencyTimeoutException", "", KMS_OUTAGE, "service_error"},
      {"ThrottlingException", "Rate exceeded", KMS_OUTAGE, "throttled"},
      {"LimitExceededException", "", KMS_OUTAGE, "throttled"},
      {"ExpiredTokenException", "", KMS_CREDENTIALS, "credentials_expired"},
      {"UnrecognizedClientException", "", KMS_CREDENTIALS, "credentials_invalid"},
      {"IncompleteSignature", "", KMS_CREDENTIALS, "bad_signature"},
      {"InvalidSignatureException", "The request signature we calculated does not match",
       KMS_CREDENTIALS, "bad_signature"},
      {"InvalidSignatureException",
       "Signature expired: 20260101T000000Z is now earlier than 20260101T000600Z (… - 5 min.)",
       KMS_CLOCK, "clock_skew"},
      {"InvalidSignatureException", "Signature not yet current: …", KMS_CLOCK, "clock_skew"},
      {"SomethingNewException", "", KMS_OUTAGE, "unknown_error"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct kms_outcome outcome;
    unsigned advice;
    char body[600];

    error_body (&kms_asked, cases[i].name, cases[i].message, body, sizeof body);
    classify (&kms_asked, 400, body, 0, &outcome, &advice);
    assert_outcome (&outcome, cases[i].class, cases[i].reason);
  }
}

static void
names_are_read_in_all_the_forms_in_which_they_come (void **state)
{
  static const char *const bodies[] = {
      "{\"__type\":\"DisabledException\",\"Message\":\"m\"}",
      "{\"__type\":\"com.amazonaws.kms#DisabledException\"}",
      "{\"__type\":\"com.amazon.coral.service#DisabledException:http://x/#y\"}",
      "{\"code\":\"DisabledException\"}",
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bodies); i++) {
    struct kms_outcome outcome;
    unsigned advice;

    classify (&kms_asked, 400, bodies[i], 0, &outcome, &advice);
    assert_outcome (&outcome, KMS_DENIED, "key_disabled");
  }
}

/* A gateway that answers for the service, with its words: never a denial. */
static void
a_denial_by_a_redirect_or_a_failing_server_is_none (void **state)
{
  static const unsigned statuses[] = {302, 500, 502, 503};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (statuses); i++) {
    struct kms_outcome outcome;
    char body[600];
    unsigned advice;

    error_body (&kms_asked, "AccessDeniedException", "words", body, sizeof body);
    classify (&kms_asked, statuses[i], body, 0, &outcome, &advice);
    assert_int_equal (outcome.class, KMS_OUTAGE);
  }
}

static void
a_header_names_the_error_when_the_body_does_not (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome outcome = {0};
  unsigned advice;

  (void)state;
  make_answer (400, "", 0, &answer);
  snprintf (answer.error_type, sizeof answer.error_type, "DisabledException:");
  aws_classify (&kms_asked, &answer, &outcome, &advice);
  assert_outcome (&outcome, KMS_DENIED, "key_disabled");
}

static void
answers_that_say_nothing_are_outages (void **state)
{
  static const struct {
    unsigned status;
    const char *body, *reason;
    unsigned advice;
  } cases[] = {
      {400, "", "bad_answer", AWS_GIVE_UP},
      {403, "<html>403 Forbidden</html>", "bad_answer", AWS_GIVE_UP},
      {404, "{\"message\":\"Not Found\"}", "bad_answer", AWS_GIVE_UP},
      {302, "", "bad_answer", AWS_GIVE_UP},
      {201, "{}", "bad_answer", AWS_GIVE_UP},
      {429, "", "throttled", AWS_RETRY},
      {500, "", "service_error", AWS_RETRY},
      {502, "<html>Bad Gateway</html>", "service_error", AWS_RETRY},
      {503, "{\"__type\":\"WhateverException\"}", "service_error", AWS_RETRY},
      {400, "{\"__type\":\"DisabledException\"", "bad_answer", AWS_GIVE_UP},
      {400, "{\"__type\":\"disabledexception\"}", "unknown_error", AWS_GIVE_UP},
      {400, "<ErrorResponse><Error><Code>AccessDenied</Code>", "bad_answer", AWS_GIVE_UP},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct kms_outcome outcome;
    unsigned advice;

    classify (&kms_asked, cases[i].status, cases[i].body, 0, &outcome, &advice);
    assert_outcome (&outcome, KMS_OUTAGE, cases[i].reason);
    assert_int_equal (advice, cases[i].advice);
  }
}

static void
a_denial_to_a_wrong_clock_is_no_denial (void **state)
{
  static const char body[] = "{\"__type\":\"AccessDeniedException\",\"message\":\"m\"}";
  struct kms_outcome outcome;
  unsigned advice;

  (void)state;
  classify (&kms_asked, 400, body, AWS_CLOCK_SKEW_MAX_S + 60, &outcome, &advice);
  assert_outcome (&outcome, KMS_CLOCK, "clock_skew");
  assert_non_null (strstr (outcome.text, "behind"));
  classify (&kms_asked, 400, body, -AWS_CLOCK_SKEW_MAX_S - 60, &outcome, &advice);
  assert_outcome (&outcome, KMS_CLOCK, "clock_skew");
  assert_non_null (strstr (outcome.text, "ahead"));
  classify (&kms_asked, 400, body, AWS_CLOCK_SKEW_MAX_S - 60, &outcome, &advice);
  assert_outcome (&outcome, KMS_DENIED, "access_denied");
}

/* STS repeats the canonical request in the message, with the session token in it. */
static void
messages_that_may_hold_secrets_are_not_shown (void **state)
{
  static const char *const names[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                      "IncompleteSignature",       "UnrecognizedClientException",
                                      "ExpiredTokenException",     "InvalidClientTokenId",
                                      "NoSuchNameException",       "MissingAuthenticationToken"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (names); i++) {
    const struct aws_asked *both[] = {&kms_asked, &sts_asked};

    for (size_t j = 0; j < ARRAY_SIZE (both); j++) {
      struct kms_outcome outcome;
      unsigned advice;
      char body[600];

      error_body (both[j], names[i], SECRET_IN_MESSAGE, body, sizeof body);
      classify (both[j], 403, body, 0, &outcome, &advice);
      assert_null (strstr (outcome.text, "kfPlanted"));
    }
  }
}

static void
a_denial_says_what_the_service_said_and_what_to_do (void **state)
{
  struct kms_outcome outcome;
  unsigned advice;
  char body[300];

  (void)state;
  error_body (&kms_asked, "DisabledException", AWS_KEY " is disabled.", body, sizeof body);
  classify (&kms_asked, 400, body, 0, &outcome, &advice);
  assert_non_null (strstr (outcome.text, "DisabledException: " AWS_KEY " is disabled."));
  assert_non_null (strstr (outcome.text, "EnableKey"));
  assert_non_null (strstr (outcome.text, "refused Decrypt"));
  assert_int_equal (advice, AWS_DISTRUST);
}

/* Nobody should take an outage for a decision of the key's owner. */
static void
an_outage_is_not_called_a_refusal (void **state)
{
  struct kms_outcome outcome;
  unsigned advice;
  char body[300];

  (void)state;
  error_body (&kms_asked, "KMSInternalException", "m", body, sizeof body);
  classify (&kms_asked, 500, body, 0, &outcome, &advice);
  assert_non_null (strstr (outcome.text, "could not do Decrypt"));
  assert_null (strstr (outcome.text, "refused"));
}

static void
xml_is_read_strictly (void **state)
{
  static const char good[] =
      "<?xml version=\"1.0\"?>\n<R><Code>a&amp;b&lt;&quot;</Code><E></E></R>\n";
  static const char *const bad[] = {
      "<Code>a&bogus;</Code>", "<Code>a<b/></Code>", "<Code>a", "<code>a</code>", "Code",
      "<Code>a&am</Code>"};
  char text[32];

  (void)state;
  assert_int_equal (aws_xml_string (good, strlen (good), "Code", text, sizeof text), 0);
  assert_string_equal (text, "a&b<\"");
  assert_int_equal (aws_xml_string (good, strlen (good), "Code", text, 5), -1);
  assert_int_equal (aws_xml_string (good, strlen (good), "E", text, sizeof text), 0);
  assert_string_equal (text, "");
  assert_int_equal (aws_xml_is_whole (good, strlen (good), "R"), 0);
  assert_int_equal (aws_xml_is_whole (good, strlen (good) - 3, "R"), -1);
  assert_int_equal (aws_xml_is_whole (good, strlen (good), "Q"), -1);
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    if (aws_xml_string (bad[i], strlen (bad[i]), "Code", text, sizeof text) == 0)
      fail_msg ("taken: %s", bad[i]);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_rule_of_the_table_is_reached_whatever_the_status),
      cmocka_unit_test (a_denial_by_a_redirect_or_a_failing_server_is_none),
      cmocka_unit_test (classes_are_those_of_the_contract),
      cmocka_unit_test (names_are_read_in_all_the_forms_in_which_they_come),
      cmocka_unit_test (a_header_names_the_error_when_the_body_does_not),
      cmocka_unit_test (answers_that_say_nothing_are_outages),
      cmocka_unit_test (a_denial_to_a_wrong_clock_is_no_denial),
      cmocka_unit_test (messages_that_may_hold_secrets_are_not_shown),
      cmocka_unit_test (a_denial_says_what_the_service_said_and_what_to_do),
      cmocka_unit_test (an_outage_is_not_called_a_refusal),
      cmocka_unit_test (xml_is_read_strictly),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
