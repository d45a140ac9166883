/* What Azure's answers mean: the tables, walked row by row, and what no table knows. */
#include "tests/unit/azure-test.h"

#include <time.h>

#include "kms/azure-error.h"

/* An answer as it would come; cleared by the caller. */
static struct http_answer
answer_of (unsigned status, const char *body)
{
  struct http_answer answer = {.failure = HTTP_ANSWERED, .status = status};

  assert_int_equal (secret_init (&answer.body, strlen (body) + 1, NULL), 0);
  memcpy (answer.body.bytes, body, strlen (body));
  answer.body.size = strlen (body);
  snprintf (answer.request_id, sizeof answer.request_id, "request-1");
  return answer;
}

static bool
classify (enum azure_service service, enum azure_operation operation, unsigned status,
          const char *body, struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = answer_of (status, body);

  *outcome = (struct kms_outcome){0};
  return azure_classify (service, operation, "https://v.vault.azure.net/keys/k", &answer, outcome);
}

/* A body as the service would write it, which names `name`. */
static void
body_with (enum azure_service service, const char *name, char *body, size_t size)
{
  if (service == AZURE_SERVICE_VAULT && strncmp (name, "AKV", 3) == 0)
    snprintf (body, size, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"%s: text\"}}", name);
  else if (service == AZURE_SERVICE_VAULT)
    snprintf (body, size,
              "{\"error\":{\"code\":\"Forbidden\",\"message\":\"text\","
              "\"innererror\":{\"code\":\"%s\"}}}",
              name);
  else if (strncmp (name, "AADSTS", 6) == 0)
    snprintf (body, size, "{\"error\":\"invalid_client\",\"error_description\":\"%s: text\"}",
              name);
  else if (strchr (name, ' '))
    snprintf (body, size, "{\"error\":\"invalid_request\",\"error_description\":\"%s\"}", name);
  else
    snprintf (body, size, "{\"error\":\"%s\",\"error_description\":\"text\"}", name);
}

static enum azure_operation
operation_of (const struct azure_row *row)
{
  if (row->operations == 0 || (row->operations & AZURE_UNWRAP))
    return AZURE_UNWRAP;
  return row->operations & AZURE_WRAP ? AZURE_WRAP : AZURE_GET;
}

static void
every_row_of_every_table_is_what_its_answer_means (void **state)
{
  struct kms_outcome outcome;
  char body[400];

  (void)state;
  for (int service = 0; service < AZURE_SERVICE_COUNT; service++)
    for (const struct azure_row *row = azure_rows[service]; row->name; row++) {
      unsigned status = row->status ? row->status : 400;
      bool retry;

      body_with (service, *row->name == '*' ? "NeverSeen" : row->name, body, sizeof body);
      retry = classify (service, operation_of (row), status, body, &outcome);
      assert_outcome (&outcome, row->class, row->reason);
      assert_int_equal (retry, row->retry);
      assert_string_equal (outcome.request_id, "request-1");
      assert_true (row->class != KMS_OK);
      assert_true (strlen (row->advice) < 160);
    }
}

