/* What crypto/token.c promises: one strict reading of the JSON, one canonical form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/json.h"
#include "crypto/token.h"

#define TIME "2026-01-01T00:00:00Z"
#define DIGEST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define WRAP(id, role)                                                                           \
  "{\"id\":" id ",\"role\":\"" role "\",\"key\":\"file:///k\",\"key_version\":\"\","             \
  "\"algorithm\":\"A\",\"wrapped\":\"AQI=\",\"probe\":\"Aw==\",\"probe_digest\":\"" DIGEST "\"," \
  "\"created\":\"" TIME "\"}"
#define PAST \
  "{\"key\":\"file:///o\",\"key_version\":\"v\",\"from\":\"" TIME "\",\"until\":\"" TIME "\"}"
#define HEAD "{\"type\":\"keyfence\",\"keyslots\":[],\"version\":1,"
#define TAIL ",\"mac\":\"" DIGEST "\"}"
#define TOKEN(wraps, history) HEAD "\"wraps\":[" wraps "],\"history\":[" history "]" TAIL
#define GOOD TOKEN (WRAP ("1", "primary"), PAST)

static const struct token_binding binding = {.uuid = "11111111-2222-4333-8444-555555555555",
                                             .cipher = "aes-xts-plain64",
                                             .key_bits = 512,
                                             .sector_size = 4096,
                                             .data_offset_bytes = 1048576,
                                             .segment_count = 1};

/* Room for the largest wraps and the longest history. */
static struct token *
largest_token (void)
{
  struct token *token = calloc (1, sizeof *token);

  assert_non_null (token);
  token->wrap_count = TOKEN_WRAPS_MAX;
  for (size_t i = 0; i < TOKEN_WRAPS_MAX; i++) {
    struct wrap *wrap = &token->wraps[i];

    wrap->id = (uint32_t)(UINT32_MAX - i);
    wrap->role = i == 3 ? WRAP_PRIMARY : WRAP_SECONDARY;
    memset (wrap->key, 'k', sizeof wrap->key - 1);
    memset (wrap->key_version, 'v', sizeof wrap->key_version - 1);
    memset (wrap->algorithm, 'a', sizeof wrap->algorithm - 1);
    strcpy (wrap->created, TIME);
    wrap->wrapped.size = WRAP_BLOB_MAX;
    wrap->probe.size = WRAP_BLOB_MAX - i;
    memset (wrap->wrapped.bytes, (int)(0xf0 + i), WRAP_BLOB_MAX);
    memset (wrap->probe.bytes, (int)(0x10 + i), wrap->probe.size);
    memset (wrap->probe_digest, (int)i, WRAP_DIGEST_SIZE);
  }
  token->past_count = 3;
  for (size_t i = 0; i < token->past_count; i++) {
    strcpy (token->history[i].key, "https://vault.example/\"\\/\xc3\xa9");
    strcpy (token->history[i].from, TIME);
    strcpy (token->history[i].until, TIME);
  }
  memset (token->mac, 0x5a, sizeof token->mac);
  return token;
}

static void
assert_same_canonical (const struct token *a, const struct token *b, int same)
{
  CLEANUP_FREE uint8_t *bytes_a = NULL;
  CLEANUP_FREE uint8_t *bytes_b = NULL;
  size_t size_a, size_b;

  assert_int_equal (token_canonical (a, &binding, &bytes_a, &size_a, NULL), 0);
  assert_int_equal (token_canonical (b, &binding, &bytes_b, &size_b, NULL), 0);
  assert_int_equal (size_a == size_b && memcmp (bytes_a, bytes_b, size_a) == 0, same);
}

static void
a_good_token_is_read_member_by_member (void **state)
{
  CLEANUP_TOKEN struct token *token = NULL;
  struct error err = {0};

  (void)state;
  if (token_parse (GOOD, &token, &err) < 0)
    fail_msg ("%s", err.text);
  assert_int_equal (token->wrap_count, 1);
  assert_int_equal (token->wraps[0].id, 1);
  assert_int_equal (token->wraps[0].role, WRAP_PRIMARY);
  assert_string_equal (token->wraps[0].key, "file:///k");
  assert_string_equal (token->wraps[0].key_version, "");
  assert_string_equal (token->wraps[0].algorithm, "A");
  assert_int_equal (token->wraps[0].wrapped.size, 2);
  assert_memory_equal (token->wraps[0].wrapped.bytes, "\x01\x02", 2);
  assert_int_equal (token->wraps[0].probe.size, 1);
  assert_string_equal (token->wraps[0].created, TIME);
  assert_int_equal (token->past_count, 1);
  assert_string_equal (token->history[0].key, "file:///o");
  assert_string_equal (token->history[0].key_version, "v");
}

