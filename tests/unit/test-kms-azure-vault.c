/* Requests to a vault: challenge, token, retries, wraps; and what a fork leaves. */
#include "tests/unit/azure-http.h"

#include <sys/wait.h>
#include <unistd.h>

#include "kms/azure-key.h"
#include "kms/handover.h"
#include "kms/operations.h"
#include "kms/provider.h"

#define CHALLENGE                                                           \
  "Bearer authorization=\"https://login.microsoftonline.com/" TENANT "\", " \
  "resource=\"https://vault.azure.net\""
#define CLAIMS_CHALLENGE                        \
  CHALLENGE ", error=\"insufficient_claims\", " \
            "claims=\"eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7InZhbHVlIjoiMSJ9fX0=\""
#define TOKEN_URL "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token"
#define TOKEN(value) "{\"access_token\":\"" value "\",\"expires_in\":3600}"
#define KEY_URL VAULT_KEY "?api-version=7.4"
#define UNWRAP_URL VAULT_KEY "/" VERSION "/unwrapkey?api-version=7.4"
/* 32 bytes 00 01 02 … */
#define PLAIN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define UNWRAPPED "{\"kid\":\"" VAULT_KEY "/" VERSION "\",\"value\":\"" PLAIN "\"}"
#define DISABLED "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"KeyDisabled\"}}}"

static void
use_client_secret (void)
{
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_CLIENT_SECRET", "s3cr&t=~", 1);
}

static int
unwrap (struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret plain = {0};
  struct azure_key key = key_of (VAULT_KEY "/" VERSION, NULL);
  struct wrap_blob blob = {.size = 4, .bytes = {0xfb, 0xef, 0xbe, 0xff}};
  int r;

  *outcome = (struct kms_outcome){0};
  r = azure_key_unwrap (&key, "RSA-OAEP-256", &blob, 32, fake_ms + 5000, &plain, outcome);
  if (r == 0)
    for (size_t i = 0; i < 32; i++)
      assert_int_equal (plain.bytes[i], i);
  return r;
}

static void
the_first_request_goes_without_token_and_body (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  assert_string_equal (seen[0].method, "POST");
  assert_string_equal (seen[0].authorization, "");
  assert_string_equal (seen[0].body, "");
  assert_string_equal (seen[1].body,
                       "grant_type=client_credentials&client_id=" CLIENT
                       "&scope=https%3A%2F%2Fvault.azure.net%2F.default"
                       "&claims=%7B%22access_token%22%3A%7B%22xms_cc%22%3A%7B%22values%22%3A%5B%22"
                       "cp1%22%5D%7D%7D%7D&client_secret=s3cr%26t%3D~");
  assert_string_equal (seen[2].authorization, "Bearer t1");
  assert_string_equal (seen[2].body, "{\"alg\":\"RSA-OAEP-256\",\"value\":\"----_w\"}");
  assert_string_equal (outcome.request_id, "request-3");
}

static void
once_the_vault_is_known_a_check_costs_one_request (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  for (int i = 0; i < 10; i++) {
    fake_ms += 30000;
    PLAY ({UNWRAP_URL, 200, UNWRAPPED});
    assert_int_equal (unwrap (&outcome), 0);
    assert_string_equal (seen[0].authorization, "Bearer t1");
  }
}

static void
nothing_is_sent_to_a_vault_that_wants_a_token_for_something_else (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "",
         .www_authenticate =
             "Bearer authorization=\"https://login.microsoftonline.com/" TENANT "\", "
             "resource=\"https://management.azure.com\""});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "challenge_resource");
  PLAY ({UNWRAP_URL, 401, "",
         .www_authenticate = "Bearer authorization=\"https://evil.example/" TENANT "\", "
                             "resource=\"https://vault.azure.net\""});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "challenge_authority");
}

static void
what_asks_for_nothing_is_no_vault (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = "Basic realm=\"router\""});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
}

static void
a_401_is_answered_once_with_a_new_token (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t2")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  assert_string_equal (seen[4].authorization, "Bearer t2");
  PLAY ({UNWRAP_URL, 401, ""}, {TOKEN_URL, 200, TOKEN ("t3")}, {UNWRAP_URL, 401, ""});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "token_refused");
}