/* What the tables have to say, whatever they look like: Microsoft's error pages. */
static void
the_answers_that_count_have_their_class (void **state)
{
  static const struct {
    unsigned status;
    const char *body;
    enum kms_class class;
    const char *reason;
  } cases[] = {
      {403,
       "{\"error\":{\"code\":\"Forbidden\",\"message\":\"Operation unwrapKey is not allowed on a "
       "disabled key.\",\"innererror\":{\"code\":\"KeyDisabled\"}}}",
       KMS_DENIED, "key_disabled"},
      {403, "{\"error\":{\"code\":\"Forbidden\",\"innerError\":{\"code\":\"ForbiddenByRbac\"}}}",
       KMS_DENIED, "access_denied"},
      {403,
       "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"AccessDenied\","
       "\"innererror\":{\"code\":\"ForbiddenByPolicy\"}}}}",
       KMS_DENIED, "access_denied"},
      {403, "{\"error\":{\"code\":\"ForbiddenByRbac\",\"message\":\"x\"}}", KMS_DENIED,
       "access_denied"},
      {403,
       "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"ForbiddenByFirewall\"}}}",
       KMS_DENIED, "firewall"},
      {404, "{\"error\":{\"code\":\"KeyNotFound\",\"message\":\"x\"}}", KMS_DENIED, "not_found"},
      {400, "{\"error\":{\"code\":\"BadParameter\",\"message\":\"x\"}}", KMS_CORRUPT, "bad_wrap"},
      {401, "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10032: Invalid issuer.\"}}",
       KMS_CREDENTIALS, "wrong_tenant"},
      {401, "", KMS_CREDENTIALS, "token_refused"},
      {429, "{\"error\":{\"code\":\"Throttled\",\"message\":\"x\"}}", KMS_OUTAGE, "throttled"},
      {429, "<html>", KMS_OUTAGE, "throttled"},
      {503, "<html>busy</html>", KMS_OUTAGE, "service_error"},
      {500, "{\"error\":{\"code\":\"InternalServerError\"}}", KMS_OUTAGE, "service_error"},
  };
  struct kms_outcome outcome;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, cases[i].status, cases[i].body, &outcome);
    assert_outcome (&outcome, cases[i].class, cases[i].reason);
  }
}

static void
what_no_table_knows_is_neither_ok_nor_denied (void **state)
{
  static const char *const bodies[] = {
      "",
      "null",
      "[]",
      "{}",
      "<html>Forbidden</html>",
      "{\"error\":null}",
      "{\"error\":7}",
      "{\"error\":{\"code\":null}}",
      "{\"error\":{\"code\":\"Forbidden\"}}",
      "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"BrandNew\"}}}",
      "{\"error\":{\"code\":\"keydisabled\"}}",
      "{\"error\":{\"message\":\"KeyDisabled\"}}",
      "{\"code\":\"KeyDisabled\"}",
      "{\"error\":{\"code\":\"KeyDisabled\"}",
      "{\"error\":{\"code\":\"KeyDisabled\",\"code\":\"KeyDisabled\"}}",
  };
  static const unsigned statuses[] = {100, 200, 204, 301, 302, 307, 400, 401, 402, 403,
                                      404, 405, 408, 409, 410, 411, 418, 421, 429, 431,
                                      451, 500, 501, 502, 503, 504, 511, 599};
  struct kms_outcome outcome;

  (void)state;
  for (int service = 0; service < AZURE_SERVICE_COUNT; service++)
    for (size_t s = 0; s < ARRAY_SIZE (statuses); s++)
      for (size_t i = 0; i < ARRAY_SIZE (bodies); i++) {
        classify (service, AZURE_UNWRAP, statuses[s], bodies[i], &outcome);
        if (outcome.class == KMS_OK || outcome.class == KMS_DENIED || outcome.class == KMS_CORRUPT)
          fail_msg ("%u %s is %s", statuses[s], bodies[i], kms_class_name (outcome.class));
      }
}

static void
a_denial_needs_its_status_as_well_as_its_name (void **state)
{
  static const char *const names[] = {"KeyDisabled", "ForbiddenByRbac", "KeyNotFound"};
  struct kms_outcome outcome;
  char body[300];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (names); i++)
    for (unsigned status = 400; status < 430; status++) {
      body_with (AZURE_SERVICE_VAULT, names[i], body, sizeof body);
      classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, status, body, &outcome);
      assert_int_equal (outcome.class == KMS_DENIED,
                        status == (strcmp (names[i], "KeyNotFound") == 0 ? 404 : 403));
    }
}

static void
a_bad_parameter_means_damage_only_where_something_was_to_be_unwrapped (void **state)
{
  static const char body[] = "{\"error\":{\"code\":\"BadParameter\",\"message\":\"x\"}}";
  struct kms_outcome outcome;

  (void)state;
  classify (AZURE_SERVICE_VAULT, AZURE_WRAP, 400, body, &outcome);
  assert_outcome (&outcome, KMS_CONFIG, "bad_parameter");
  classify (AZURE_SERVICE_VAULT, AZURE_GET, 400, body, &outcome);
  assert_outcome (&outcome, KMS_CONFIG, "bad_parameter");
}

