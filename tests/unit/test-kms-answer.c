/* Answers and texts that hold secrets: JSON read where it lies, base64 without traces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/encode.h"
#include "kms/answer.h"
#include "kms/handover.h"
#include "kms/http-answer.h"
#include "kms/secret-text.h"

static struct answer
answer_of (const char *text)
{
  struct answer answer = {0};

  if (answer_init (&answer, text, strlen (text)) < 0)
    fail_msg ("refused: %s", text);
  return answer;
}

/* ---- JSON ---- */

static void
only_whole_valid_objects_are_answers (void **state)
{
  static const char *const good[] = {
      "{}",
      " {\"a\":1}\r\n",
      "{\"a\":[1,2,{\"b\":null}],\"c\":\"\\u00e9\\\"\"}",
      "{\"a\":-0.5e+10,\"b\":true,\"c\":false}",
      "{\"a\":[]}",
      "{\"a\":{}}",
  };
  static const char *const bad[] = {
      "",
      "[]",
      "\"a\"",
      "{",
      "{\"a\"}",
      "{\"a\":}",
      "{\"a\":1,}",
      "{\"a\":1}x",
      "{\"a\":01}",
      "{\"a\":.5}",
      "{\"a\":1.}",
      "{\"a\":tru}",
      "{a:1}",
      "{\"a\":1",
      "{\"a\":\"b}",
      "{\"a\":\"\n\"}",
      "{\"a\":\"\\x\"}",
      "{\"a\":\"\\u12\"}",
      "{\"a\":[1,]}",
      "{\"a\":[1 2]}",
      "{\"a\":+1}",
      "<html></html>",
      "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
      "{\"a\" 1}",
      "{\"a\":1e}",
      "nul",
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (good); i++)
    (void)answer_of (good[i]);
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    struct answer answer;

    if (answer_init (&answer, bad[i], strlen (bad[i])) == 0)
      fail_msg ("taken: %s", bad[i]);
  }
}

static void
every_cut_of_an_answer_is_refused (void **state)
{
  static const char text[] = "{\"Plaintext\":\"QUJD\\u00e9\",\"n\":[1,{\"a\":true}],\"x\":-1.5e3}";

  (void)state;
  for (size_t size = 0; size < strlen (text); size++) {
    struct answer answer;

    if (answer_init (&answer, text, size) == 0)
      fail_msg ("taken: %.*s", (int)size, text);
  }
}

static void
members_are_found_by_their_path (void **state)
{
  struct answer answer =
      answer_of ("{\"b\":{\"c\":{\"d\":\"deep\"},\"e\":5},\"a\":\"x\",\"s\":\"7\","
                 "\"f\":1.5,\"t\":true,\"arr\":[\"p\",\"q\\\"\"]}");
  char text[16];
  int64_t n;
  double d;
  bool b;

  (void)state;
  assert_int_equal (answer_string (&answer, "b/c/d", text, sizeof text), 0);
  assert_string_equal (text, "deep");
  assert_int_equal (answer_int64 (&answer, "b/e", &n), 0);
  assert_int_equal (n, 5);
  assert_int_equal (answer_int64 (&answer, "s", &n), 0);
  assert_int_equal (n, 7);
  assert_int_equal (answer_number (&answer, "f", &d), 0);
  assert_true (d == 1.5);
  assert_int_equal (answer_bool (&answer, "t", &b), 0);
  assert_true (b);
  assert_true (answer_array_has (&answer, "arr", "p"));
  assert_false (answer_array_has (&answer, "arr", "q"));
  assert_false (answer_has (&answer, "d"));
  assert_false (answer_has (&answer, "a/x"));
  assert_int_equal (answer_string (&answer, "b", text, sizeof text), -1);
  assert_int_equal (answer_bool (&answer, "a", &b), -1);
  assert_int_equal (answer_int64 (&answer, "a", &n), -1);
}

static void
a_member_that_comes_twice_is_no_member (void **state)
{
  struct answer answer = answer_of ("{\"a\":\"1\",\"b\":{\"c\":\"x\",\"c\":\"y\"},\"a\":\"2\"}");
  char text[16] = "untouched";

  (void)state;
  assert_int_equal (answer_string (&answer, "a", text, sizeof text), -1);
  assert_int_equal (answer_string (&answer, "b/c", text, sizeof text), -1);
  assert_string_equal (text, "untouched");
}