static void
a_later_challenge_is_judged_as_the_first_was (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 401, "",
         .www_authenticate =
             "Bearer authorization=\"https://login.microsoftonline.com/" TENANT "\", "
             "resource=\"https://graph.microsoft.com\""});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "challenge_resource");
}

static void
claims_that_a_vault_wants_are_asked_of_entra (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 401, "", .www_authenticate = CLAIMS_CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t2")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  assert_non_null (strstr (seen[3].body,
                           "&claims=%7B%22access_token%22%3A%7B%22nbf%22%3A%7B%22value%22%3A%221%22"
                           "%7D%2C%22xms_cc%22%3A%7B%22values%22%3A%5B%22cp1%22%5D%7D%7D%7D&"));
}

static void
busy_services_are_asked_again_as_they_wish (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 503, "busy"}, {UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE},
        {TOKEN_URL, 500, "{\"error\":\"server_error\"}"}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 429, "{\"error\":{\"code\":\"Throttled\"}}", .retry_after = "2"},
        {UNWRAP_URL, 0, .failure = HTTP_BROKEN}, {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  assert_int_equal (waits, 4);
  PLAY ({UNWRAP_URL, 429, "", .retry_after = "60"});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_OUTAGE, "throttled");
  assert_int_equal (last_at_least_ms, 60000);
}

static void
a_denial_is_final_at_once (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 403, DISABLED});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_DENIED, "key_disabled");
  assert_int_equal (waits, 0);
  assert_string_equal (outcome.request_id, "request-3");
}

static void
a_denial_is_confirmed_with_a_new_token_but_not_for_ever (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  fake_ms += 10 * 60 * 1000;
  PLAY ({UNWRAP_URL, 403, DISABLED});
  assert_int_equal (unwrap (&outcome), -1);
  fake_ms += 5000;
  PLAY ({TOKEN_URL, 200, TOKEN ("t2")}, {UNWRAP_URL, 403, DISABLED});
  assert_int_equal (unwrap (&outcome), -1);
  assert_string_equal (seen[1].authorization, "Bearer t2");
  assert_outcome (&outcome, KMS_DENIED, "key_disabled");
  fake_ms += 30000;
  PLAY ({UNWRAP_URL, 403, DISABLED});
  assert_int_equal (unwrap (&outcome), -1);
}

