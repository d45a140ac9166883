/* What is said about a key in Azure: the lines of its report, and the grants to paste. */
#include "tests/unit/azure-test.h"

#include "common/error.h"
#include "kms/azure-inspect.h"
#include "kms/policy.h"

#define NOW_S 1700000000
#define DAY_S 86400

static const struct azure_key_facts good = {.type = "RSA",
                                            .bits = 3072,
                                            .can_wrap = true,
                                            .can_unwrap = true,
                                            .enabled = true,
                                            .recovery_level = "Recoverable",
                                            .recoverable_days = 90,
                                            .version = VERSION};

static const struct kms_report_line *
line_of (const struct kms_report *report, const char *name)
{
  for (size_t i = 0; i < report->count; i++)
    if (strcmp (report->lines[i].name, name) == 0)
      return &report->lines[i];
  fail_msg ("the report has no line \"%s\"", name);
  return NULL;
}

static struct kms_report
report_of (const struct azure_key_facts *facts)
{
  struct kms_report report = {0};

  azure_inspect_facts (facts, NOW_S, &report);
  return report;
}

static void
a_good_key_passes_every_line (void **state)
{
  struct kms_report report = report_of (&good);

  (void)state;
  assert_int_equal (report.count, 7);
  for (size_t i = 0; i < report.count; i++)
    if (report.lines[i].verdict != KMS_PASS || *report.lines[i].mend)
      fail_msg ("%s: %s", report.lines[i].name, report.lines[i].detail);
}

/* A line that does not pass says how to mend it; no other line is touched. */
static void
assert_one_line (const struct azure_key_facts *facts, const char *name, enum kms_verdict verdict)
{
  struct kms_report report = report_of (facts);
  size_t others = 0;

  assert_int_equal (line_of (&report, name)->verdict, verdict);
  assert_true (strlen (line_of (&report, name)->mend) > 3);
  for (size_t i = 0; i < report.count; i++)
    others += report.lines[i].verdict != KMS_PASS;
  assert_int_equal (others, 1);
}

static void
each_defect_shows_on_its_own_line_with_what_to_do (void **state)
{
  struct azure_key_facts facts = good;

  (void)state;
  facts.enabled = false;
  assert_one_line (&facts, "enabled", KMS_FAIL);
  facts = good;
  snprintf (facts.type, sizeof facts.type, "EC");
  assert_one_line (&facts, "type and size", KMS_FAIL);
  facts = good;
  facts.bits = 1024;
  assert_one_line (&facts, "type and size", KMS_FAIL);
  facts = good;
  facts.can_unwrap = false;
  assert_one_line (&facts, "key operations", KMS_FAIL);
  facts = good;
  facts.not_before_s = NOW_S + 1;
  assert_one_line (&facts, "activation date", KMS_FAIL);
  facts = good;
  facts.expires_s = NOW_S;
  assert_one_line (&facts, "expiry date", KMS_FAIL);
  facts.expires_s = NOW_S + 29 * DAY_S;
  assert_one_line (&facts, "expiry date", KMS_WARN);
  facts = good;
  facts.recoverable_days = 7;
  assert_one_line (&facts, "soft delete", KMS_WARN);
  facts = good;
  snprintf (facts.recovery_level, sizeof facts.recovery_level, "Recoverable+Purgeable");
  assert_one_line (&facts, "purge protection", KMS_WARN);
  snprintf (facts.recovery_level, sizeof facts.recovery_level, "CustomizedRecoverable+Purgeable");
  assert_one_line (&facts, "purge protection", KMS_WARN);
}

static void
far_dates_and_aes_keys_are_fine (void **state)
{
  struct azure_key_facts facts = good;
  struct kms_report report;

  (void)state;
  facts.not_before_s = NOW_S - 5;
  facts.expires_s = NOW_S + 400 * DAY_S;
  snprintf (facts.type, sizeof facts.type, "oct-HSM");
  facts.bits = 0;
  report = report_of (&facts);
  for (size_t i = 0; i < report.count; i++)
    assert_int_equal (report.lines[i].verdict, KMS_PASS);
  assert_string_equal (line_of (&report, "activation date")->detail, "2023-11-14T22:13:15Z");
}

static void
a_keys_answer_is_read_as_the_reference_has_it (void **state)
{
  static const char body[] =
      "{\"key\":{\"kid\":\"" VAULT_KEY "/" VERSION
      "\",\"kty\":\"RSA-HSM\",\"key_ops\":[\"sign\",\"unwrapKey\"],\"n\":\"AQAB\",\"e\":"
      "\"AQAB\"},\"attributes\":{\"enabled\":false,\"nbf\":1,\"exp\":2,\"created\":3,"
      "\"recoveryLevel\":\"Recoverable+Purgeable\",\"recoverableDays\":30},\"tags\":{}}";
  struct azure_key key = key_of (VAULT_KEY, NULL);
  struct azure_key_facts facts;

  (void)state;
  assert_int_equal (azure_key_parse_facts (&key, body, strlen (body), &facts), 0);
  assert_string_equal (facts.type, "RSA-HSM");
  assert_int_equal (facts.bits, 17); /* 01 00 01 */
  assert_false (facts.can_wrap);
  assert_true (facts.can_unwrap);
  assert_false (facts.enabled);
  assert_int_equal (facts.not_before_s, 1);
  assert_int_equal (facts.expires_s, 2);
  assert_string_equal (facts.recovery_level, "Recoverable+Purgeable");
  assert_int_equal (facts.recoverable_days, 30);
  assert_string_equal (facts.version, VERSION);
  assert_int_equal (azure_key_parse_facts (&key, body, strlen (body) - 1, &facts), -1);
  assert_int_equal (azure_key_parse_facts (&key, "{}", 2, &facts), -1);
}