static void
strings_are_unescaped_or_refused (void **state)
{
  struct answer answer =
      answer_of ("{\"a\":\"\\u00e9\\n\\/\\\\\\ud83d\\ude00\",\"nul\":\"a\\u0000b\","
                 "\"half\":\"\\ud83d x\",\"low\":\"\\ude00\"}");
  char text[32];

  (void)state;
  assert_int_equal (answer_string (&answer, "a", text, sizeof text), 0);
  assert_string_equal (text, "\xc3\xa9\n/\\\xf0\x9f\x98\x80");
  assert_int_equal (answer_string (&answer, "a", text, 5), -1);
  assert_int_equal (answer_string (&answer, "nul", text, sizeof text), -1);
  assert_int_equal (answer_string (&answer, "half", text, sizeof text), -1);
  assert_int_equal (answer_string (&answer, "low", text, sizeof text), -1);
}

/* ---- base64 ---- */

static void
base64_of_all_lengths_comes_back (void **state)
{
  uint8_t bytes[256];

  (void)state;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 7 + 3);
  for (size_t size = 1; size <= sizeof bytes; size++) {
    CLEANUP_SECRET_TEXT struct secret_text text = {0}, url = {0};
    CLEANUP_SECRET struct secret back = {0}, back_url = {0};
    CLEANUP_FREE
    char *expected = base64_encode (bytes, size);

    assert_int_equal (secret_text_init (&text, 400), 0);
    assert_int_equal (secret_text_init (&url, 400), 0);
    secret_text_add_base64 (&text, bytes, size, BASE64_STANDARD);
    secret_text_add_base64 (&url, bytes, size, BASE64_URL);
    assert_string_equal (secret_text_get (&text), expected);
    assert_null (strpbrk (secret_text_get (&url), "+/="));
    assert_int_equal (
        secret_base64_decode (secret_text_get (&text), text.length, BASE64_STANDARD, &back), 0);
    assert_int_equal (
        secret_base64_decode (secret_text_get (&url), url.length, BASE64_URL, &back_url), 0);
    assert_true (back.size == size && back_url.size == size);
    assert_memory_equal (back.bytes, bytes, size);
    assert_memory_equal (back_url.bytes, bytes, size);
  }
}

static void
what_is_not_strictly_base64_is_refused (void **state)
{
  static const char *const bad[] = {"",     "A",    "AA",   "AAA",   "AA=",  "A===",     "====",
                                    "AB==", "AAB=", "AA A", "AAA\n", "AA-_", "AAA=AAAA", "AAAé"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    CLEANUP_SECRET struct secret out = {0};

    if (secret_base64_decode (bad[i], strlen (bad[i]), BASE64_STANDARD, &out) == 0)
      fail_msg ("taken: %s", bad[i]);
  }
  for (unsigned c = 1; c < 256; c++) {
    CLEANUP_SECRET struct secret out = {0};
    char text[] = {'A', 'A', 'A', (char)c, '\0'};
    bool good = c < 128
                && (strchr ("+/", (int)c) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
                    || (c >= 'a' && c <= 'z') || c == '=');

    if ((secret_base64_decode (text, 4, BASE64_STANDARD, &out) == 0) != good)
      fail_msg ("character %u", c);
  }
}

static void
a_text_that_does_not_fit_is_noticed (void **state)
{
  CLEANUP_SECRET_TEXT struct secret_text text = {0}, encoded = {0};

  (void)state;
  assert_int_equal (secret_text_init (&text, 5), 0);
  secret_text_add (&text, "12345");
  assert_string_equal (secret_text_get (&text), "12345");
  secret_text_add (&text, "6");
  assert_null (secret_text_get (&text));
  secret_text_add (&text, "");
  assert_null (secret_text_get (&text));
  assert_int_equal (secret_text_init (&encoded, 10), 0);
  secret_text_add_encoded (&encoded, "a b/~é");
  assert_null (secret_text_get (&encoded));
}