static void
an_old_token_serves_until_it_expires_while_entra_is_down (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  fake_ms += 56 * 60 * 1000;
  PLAY ({TOKEN_URL, 0, .failure = HTTP_NXDOMAIN}, {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  assert_string_equal (seen[1].authorization, "Bearer t1");
  fake_ms += 5 * 1000; /* not tried again at once */
  PLAY ({UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  fake_ms += 4 * 60 * 1000;
  PLAY ({TOKEN_URL, 0, .failure = HTTP_NXDOMAIN});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_OUTAGE, "nxdomain");
}

static void
an_answer_that_is_no_answer_is_an_outage (void **state)
{
  static const char *const bodies[] = {
      "",
      "{}",
      "[]",
      "<html>",
      "{\"value\":7}",
      "{\"value\":\"\"}",
      "{\"value\":\"####\"}",
      "{\"value\":\"" PLAIN "\",\"value\":\"" PLAIN "\"}",
      "{\"value\":\"" PLAIN "\"",
      "{\"value\":\"" PLAIN "=\"}",
  };
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  for (size_t i = 0; i < ARRAY_SIZE (bodies); i++) {
    PLAY ({UNWRAP_URL, 200, bodies[i]});
    assert_int_equal (unwrap (&outcome), -1);
    assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
  }
  PLAY ({UNWRAP_URL, 200, "{\"value\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg\"}"});
  assert_int_equal (unwrap (&outcome), -1);
  assert_outcome (&outcome, KMS_CORRUPT, "bad_wrap");
}

/* ---- wraps ---- */

#define WRAP_URL VAULT_KEY "//wrapkey?api-version=7.4"
#define FACTS(type, enabled)                                        \
  "{\"key\":{\"kid\":\"" VAULT_KEY "/" VERSION "\",\"kty\":\"" type \
  "\",\"key_ops\":[\"wrapKey\",\"unwrapKey\"]},\"attributes\":{\"enabled\":" enabled "}}"
#define WRAPPED(kid) "{\"kid\":\"" kid "\",\"value\":\"AQIDBA\"}"

static int
wrap (const char *key, struct kms_wrapped *wrapped, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret plain = {0};
  const struct kms_request request = {.key = key, .volume = "", .timeout_ms = 5000};

  assert_int_equal (secret_init (&plain, 3, NULL), 0);
  memcpy (plain.bytes, "\xff\xfe\xfd", 3);
  *outcome = (struct kms_outcome){0};
  return kms_provider_azure.wrap (&request, &plain, wrapped, outcome);
}

static void
a_wrap_is_pinned_to_the_version_that_made_it (void **state)
{
  struct kms_wrapped wrapped;
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({KEY_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {KEY_URL, 200, FACTS ("RSA", "true")}, {WRAP_URL, 200, WRAPPED (VAULT_KEY "/" VERSION)});
  assert_int_equal (wrap (VAULT_KEY, &wrapped, &outcome), 0);
  assert_string_equal (wrapped.key, VAULT_KEY "/" VERSION);
  assert_string_equal (wrapped.key_version, VERSION);
  assert_string_equal (wrapped.algorithm, "RSA-OAEP-256");
  assert_int_equal (wrapped.blob.size, 4);
  assert_string_equal (seen[3].body, "{\"alg\":\"RSA-OAEP-256\",\"value\":\"__79\"}");
}

static void
aes_keys_wrap_with_their_own_algorithm_and_others_not_at_all (void **state)
{
  struct kms_wrapped wrapped;
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({KEY_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {KEY_URL, 200, FACTS ("oct-HSM", "true")},
        {WRAP_URL, 200, WRAPPED (VAULT_KEY "/" VERSION)});
  assert_int_equal (wrap (VAULT_KEY, &wrapped, &outcome), 0);
  assert_string_equal (wrapped.algorithm, "A256KW");
  PLAY ({KEY_URL, 200, FACTS ("EC", "true")});
  assert_int_equal (wrap (VAULT_KEY, &wrapped, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_type");
}

static void
the_right_to_read_a_key_is_not_needed_to_wrap (void **state)
{
  struct kms_wrapped wrapped;
  struct kms_outcome outcome;

  (void)state;
  use_client_secret ();
  PLAY ({KEY_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {KEY_URL, 403,
         "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":"
         "\"ForbiddenByPolicy\"}}}"},
        {WRAP_URL, 200, WRAPPED (VAULT_KEY "/" VERSION)});
  assert_int_equal (wrap (VAULT_KEY, &wrapped, &outcome), 0);
  assert_string_equal (wrapped.algorithm, "RSA-OAEP-256");
}

static void
a_wrap_by_another_key_or_version_is_not_taken (void **state)
{
  static const char *const kids[] = {
      "https://other.vault.azure.net/keys/kek/" VERSION,
      "https://myvault.vault.azure.net/keys/other/" VERSION,
      VAULT_KEY,
      VAULT_KEY "/ffffffffffffffffffffffffffffffff",
  };
  struct kms_wrapped wrapped;
  struct kms_outcome outcome;
  char body[300];

  (void)state;
  use_client_secret ();
  PLAY ({VAULT_KEY "/" VERSION "?", 401, "", .www_authenticate = CHALLENGE},
        {TOKEN_URL, 200, TOKEN ("t1")}, {VAULT_KEY "/" VERSION "?", 200, FACTS ("RSA", "true")},
        {VAULT_KEY "/" VERSION "/wrapkey", 200, WRAPPED (VAULT_KEY "/" VERSION)});
  assert_int_equal (wrap (VAULT_KEY "/" VERSION, &wrapped, &outcome), 0);
  for (size_t i = 0; i < ARRAY_SIZE (kids); i++) {
    snprintf (body, sizeof body, WRAPPED ("%s"), kids[i]);
    PLAY ({VAULT_KEY "/" VERSION "?", 200, FACTS ("RSA", "true")},
          {VAULT_KEY "/" VERSION "/wrapkey", 200, body});
    assert_int_equal (wrap (VAULT_KEY "/" VERSION, &wrapped, &outcome), -1);
    assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
  }
}

static void
a_header_can_not_name_a_version_that_is_a_path (void **state)
{
  CLEANUP_SECRET struct secret plain = {0};
  const struct kms_request request = {.key = VAULT_KEY, .volume = "", .timeout_ms = 5000};
  struct wrap wrap_ = {.algorithm = "RSA-OAEP-256", .key_version = "../../secrets/x"};
  struct kms_outcome outcome = {0};

  (void)state;
  use_client_secret ();
  assert_int_equal (
      kms_provider_azure.unwrap (&request, &wrap_, &wrap_.wrapped, 32, &plain, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_key_name");
  snprintf (wrap_.algorithm, sizeof wrap_.algorithm, "RSA1_5\",\"x\":\"");
  assert_int_equal (
      kms_provider_azure.unwrap (&request, &wrap_, &wrap_.wrapped, 32, &plain, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_algorithm");
}

/* ---- the agent's child ---- */

static int
child_unwraps (const struct kms_request *request, int fd)
{
  struct kms_outcome outcome;

  kms_provider_azure.inherit (request, fd);
  PLAY ({UNWRAP_URL, 200, UNWRAPPED});
  if (unwrap (&outcome) < 0 || strcmp (seen[0].authorization, "Bearer t1") != 0)
    return 1;
  return 0;
}

static void
a_child_goes_on_with_its_parents_token (void **state)
{
  const struct kms_request request = {
      .key = VAULT_KEY "/" VERSION, .volume = "", .timeout_ms = 5000};
  struct kms_outcome outcome = {0};
  int fd = -1, status;
  pid_t pid;

  (void)state;
  use_client_secret ();
  PLAY ({VAULT_KEY "/" VERSION "?", 401, "", .www_authenticate = CHALLENGE},
        {TOKEN_URL, 200, TOKEN ("t1")});
  assert_int_equal (kms_provider_azure.prepare (&request, &fd, &outcome), 0);
  pid = fork ();
  if (pid == 0)
    _exit (child_unwraps (&request, fd));
  close (fd);
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  PLAY ({UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
}

static void
a_child_without_its_parents_token_gets_its_own (void **state)
{
  struct kms_outcome outcome;
  int status;
  pid_t pid;

  (void)state;
  use_client_secret ();
  PLAY ({UNWRAP_URL, 401, "", .www_authenticate = CHALLENGE}, {TOKEN_URL, 200, TOKEN ("t1")},
        {UNWRAP_URL, 200, UNWRAPPED});
  assert_int_equal (unwrap (&outcome), 0);
  pid = fork ();
  if (pid == 0) {
    PLAY ({TOKEN_URL, 200, TOKEN ("t2")}, {UNWRAP_URL, 200, UNWRAPPED});
    _exit (unwrap (&outcome) < 0 || strcmp (seen[1].authorization, "Bearer t2") != 0);
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      PLAYED_TEST (the_first_request_goes_without_token_and_body),
      PLAYED_TEST (once_the_vault_is_known_a_check_costs_one_request),
      PLAYED_TEST (nothing_is_sent_to_a_vault_that_wants_a_token_for_something_else),
      PLAYED_TEST (what_asks_for_nothing_is_no_vault),
      PLAYED_TEST (a_401_is_answered_once_with_a_new_token),
      PLAYED_TEST (a_later_challenge_is_judged_as_the_first_was),
      PLAYED_TEST (claims_that_a_vault_wants_are_asked_of_entra),
      PLAYED_TEST (busy_services_are_asked_again_as_they_wish),
      PLAYED_TEST (a_denial_is_final_at_once),
      PLAYED_TEST (a_denial_is_confirmed_with_a_new_token_but_not_for_ever),
      PLAYED_TEST (an_old_token_serves_until_it_expires_while_entra_is_down),
      PLAYED_TEST (an_answer_that_is_no_answer_is_an_outage),
      PLAYED_TEST (a_wrap_is_pinned_to_the_version_that_made_it),
      PLAYED_TEST (aes_keys_wrap_with_their_own_algorithm_and_others_not_at_all),
      PLAYED_TEST (the_right_to_read_a_key_is_not_needed_to_wrap),
      PLAYED_TEST (a_wrap_by_another_key_or_version_is_not_taken),
      PLAYED_TEST (a_header_can_not_name_a_version_that_is_a_path),
      PLAYED_TEST (a_child_goes_on_with_its_parents_token),
      PLAYED_TEST (a_child_without_its_parents_token_gets_its_own),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