static void
the_largest_token_survives_print_and_parse (void **state)
{
  CLEANUP_TOKEN struct token *token = largest_token ();
  CLEANUP_TOKEN struct token *again = NULL;
  CLEANUP_FREE char *text = NULL;

  (void)state;
  assert_int_equal (token_print (token, &text, NULL), 0);
  assert_null (strchr (text, '\n'));
  assert_int_equal (token_parse (text, &again, NULL), 0);
  assert_memory_equal (token, again, sizeof *token);
  assert_same_canonical (token, again, 1);
}

static void
each_malformed_token_is_refused_with_its_own_words (void **state)
{
  static const struct {
    const char *text;
    enum error_class class;
    const char *words;
  } bad[] = {
      {"", ERROR_CORRUPT, "it is not JSON, or has a member twice"},
      {"[]", ERROR_CORRUPT, "it is not a JSON object"},
      {"null", ERROR_CORRUPT, "it is not a JSON object"},
      {GOOD "x", ERROR_CORRUPT, "it is not JSON, or has a member twice"},
      {"{\"type\":\"other\"}", ERROR_CORRUPT, "its type is not \"keyfence\""},
      {"{\"type\":7}", ERROR_CORRUPT, "its type is not \"keyfence\""},
      {"{\"type\":\"keyfence\"}", ERROR_CORRUPT, "it has no version"},
      {"{\"type\":\"keyfence\",\"version\":\"1\"}", ERROR_CORRUPT, "it has no version"},
      {"{\"type\":\"keyfence\",\"version\":2,\"new\":1}", ERROR_FOREIGN,
       "it has version 2, this keyfence knows version 1: use a newer keyfence"},
      {"{\"type\":\"keyfence\",\"version\":1}", ERROR_CORRUPT, "it has no \"keyslots\""},
      {HEAD "\"wraps\":[],\"history\":[],\"extra\":0" TAIL, ERROR_CORRUPT,
       "it has a member that version 1 does not know"},
      {HEAD "\"wraps\":[],\"wraps\":[],\"history\":[]" TAIL, ERROR_CORRUPT,
       "it is not JSON, or has a member twice"},
      {TOKEN ("", ""), ERROR_CORRUPT, "it has no wrap with the role primary"},
      {TOKEN (WRAP ("1", "secondary"), ""), ERROR_CORRUPT, "it has no wrap with the role primary"},
      {HEAD "\"wraps\":{},\"history\":[]" TAIL, ERROR_CORRUPT, "\"wraps\" is not an array"},
      {HEAD "\"wraps\":[" WRAP ("1", "primary") "],\"history\":7" TAIL, ERROR_CORRUPT,
       "\"history\" is not an array"},
      {TOKEN (WRAP ("0", "primary"), ""), ERROR_CORRUPT,
       "wrap number 1: \"id\" is not a number from 1"},
      {TOKEN (WRAP ("4294967296", "primary"), ""), ERROR_CORRUPT,
       "wrap number 1: \"id\" is not a number from 1"},
      {TOKEN (WRAP ("1.5", "primary"), ""), ERROR_CORRUPT,
       "wrap number 1: \"id\" is not a number from 1"},
      {TOKEN (WRAP ("1", "boss"), ""), ERROR_CORRUPT,
       "wrap number 1: \"role\" is neither primary nor secondary"},
      {TOKEN (WRAP ("1", "primary") "," WRAP ("1", "secondary"), ""), ERROR_CORRUPT,
       "two wraps have the id 1"},
      {TOKEN (WRAP ("1", "primary") ",{}", ""), ERROR_CORRUPT, "wrap number 2 has no \"id\""},
      {TOKEN (WRAP ("1", "primary") ",7", ""), ERROR_CORRUPT, "wrap number 2 is not an object"},
      {TOKEN (
           WRAP ("1", "primary") "," WRAP ("2", "secondary") "," WRAP ("3", "secondary") "," WRAP (
               "4", "secondary") "," WRAP ("5", "secondary") "," WRAP ("6", "secondary"),
           ""),
       ERROR_CORRUPT, "it has 6 wraps, more than 5"},
      {TOKEN (WRAP ("1", "primary"), "{\"key\":\"k\"}"), ERROR_CORRUPT,
       "history entry 1 has no \"key_version\""},
      {HEAD "\"wraps\":[" WRAP ("1", "primary") "],\"history\":[],\"mac\":\"AAAA\"}", ERROR_CORRUPT,
       "it: \"mac\" has 3 bytes, expected 32"},
      {HEAD "\"wraps\":[" WRAP ("1", "primary") "],\"history\":[],\"mac\":\"AA\"}", ERROR_CORRUPT,
       "it: \"mac\" is not base64 of at most 32 bytes"},
      {"{\"type\":\"keyfence\\u0000\"}", ERROR_CORRUPT, "it has more than 131072 bytes, or a NUL"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    struct token *untouched = (struct token *)&bad, *token = untouched;
    struct error err = {0};
    char words[256];

    snprintf (words, sizeof words, "keyfence token: %s", bad[i].words);
    assert_int_equal (token_parse (bad[i].text, &token, &err), -1);
    assert_string_equal (err.text, words);
    assert_int_equal (err.class, bad[i].class);
    assert_ptr_equal (token, untouched);
  }
}

/* One string member of one wrap, replaced. */
static void
assert_wrap_member_refused (const char *name, const char *json_value)
{
  CLEANUP_JSON struct json *value = json_parse (json_value, strlen (json_value));
  char text[4096], *at, *end;
  struct token *token = NULL;
  char mark[40];

  assert_non_null (value); /* the value is JSON: what is refused is its type or its content */
  snprintf (mark, sizeof mark, "\"%s\":\"", name);
  snprintf (text, sizeof text, "%s", GOOD);
  at = strstr (text, mark);
  assert_non_null (at);
  at += strlen (mark) - 1;
  end = strchr (at + 1, '"') + 1;
  {
    char tail[4096];

    snprintf (tail, sizeof tail, "%s", end);
    snprintf (at, sizeof text - (size_t)(at - text), "%s%s", json_value, tail);
  }
  assert_int_equal (token_parse (text, &token, NULL), -1);
}

static void
every_text_of_a_wrap_has_a_type_and_limits (void **state)
{
  static const char *const texts[] = {"key", "key_version", "algorithm", "created"};
  static const char *const blobs[] = {"wrapped", "probe", "probe_digest"};
  char longest[WRAP_KEY_MAX + 4];

  (void)state;
  memset (longest, 'x', sizeof longest);
  longest[0] = longest[sizeof longest - 2] = '"';
  longest[sizeof longest - 1] = '\0';
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++) {
    assert_wrap_member_refused (texts[i], "7");
    assert_wrap_member_refused (texts[i], "null");
    assert_wrap_member_refused (texts[i], "\"a\\u001b[2J\"");
    assert_wrap_member_refused (texts[i], longest);
  }
  assert_wrap_member_refused ("key", "\"\"");
  assert_wrap_member_refused ("algorithm", "\"\"");
  assert_wrap_member_refused ("created", "\"2026-01-01 00:00:00Z\"");
  assert_wrap_member_refused ("created", "\"2026-01-01T00:00:0xZ\"");
  for (size_t i = 0; i < ARRAY_SIZE (blobs); i++) {
    assert_wrap_member_refused (blobs[i], "\"\"");
    assert_wrap_member_refused (blobs[i], "\"A\"");
    assert_wrap_member_refused (blobs[i], "\"====\"");
    assert_wrap_member_refused (blobs[i], "\"AAAAA=\"");
  }
}

