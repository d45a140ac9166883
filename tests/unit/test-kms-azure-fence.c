/* What the fence asks of Azure besides plain checks: with a fresh token, and until when the version
 * that made a wrap is valid.
 */
#include "tests/unit/azure-http.h"

#include <unistd.h>

#include "kms/handover.h"
#include "kms/operations.h"
#include "kms/provider.h"

#define CHALLENGE                                                           \
  "Bearer authorization=\"https://login.microsoftonline.com/" TENANT "\", " \
  "resource=\"https://vault.azure.net\""
#define TOKEN_URL "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token"
#define TOKEN(value) "{\"access_token\":\"" value "\",\"expires_in\":3600}"
#define UNWRAP_URL VAULT_KEY "/" VERSION "/unwrapkey?"
#define GET_URL VAULT_KEY "/" VERSION "?api-version="
#define UNWRAPPED                           \
  "{\"kid\":\"" VAULT_KEY "/" VERSION "\"," \
  "\"value\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}"
#define FACTS(version, attributes)                                                   \
  "{\"key\":{\"kid\":\"" VAULT_KEY "/" version "\",\"kty\":\"RSA\",\"key_ops\":[]}," \
  "\"attributes\":{" attributes "}}"

static struct kms_request request;
static struct wrap wrap;

/* A wrap by a key that was named without its version, and a vault whose token is kept. */
static void
use_vault (void)
{
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_CLIENT_SECRET", "s", 1);
  request = (struct kms_request){.key = VAULT_KEY, .volume = "", .timeout_ms = 5000};
  wrap = (struct wrap){.key = VAULT_KEY,
                       .key_version = VERSION,
                       .algorithm = "RSA-OAEP-256",
                       .wrapped = {.size = 4, .bytes = "blob"}};
}

static int
unwrap (bool fresh, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret plain = {0};

  request.fresh = fresh;
  *outcome = (struct kms_outcome){0};
  return kms_provider_azure.unwrap (&request, &wrap, &wrap.wrapped, 32, &plain, outcome);
}

static void
meet_vault (void)
{
  struct kms_outcome outcome;

  use_vault ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (false, &outcome), 0);
}

static void
only_a_fresh_unwrap_gets_a_new_token (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  meet_vault ();
  PLAY ({UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (false, &outcome), 0);
  assert_string_equal (seen[0].authorization, "Bearer t1");
  PLAY ({TOKEN_URL, 200, TOKEN ("t2")}, {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (true, &outcome), 0);
  assert_string_equal (seen[1].authorization, "Bearer t2");
  PLAY ({UNWRAP_URL, 200, UNWRAPPED}); /* which is kept in turn */
  assert_int_equal (unwrap (false, &outcome), 0);
  assert_string_equal (seen[0].authorization, "Bearer t2");
}

static void
the_first_unwrap_of_all_costs_no_more_when_it_is_fresh (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_vault ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (true, &outcome), 0);
}

static void
a_fresh_unwrap_never_goes_on_with_an_old_token (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  meet_vault ();
  PLAY ({TOKEN_URL, 400, "{\"error\":\"invalid_client\"}"});
  assert_int_equal (unwrap (true, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "credentials_refused");
  PLAY ({TOKEN_URL, 200, TOKEN ("t2")}, {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (false, &outcome), 0);
}

static void
a_child_is_given_a_fresh_token (void **state)
{
  CLEANUP_SECRET struct secret given = {0};
  struct kms_outcome outcome = {0};
  int fd = -1;

  (void)state;
  meet_vault ();
  request.fresh = true;
  PLAY ({TOKEN_URL, 200, TOKEN ("t2")});
  assert_int_equal (kms_provider_azure.prepare (&request, &fd, &outcome), 0);
  assert_int_equal (handover_take (fd, &given), 0);
  assert_non_null (memmem (given.bytes, given.size, "t2", 3));
  close (fd);
}

/* ---- expiry ---- */

static int
expiry (const char *body, unsigned status, int64_t *ret_s, struct kms_outcome *outcome)
{
  PLAY ({GET_URL, status, body});
  return operation_expiry (&request, &wrap, ret_s, outcome);
}

static void
the_version_that_made_the_wrap_tells_its_expiry_date (void **state)
{
  static const struct {
    const char *body;
    int64_t expires_s;
  } cases[] = {
      {FACTS (VERSION, "\"enabled\":true,\"exp\":1900000000"), 1900000000},
      {FACTS (VERSION, "\"enabled\":true"), 0},
      {FACTS (VERSION, "\"enabled\":false,\"exp\":1"), 1},
      {FACTS (VERSION, "\"exp\":999999999999"), KMS_EXPIRY_MAX},
  };
  struct kms_outcome outcome;

  (void)state;
  meet_vault ();
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    int64_t expires_s = 77;

    assert_int_equal (expiry (cases[i].body, 200, &expires_s, &outcome), 0);
    assert_int_equal (expires_s, cases[i].expires_s);
  }
  assert_string_equal (seen[0].method, "GET");
}

static void
a_date_of_another_version_or_none_is_not_taken (void **state)
{
  struct kms_outcome outcome;
  int64_t expires_s = 77;

  (void)state;
  meet_vault ();
  assert_int_equal (expiry (FACTS ("ffffffffffffffffffffffffffffffff", "\"exp\":1900000000"), 200,
                            &expires_s, &outcome),
                    -1);
  assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
  assert_int_equal (expiry ("{\"error\":{\"code\":\"Forbidden\",\"innererror\":"
                            "{\"code\":\"ForbiddenByRbac\"}}}",
                            403, &expires_s, &outcome),
                    -1);
  assert_outcome (&outcome, KMS_DENIED, "access_denied");
  wrap.key_version[0] = '\0';
  assert_int_equal (operation_expiry (&request, &wrap, &expires_s, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
  assert_int_equal (expires_s, 77);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      PLAYED_TEST (only_a_fresh_unwrap_gets_a_new_token),
      PLAYED_TEST (the_first_unwrap_of_all_costs_no_more_when_it_is_fresh),
      PLAYED_TEST (a_fresh_unwrap_never_goes_on_with_an_old_token),
      PLAYED_TEST (a_child_is_given_a_fresh_token),
      PLAYED_TEST (the_version_that_made_the_wrap_tells_its_expiry_date),
      PLAYED_TEST (a_date_of_another_version_or_none_is_not_taken),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
