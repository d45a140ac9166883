/* The simulator's verification of AWS signatures, by the figures of AWS's own suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "tests/unit/sigv4-vectors.h"
#include "tools/sim/aws-sigv4.h"

static struct request
request_of (const struct sigv4_vector *vector)
{
  struct request request = {.method = vector->method,
                            .path = vector->path,
                            .query = vector->query,
                            .body = vector->body,
                            .body_size = strlen (vector->body)};

  while (request.header_count < VECTOR_HEADERS_MAX && vector->headers[request.header_count].name) {
    request.headers[request.header_count] = vector->headers[request.header_count];
    request.header_count++;
  }
  return request;
}

static void
every_step_to_the_signature_is_that_of_the_suite (void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (sigv4_vectors); i++) {
    const struct sigv4_vector *vector = &sigv4_vectors[i];
    struct request request = request_of (vector);
    struct sigv4 auth;
    enum sigv4_result result = sigv4_parse (&request, &auth);
    CLEANUP_FREE
    char *canonical = sigv4_canonical_request (&auth, &request);
    CLEANUP_FREE
    char *text = sigv4_string_to_sign (&auth, canonical);

    assert_int_equal (result, vector->token_unsigned ? SIGV4_INCOMPLETE : SIGV4_OK);
    assert_string_equal (canonical, vector->canonical);
    assert_string_equal (text, vector->string_to_sign);
    assert_string_equal (auth.signature, vector->signature);
    assert_int_equal (sigv4_check_signature (&auth, &request, VECTOR_SECRET), SIGV4_OK);
  }
}

static void
another_secret_is_a_mismatch (void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (sigv4_vectors); i++) {
    struct request request = request_of (&sigv4_vectors[i]);
    struct sigv4 auth;

    (void)!sigv4_parse (&request, &auth);
    assert_int_equal (sigv4_check_signature (&auth, &request, VECTOR_SECRET "x"), SIGV4_MISMATCH);
  }
}

static void
any_changed_part_of_the_request_is_a_mismatch (void **state)
{
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (sigv4_vectors); i++) {
    struct request request = request_of (&sigv4_vectors[i]), changed = request;
    struct sigv4 auth;

    (void)!sigv4_parse (&request, &auth);
    changed.method = "PUT";
    assert_int_equal (sigv4_check_signature (&auth, &changed, VECTOR_SECRET), SIGV4_MISMATCH);
    changed = request;
    changed.path = "/x";
    assert_int_equal (sigv4_check_signature (&auth, &changed, VECTOR_SECRET), SIGV4_MISMATCH);
    changed = request;
    changed.query = "a=b";
    assert_int_equal (sigv4_check_signature (&auth, &changed, VECTOR_SECRET), SIGV4_MISMATCH);
    changed = request;
    changed.body = "x";
    changed.body_size = 1;
    assert_int_equal (sigv4_check_signature (&auth, &changed, VECTOR_SECRET), SIGV4_MISMATCH);
    changed = request;
    changed.headers[0].value = "other"; /* Host or Content-Type, both signed */
    assert_int_equal (sigv4_check_signature (&auth, &changed, VECTOR_SECRET), SIGV4_MISMATCH);
    changed = request;
    changed.headers[0].name = "gone";
    assert_int_equal (sigv4_check_signature (&auth, &changed, VECTOR_SECRET), SIGV4_MISMATCH);
  }
}

static void
a_time_is_good_five_minutes_either_way_and_no_longer (void **state)
{
  static const struct {
    int64_t off_s;
    enum sigv4_result result;
  } table[] = {
      {0, SIGV4_OK}, {300, SIGV4_OK}, {-300, SIGV4_OK}, {301, SIGV4_EXPIRED}, {-301, SIGV4_EARLY}};
  struct request request = request_of (&sigv4_vectors[1]);
  struct sigv4 auth;

  (void)state;
  assert_int_equal (sigv4_parse (&request, &auth), SIGV4_OK);
  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    assert_int_equal (sigv4_check_scope (&auth, "service", VECTOR_TIME_S + table[i].off_s, 300),
                      table[i].result);
  assert_int_equal (sigv4_check_scope (&auth, "kms", VECTOR_TIME_S, 300), SIGV4_SCOPE);
}