static void
what_would_not_be_read_is_not_printed (void **state)
{
  CLEANUP_TOKEN struct token *token = largest_token ();
  char *text = NULL;

  (void)state;
  token->wraps[1].created[4] = ' ';
  assert_int_equal (token_print (token, &text, NULL), -1);
  strcpy (token->wraps[1].created, TIME);
  token->wraps[1].id = token->wraps[0].id;
  assert_int_equal (token_print (token, &text, NULL), -1);
  assert_null (text);
}

static void
layout_does_not_change_the_canonical_form (void **state)
{
  static const char other[] =
      "{ \"mac\":\"" DIGEST "\",\n\t\"history\":[" PAST "],\"wraps\":[" WRAP (
          "1.0", "prim\\u0061ry") "],\"version\":1e0,\"keyslots\":[ ],\"type\":\"keyfence\"} ";
  CLEANUP_TOKEN struct token *a = NULL;
  CLEANUP_TOKEN struct token *b = NULL;

  (void)state;
  assert_int_equal (token_parse (GOOD, &a, NULL), 0);
  assert_int_equal (token_parse (other, &b, NULL), 0);
  assert_same_canonical (a, b, 1);
}

static void
every_field_but_the_mac_changes_the_canonical_form (void **state)
{
  CLEANUP_TOKEN struct token *a = largest_token ();
  CLEANUP_TOKEN struct token *b = largest_token ();
  struct wrap *wrap = &b->wraps[2];
  uint8_t *const bytes[] = {
      (uint8_t *)wrap->key,         (uint8_t *)wrap->key_version,  (uint8_t *)wrap->algorithm,
      (uint8_t *)wrap->created,     wrap->wrapped.bytes,           wrap->probe.bytes,
      wrap->probe_digest,           (uint8_t *)&wrap->id,          (uint8_t *)&wrap->role,
      (uint8_t *)b->history[1].key, (uint8_t *)b->history[1].from, (uint8_t *)b->history[1].until};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bytes); i++) {
    *bytes[i] ^= 1;
    assert_same_canonical (a, b, 0);
    *bytes[i] ^= 1;
    assert_same_canonical (a, b, 1);
  }
  b->history[1].key_version[0] = 'x';
  assert_same_canonical (a, b, 0);
  b->history[1].key_version[0] = '\0';
  b->past_count--;
  assert_same_canonical (a, b, 0);
  b->past_count++;
  wrap->probe.size--;
  assert_same_canonical (a, b, 0);
  wrap->probe.size++;
  b->mac[0] ^= 1;
  assert_same_canonical (a, b, 1);
}

