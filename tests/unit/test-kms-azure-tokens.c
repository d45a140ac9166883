/* Tokens: what their answers say, and how long they are kept. */
#include "tests/unit/azure-test.h"

#include "kms/azure-token.h"
#include "kms/secret-text.h"

static int
token_from (const char *body, struct azure_token *ret, struct kms_outcome *outcome)
{
  *outcome = (struct kms_outcome){0};
  return azure_token_from_answer (body, strlen (body), 1000, ret, outcome);
}

static void
a_token_tells_when_it_is_to_be_refreshed (void **state)
{
  const struct {
    const char *body;
    uint64_t refresh_ms, expires_ms;
  } cases[] = {
      {"{\"access_token\":\"t\",\"expires_in\":3600}", 3300000, 3600000},
      {"{\"access_token\":\"t\",\"expires_in\":\"3600\"}", 3300000, 3600000},
      {"{\"access_token\":\"t\",\"expires_in\":3600,\"refresh_in\":1800}", 1800000, 3600000},
      {"{\"access_token\":\"t\",\"expires_in\":3600,\"refresh_in\":9999}", 3300000, 3600000},
      {"{\"access_token\":\"t\",\"expires_in\":3600,\"refresh_in\":-1}", 3300000, 3600000},
      {"{\"access_token\":\"t\",\"expires_in\":60}", 30000, 60000},
      {"{\"access_token\":\"t\",\"expires_in\":99999999}", 172500000, 172800000},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct azure_token token = {0};
    struct kms_outcome outcome;

    assert_int_equal (token_from (cases[i].body, &token, &outcome), 0);
    assert_int_equal (token.refresh_ms, 1000 + cases[i].refresh_ms);
    assert_int_equal (token.expires_ms, 1000 + cases[i].expires_ms);
    azure_token_clear (&token);
  }
}

static void
what_is_no_token_is_refused (void **state)
{
  static const char *const bodies[] = {
      "",
      "[]",
      "{}",
      "{\"access_token\":\"t\"}",
      "{\"access_token\":7,\"expires_in\":3600}",
      "{\"access_token\":\"\",\"expires_in\":3600}",
      "{\"access_token\":\"a b\",\"expires_in\":3600}",
      "{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":3600}",
      "{\"access_token\":\"\\u0000\",\"expires_in\":3600}",
      "{\"access_token\":\"t\",\"access_token\":\"t\",\"expires_in\":3600}",
      "{\"access_token\":\"t\",\"expires_in\":0}",
      "{\"access_token\":\"t\",\"expires_in\":-5}",
      "{\"access_token\":\"t\",\"expires_in\":\"x\"}",
      "{\"access_token\":\"t\",\"expires_on\":1000}",
      "{\"access_token\":\"t\",\"expires_in\":3600",
  };
  struct azure_token token = {0};
  struct kms_outcome outcome;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bodies); i++) {
    if (token_from (bodies[i], &token, &outcome) == 0)
      fail_msg ("%s is taken", bodies[i]);
    assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
    assert_null (token.value.bytes);
  }
}

static void
store (struct azure_token_cache *cache, const char *resource, uint64_t now_ms)
{
  struct azure_token token = {0};
  struct kms_outcome outcome;
  static const char body[] = "{\"access_token\":\"t\",\"expires_in\":3600}";

  assert_int_equal (azure_token_from_answer (body, strlen (body), now_ms, &token, &outcome), 0);
  azure_token_store (cache, resource, now_ms, &token);
  assert_null (token.value.bytes);
}

static void
a_kept_token_ages_and_expires (void **state)
{
  struct azure_token_cache cache = {0};
  const struct azure_token *token;

  (void)state;
  assert_int_equal (azure_token_find (&cache, "r", 0, &token), AZURE_TOKEN_NONE);
  store (&cache, "r", 0);
  assert_int_equal (azure_token_find (&cache, "r", 3299999, &token), AZURE_TOKEN_FRESH);
  assert_string_equal (secret_get_text (&token->value), "t");
  assert_int_equal (azure_token_find (&cache, "s", 0, &token), AZURE_TOKEN_NONE);
  assert_null (token);
  assert_int_equal (azure_token_find (&cache, "r", 3300000, &token), AZURE_TOKEN_AGING);
  azure_token_postpone (&cache, "r", 3300000);
  assert_int_equal (azure_token_find (&cache, "r", 3309999, &token), AZURE_TOKEN_FRESH);
  assert_int_equal (azure_token_find (&cache, "r", 3310000, &token), AZURE_TOKEN_AGING);
  assert_int_equal (azure_token_find (&cache, "r", 3599999, &token), AZURE_TOKEN_AGING);
  assert_int_equal (azure_token_find (&cache, "r", 3600000, &token), AZURE_TOKEN_NONE);
  assert_null (token);
  azure_token_cache_clear (&cache);
}

static void
the_token_not_used_for_longest_makes_room (void **state)
{
  static const char *const names[] = {"a", "b", "c", "d"};
  struct azure_token_cache cache = {0};
  const struct azure_token *token;

  (void)state;
  for (uint64_t i = 0; i < ARRAY_SIZE (names); i++)
    store (&cache, names[i], i);
  assert_int_equal (azure_token_find (&cache, "a", 10, &token), AZURE_TOKEN_FRESH);
  store (&cache, "e", 11);
  assert_int_equal (azure_token_find (&cache, "b", 12, &token), AZURE_TOKEN_NONE);
  assert_int_equal (azure_token_find (&cache, "a", 12, &token), AZURE_TOKEN_FRESH);
  assert_int_equal (azure_token_find (&cache, "e", 12, &token), AZURE_TOKEN_FRESH);
  azure_token_drop (&cache, "e");
  assert_int_equal (azure_token_find (&cache, "e", 12, &token), AZURE_TOKEN_NONE);
  azure_token_cache_clear (&cache);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_token_tells_when_it_is_to_be_refreshed),
      TEST (what_is_no_token_is_refused),
      TEST (a_kept_token_ages_and_expires),
      TEST (the_token_not_used_for_longest_makes_room),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