static void
texts_are_escaped_for_where_they_go (void **state)
{
  CLEANUP_SECRET_TEXT struct secret_text text = {0};

  (void)state;
  assert_int_equal (secret_text_init (&text, 200), 0);
  secret_text_add_json (&text, "a\"\\\n");
  secret_text_add (&text, "&");
  secret_text_add_encoded (&text, "a b/+=&~-._é");
  assert_string_equal (secret_text_get (&text), "\"a\\\"\\\\\\u000a\"&a%20b%2F%2B%3D%26~-._%C3%A9");
}

/* ---- headers ---- */

static void
take_headers (struct http_answer *answer, const char *const lines[])
{
  for (size_t i = 0; lines[i]; i++)
    http_answer_header (answer, lines[i], strlen (lines[i]));
}

static void
headers_that_matter_are_kept_and_bounded (void **state)
{
  static const char *const lines[] = {
      "HTTP/1.1 100 Continue\r\n",
      "x-amzn-RequestId: interim\r\n",
      "HTTP/1.1 401 No\r\n",
      "X-AMZN-REQUESTID:  abc \r\n",
      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
      "WWW-Authenticate: Bearer a=\"1\"\r\n",
      "WWW-Authenticate: Basic realm=x\r\n",
      "junk\r\n",
      "Retry-After: 12345678901234567890123456789012345678901234567890\r\n",
      "\r\n",
      NULL};
  struct http_answer answer = {0};

  (void)state;
  take_headers (&answer, lines);
  assert_string_equal (answer.request_id, "abc");
  assert_int_equal (answer.date_s, 784111777);
  assert_string_equal (answer.www_authenticate, "Bearer a=\"1\", Basic realm=x");
  assert_int_equal (strlen (answer.retry_after), sizeof answer.retry_after - 1);
}

static void
a_date_that_is_none_is_no_date (void **state)
{
  static const char *const bad[] = {"Date: yesterday\r\n", "Date: \r\n", "Date\r\n",
                                    "Date: Sun, 06 Nov 1994 08:49:37 GMT+1\r\n",
                                    "Date: Sun, 06 Nov 1901 08:49:37 GMT\r\n"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    struct http_answer answer = {0};

    http_answer_header (&answer, bad[i], strlen (bad[i]));
    assert_int_equal (answer.date_s, 0);
  }
}

/* ---- to a child ---- */

static void
what_is_handed_over_comes_out_whole_once (void **state)
{
  CLEANUP_SECRET struct secret in = {0}, out = {0}, again = {0};
  CLEANUP_CLOSE int fd = -1;

  (void)state;
  assert_int_equal (secret_random (&in, HANDOVER_MAX, NULL), 0);
  assert_int_equal (handover_give (&in, &fd), 0);
  assert_int_equal (handover_take (fd, &out), 0);
  assert_true (secret_equal (&in, &out));
  assert_int_equal (handover_take (fd, &again), -1);
}

static void
too_much_is_not_handed_over (void **state)
{
  CLEANUP_SECRET struct secret in = {0}, none = {0};
  int fd = -1;

  (void)state;
  assert_int_equal (secret_random (&in, HANDOVER_MAX + 1, NULL), 0);
  assert_int_equal (handover_give (&in, &fd), -1);
  assert_int_equal (handover_give (&none, &fd), -1);
  assert_int_equal (fd, -1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (only_whole_valid_objects_are_answers),
      cmocka_unit_test (every_cut_of_an_answer_is_refused),
      cmocka_unit_test (members_are_found_by_their_path),
      cmocka_unit_test (a_member_that_comes_twice_is_no_member),
      cmocka_unit_test (strings_are_unescaped_or_refused),
      cmocka_unit_test (base64_of_all_lengths_comes_back),
      cmocka_unit_test (what_is_not_strictly_base64_is_refused),
      cmocka_unit_test (a_text_that_does_not_fit_is_noticed),
      cmocka_unit_test (texts_are_escaped_for_where_they_go),
      cmocka_unit_test (headers_that_matter_are_kept_and_bounded),
      cmocka_unit_test (a_date_that_is_none_is_no_date),
      cmocka_unit_test (what_is_handed_over_comes_out_whole_once),
      cmocka_unit_test (too_much_is_not_handed_over),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