static void
bytes_moved_from_one_field_to_the_next_change_the_canonical_form (void **state)
{
  CLEANUP_TOKEN struct token *a = NULL;
  CLEANUP_TOKEN struct token *b = NULL;

  (void)state;
  assert_int_equal (token_parse (GOOD, &a, NULL), 0);
  assert_int_equal (token_parse (GOOD, &b, NULL), 0);
  strcpy (a->wraps[0].key, "ab");
  strcpy (a->wraps[0].key_version, "c");
  strcpy (b->wraps[0].key, "a");
  strcpy (b->wraps[0].key_version, "bc");
  assert_same_canonical (a, b, 0);
}

static void
every_part_of_the_binding_changes_the_canonical_form (void **state)
{
  CLEANUP_TOKEN struct token *token = NULL;
  struct token_binding other[6] = {binding, binding, binding, binding, binding, binding};
  CLEANUP_FREE uint8_t *bytes = NULL;
  size_t size;

  (void)state;
  other[0].uuid = "21111111-2222-4333-8444-555555555555";
  other[1].cipher = "aes-xts-plain";
  other[2].key_bits = 256;
  other[3].sector_size = 512;
  other[4].data_offset_bytes += 4096;
  other[5].segment_count = 2;
  assert_int_equal (token_parse (GOOD, &token, NULL), 0);
  assert_int_equal (token_canonical (token, &binding, &bytes, &size, NULL), 0);
  for (size_t i = 0; i < ARRAY_SIZE (other); i++) {
    CLEANUP_FREE uint8_t *changed = NULL;
    size_t changed_size;

    assert_int_equal (token_canonical (token, &other[i], &changed, &changed_size, NULL), 0);
    assert_true (size != changed_size || memcmp (bytes, changed, size) != 0);
  }
}

/* Pinned, by sums that were computed from token.h's words alone: a change of it would make every
 * volume's MAC wrong.
 */
static void
the_canonical_form_is_the_documented_one (void **state)
{
  static const uint8_t head[] = {18,  0,   0,   0,   0,   0,   0,   0,   'k', 'e', 'y',
                                 'f', 'e', 'n', 'c', 'e', ' ', 'h', 'e', 'a', 'd', 'e',
                                 'r', ' ', 'v', '1', 1,   0,   0,   0,   0,   0,   0,
                                 0,   36,  0,   0,   0,   0,   0,   0,   0,   '1', '1'};
  CLEANUP_TOKEN struct token *token = NULL;
  CLEANUP_FREE uint8_t *bytes = NULL;
  size_t size;
  uint32_t sum = 2166136261U; /* FNV-1a */

  (void)state;
  assert_int_equal (token_parse (GOOD, &token, NULL), 0);
  assert_int_equal (token_canonical (token, &binding, &bytes, &size, NULL), 0);
  assert_memory_equal (bytes, head, sizeof head);
  for (size_t i = 0; i < size; i++)
    sum = (sum ^ bytes[i]) * 16777619U;
  assert_int_equal (size, 375);
  assert_int_equal (sum, 1679823853U);
}

static void
the_first_primary_is_found_wherever_it_is (void **state)
{
  CLEANUP_TOKEN struct token *token = largest_token ();

  (void)state;
  assert_ptr_equal (token_primary (token), &token->wraps[3]);
  token->wraps[3].role = WRAP_SECONDARY;
  assert_null (token_primary (token));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_good_token_is_read_member_by_member),
      cmocka_unit_test (the_largest_token_survives_print_and_parse),
      cmocka_unit_test (each_malformed_token_is_refused_with_its_own_words),
      cmocka_unit_test (every_text_of_a_wrap_has_a_type_and_limits),
      cmocka_unit_test (what_would_not_be_read_is_not_printed),
      cmocka_unit_test (layout_does_not_change_the_canonical_form),
      cmocka_unit_test (every_field_but_the_mac_changes_the_canonical_form),
      cmocka_unit_test (bytes_moved_from_one_field_to_the_next_change_the_canonical_form),
      cmocka_unit_test (every_part_of_the_binding_changes_the_canonical_form),
      cmocka_unit_test (the_canonical_form_is_the_documented_one),
      cmocka_unit_test (the_first_primary_is_found_wherever_it_is),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