static void
regions_are_compared_as_azure_writes_them (void **state)
{
  static const struct {
    const char *found, *wanted;
    enum kms_verdict verdict;
  } cases[] = {{"westeurope", "West Europe", KMS_PASS}, {"westeurope", "westeurope", KMS_PASS},
               {"westeurope", "WESTEUROPE", KMS_PASS},  {"westeurope", "northeurope", KMS_WARN},
               {"westeurope", "westeurope2", KMS_WARN}, {"", "westeurope", KMS_WARN},
               {"westeurope", NULL, KMS_PASS}};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct kms_report report = {0};

    azure_inspect_region (cases[i].found, cases[i].wanted, "--region", &report);
    assert_int_equal (line_of (&report, "region")->verdict, cases[i].verdict);
  }
}

static void
whose_a_token_is_stands_in_its_claims (void **state)
{
  CLEANUP_SECRET_TEXT struct secret_text token = {0};
  static const char claims[] = "{\"appid\":\"" CLIENT "\",\"oid\":\"o-1\",\"tid\":\"t-1\"}";
  char who[AZURE_IDENTITY_TEXT_MAX];

  (void)state;
  assert_int_equal (secret_text_init (&token, 500), 0);
  secret_text_add (&token, "e30.");
  secret_text_add_base64 (&token, (const uint8_t *)claims, strlen (claims), BASE64_URL);
  secret_text_add (&token, ".c2ln");
  assert_int_equal (azure_identity_of (&token.memory, who), 0);
  assert_string_equal (who, "application " CLIENT " (object o-1) in tenant t-1");
  secret_text_clear (&token);
  assert_int_equal (secret_text_init (&token, 500), 0);
  secret_text_add (&token, "opaque");
  assert_int_equal (azure_identity_of (&token.memory, who), -1);
}

/* ---- policies ---- */

static char *
policy_for (const char *key, const char *principal, int expected)
{
  const struct policy_request request = {.key = key, .principal = principal};
  char *text = NULL;
  size_t size;
  struct error err = {0};
  FILE *out = open_memstream (&text, &size);

  assert_int_equal (policy_write (&request, out, &err), expected);
  fclose (out);
  if (expected < 0) {
    assert_int_equal (err.class, ERROR_USAGE);
    assert_int_equal (size, 0);
  }
  return text;
}

static void
a_policy_has_the_commands_for_its_kind_of_service (void **state)
{
  char *vault = policy_for (VAULT_KEY, CLIENT, 0);
  char *hsm = policy_for ("https://h.managedhsm.usgovcloudapi.net/keys/k", NULL, 0);

  (void)state;
  assert_non_null (strstr (vault, "az role assignment create --role \"Key Vault Crypto Service "
                                  "Encryption User\""));
  assert_non_null (strstr (vault, "--assignee-object-id " CLIENT));
  assert_non_null (strstr (vault, "--name myvault --query id --output tsv)/keys/kek"));
  assert_non_null (strstr (vault, "--key-permissions unwrapKey\n"));
  assert_non_null (
      strstr (vault, "\"DataActions\": [\"Microsoft.KeyVault/vaults/keys/unwrap/action\"],"));
  assert_non_null (strstr (vault, "--role \"keyfence run\""));
  assert_non_null (strstr (vault, "list-versions --vault-name myvault --name kek"));
  assert_null (strstr (vault, "az cloud set"));
  assert_non_null (strstr (hsm, "az cloud set --name AzureUSGovernment"));
  assert_non_null (
      strstr (hsm, "--hsm-name h --role \"Managed HSM Crypto Service Encryption User\""));
  assert_non_null (strstr (hsm, "PRINCIPAL_OBJECT_ID"));
  free (vault);
  free (hsm);
}

static void
nothing_that_a_shell_would_run_gets_into_a_policy (void **state)
{
  static const char *const bad[] = {"$(x)",
                                    "a;b",
                                    "a b",
                                    "'",
                                    "",
                                    "-x",
                                    "`x`",
                                    "a\nb",
                                    "someone@example.org",
                                    "PRINCIPAL_OBJECT_ID",
                                    "0123"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    free (policy_for (VAULT_KEY, bad[i], -1));
  free (policy_for ("https://evil.example/keys/k", NULL, -1));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_good_key_passes_every_line),
      TEST (each_defect_shows_on_its_own_line_with_what_to_do),
      TEST (far_dates_and_aes_keys_are_fine),
      TEST (a_keys_answer_is_read_as_the_reference_has_it),
      TEST (regions_are_compared_as_azure_writes_them),
      TEST (whose_a_token_is_stands_in_its_claims),
      TEST (a_policy_has_the_commands_for_its_kind_of_service),
      TEST (nothing_that_a_shell_would_run_gets_into_a_policy),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