/* The result for an Authorization header (behind the algorithm's name) beside good headers. */
static enum sigv4_result
parse_text (const char *authorization)
{
  struct request request = request_of (&sigv4_vectors[1]);
  struct sigv4 auth;

  for (size_t i = 0; i < request.header_count; i++)
    if (strcmp (request.headers[i].name, "Authorization") == 0)
      request.headers[i].value = authorization;
  return sigv4_parse (&request, &auth);
}

#define SIGNATURE "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

static void
a_header_that_can_not_be_taken_apart_is_incomplete (void **state)
{
  static const char *const bad[] = {
      "",
      "AWS4-HMAC-SHA256",
      "AWS4-HMAC-SHA256 ",
      "Bearer abc",
      "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host;x-amz-date, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service, SignedHeaders=host;x-amz-date, "
      "Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/other, "
      "SignedHeaders=host;x-amz-date, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A//us-east-1/service/aws4_request, "
      "SignedHeaders=host;x-amz-date, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=x-amz-date, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, SignedHeaders=host, "
      "Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=x-amz-date;host, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=Host;x-amz-date, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=host;;x-amz-date, Signature=" SIGNATURE,
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=host;x-amz-date, Signature=5fa0",
      "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, "
      "SignedHeaders=host;x-amz-date",
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_int_equal (parse_text (bad[i]), SIGV4_INCOMPLETE);
  assert_int_equal (
      parse_text ("AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request,"
                  "SignedHeaders=host;x-amz-date,Signature=" SIGNATURE),
      SIGV4_OK);
}

static void
no_header_at_all_is_missing (void **state)
{
  struct request request = {.method = "GET", .path = "/", .query = "", .body = ""};
  struct sigv4 auth;

  (void)state;
  assert_int_equal (sigv4_parse (&request, &auth), SIGV4_MISSING);
}

static void
a_time_is_read_strictly (void **state)
{
  static const char *const bad[] = {"20150830T123600",  "20151330T123600Z", "2015-08-30T12:36Z",
                                    "20150830T126000Z", "+0150830T123600Z", ""};
  char text[SIGV4_TIME_MAX];
  int64_t t = 77;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_int_equal (sigv4_parse_time (bad[i], &t), -1);
  assert_int_equal (t, 77);
  assert_int_equal (sigv4_parse_time ("20150830T123600Z", &t), 0);
  assert_int_equal (t, VECTOR_TIME_S);
  sigv4_format_time (t, text);
  assert_string_equal (text, "20150830T123600Z");
}

static void
a_query_is_sorted_and_encoded_again (void **state)
{
  struct request request = request_of (&sigv4_vectors[1]);
  struct sigv4 auth;
  CLEANUP_FREE
  char *canonical = NULL;

  (void)state;
  request.query = "b=2&a=%7e%2F&a=1&c";
  assert_int_equal (sigv4_parse (&request, &auth), SIGV4_OK);
  canonical = sigv4_canonical_request (&auth, &request);
  assert_non_null (strstr (canonical, "\na=1&a=~%2F&b=2&c=\n"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_step_to_the_signature_is_that_of_the_suite),
      cmocka_unit_test (another_secret_is_a_mismatch),
      cmocka_unit_test (any_changed_part_of_the_request_is_a_mismatch),
      cmocka_unit_test (a_time_is_good_five_minutes_either_way_and_no_longer),
      cmocka_unit_test (a_header_that_can_not_be_taken_apart_is_incomplete),
      cmocka_unit_test (no_header_at_all_is_missing),
      cmocka_unit_test (a_time_is_read_strictly),
      cmocka_unit_test (a_query_is_sorted_and_encoded_again),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