static void
no_answer_is_never_a_denial_and_a_missing_name_has_its_own_reason (void **state)
{
  (void)state;
  for (int failure = 1; failure < HTTP_FAILURE_COUNT; failure++) {
    struct http_answer answer = {.failure = failure, .detail = "why"};
    struct kms_outcome outcome = {0};

    azure_classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, "https://v.vault.azure.net", &answer,
                    &outcome);
    assert_int_equal (outcome.class, failure == HTTP_REFUSED ? KMS_CONFIG : KMS_OUTAGE);
    assert_int_equal (strcmp (outcome.reason, "nxdomain") == 0, failure == HTTP_NXDOMAIN);
    assert_true (strlen (outcome.reason) > 0);
  }
}

static void
a_refused_token_is_blamed_on_the_clock_when_that_is_wrong (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = answer_of (401, "");
  struct kms_outcome outcome = {0};

  (void)state;
  answer.date_s = time (NULL) - 100;
  azure_classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, "v", &answer, &outcome);
  assert_outcome (&outcome, KMS_CREDENTIALS, "token_refused");
  answer.date_s = time (NULL) - 4000;
  azure_classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, "v", &answer, &outcome);
  assert_outcome (&outcome, KMS_CLOCK, "clock_skew");
  assert_non_null (strstr (outcome.text, "ahead"));
  answer.date_s = time (NULL) + 4000;
  azure_classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, "v", &answer, &outcome);
  assert_outcome (&outcome, KMS_CLOCK, "clock_skew");
  assert_non_null (strstr (outcome.text, "behind"));
}

static void
a_wrong_clock_does_not_excuse_a_disabled_key (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = answer_of (
      403, "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"KeyDisabled\"}}}");
  struct kms_outcome outcome = {0};

  (void)state;
  answer.date_s = time (NULL) - 4000;
  azure_classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, "v", &answer, &outcome);
  assert_outcome (&outcome, KMS_DENIED, "key_disabled");
}

static void
texts_of_the_service_are_made_fit_for_a_log (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, 403,
            "{\"error\":{\"code\":\"KeyDisabled\",\"message\":\"a\\u001b[31mb\\r\\nsecond line\"}}",
            &outcome);
  assert_outcome (&outcome, KMS_DENIED, "key_disabled");
  assert_null (strchr (outcome.text, '\x1b'));
  assert_null (strchr (outcome.text, '\n'));
  assert_null (strstr (outcome.text, "second line"));
}

static void
inner_errors_are_read_to_a_bounded_depth (void **state)
{
  char body[20000] = "{\"error\":";
  struct azure_error error;
  size_t used = strlen (body);

  (void)state;
  for (int i = 0; i < 400; i++)
    used +=
        (size_t)snprintf (body + used, sizeof body - used, "{\"code\":\"c%d\",\"innererror\":", i);
  used += (size_t)snprintf (body + used, sizeof body - used, "null");
  for (int i = 0; i < 400; i++)
    used += (size_t)snprintf (body + used, sizeof body - used, "}");
  snprintf (body + used, sizeof body - used, "}");
  azure_error_parse (body, strlen (body), &error);
  assert_in_range (error.count, 1, 5);
  assert_string_equal (error.names[0], "c0");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (every_row_of_every_table_is_what_its_answer_means),
      TEST (the_answers_that_count_have_their_class),
      TEST (what_no_table_knows_is_neither_ok_nor_denied),
      TEST (a_denial_needs_its_status_as_well_as_its_name),
      TEST (a_bad_parameter_means_damage_only_where_something_was_to_be_unwrapped),
      TEST (no_answer_is_never_a_denial_and_a_missing_name_has_its_own_reason),
      TEST (a_refused_token_is_blamed_on_the_clock_when_that_is_wrong),
      TEST (a_wrong_clock_does_not_excuse_a_disabled_key),
      TEST (texts_of_the_service_are_made_fit_for_a_log),
      TEST (inner_errors_are_read_to_a_bounded_depth),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
