/* The names of keys in Azure, and where a challenge may send us. */
#include "tests/unit/azure-test.h"

#include "kms/azure-challenge.h"
#include "kms/azure-environment.h"

/* ---- names ---- */

static void
keys_of_every_cloud_are_known_with_and_without_version (void **state)
{
  static const struct {
    const char *text, *base, *domain, *version;
    bool hsm;
  } cases[] = {
      {VAULT_KEY, "https://myvault.vault.azure.net", "vault.azure.net", "", false},
      {VAULT_KEY "/", "https://myvault.vault.azure.net", "vault.azure.net", "", false},
      {VAULT_KEY "/" VERSION, "https://myvault.vault.azure.net", "vault.azure.net", VERSION, false},
      {VAULT_KEY "/" VERSION "/", "https://myvault.vault.azure.net", "vault.azure.net", VERSION,
       false},
      {"HTTPS://MyVault.Vault.Azure.Net:443/keys/kek", "https://myvault.vault.azure.net",
       "vault.azure.net", "", false},
      {"https://h.managedhsm.azure.net/keys/kek", "https://h.managedhsm.azure.net",
       "managedhsm.azure.net", "", true},
      {"https://h.eastus.managedhsm.azure.net/keys/kek", "https://h.eastus.managedhsm.azure.net",
       "managedhsm.azure.net", "", true},
      {"https://v.vault.usgovcloudapi.net/keys/kek", "https://v.vault.usgovcloudapi.net",
       "vault.usgovcloudapi.net", "", false},
      {"https://h.managedhsm.usgovcloudapi.net/keys/kek", "https://h.managedhsm.usgovcloudapi.net",
       "managedhsm.usgovcloudapi.net", "", true},
      {"https://v.vault.azure.cn/keys/kek", "https://v.vault.azure.cn", "vault.azure.cn", "",
       false},
      {"https://h.managedhsm.azure.cn/keys/kek", "https://h.managedhsm.azure.cn",
       "managedhsm.azure.cn", "", true},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct azure_key key = key_of (cases[i].text, NULL);

    assert_string_equal (key.base, cases[i].base);
    assert_string_equal (key.domain, cases[i].domain);
    assert_string_equal (key.version, cases[i].version);
    assert_string_equal (key.name, "kek");
    assert_int_equal (key.hsm, cases[i].hsm);
    assert_non_null (key.cloud);
  }
}

static void
what_is_no_key_of_azure_is_refused (void **state)
{
  static const char *const cases[] = {
      "",
      "https://",
      "https:///keys/kek",
      "http://myvault.vault.azure.net/keys/kek",
      "https://vault.azure.net/keys/kek",
      "https://.vault.azure.net/keys/kek",
      "https://a.b.vault.azure.net/keys/kek",
      "https://a.b.c.managedhsm.azure.net/keys/kek",
      "https://-a.vault.azure.net/keys/kek",
      "https://evil.example/keys/kek",
      "https://myvault.vault.azure.net.evil.example/keys/kek",
      "https://evilvault.azure.net/keys/kek",
      "https://user@myvault.vault.azure.net/keys/kek",
      "https://evil.example#.vault.azure.net/keys/kek",
      "https://evil.example/.vault.azure.net/keys/kek",
      "https://myvault.vault.azure.net:8443/keys/kek",
      "https://myvault.vault.azure.net:/keys/kek",
      "https://myvault.vault.azure.net:0/keys/kek",
      "https://myvault.vault.azure.net:99999/keys/kek",
      "https://myvault.vault.azure.net:44x/keys/kek",
      "https://myvault.vault.azure.net",
      "https://myvault.vault.azure.net/",
      "https://myvault.vault.azure.net/keys",
      "https://myvault.vault.azure.net/keys/",
      "https://myvault.vault.azure.net/secrets/kek",
      "https://myvault.vault.azure.net/keys//kek",
      "https://myvault.vault.azure.net/keys/k_k",
      "https://myvault.vault.azure.net/keys/k%6b",
      "https://myvault.vault.azure.net/keys/..",
      "https://myvault.vault.azure.net/keys/kek?x=1",
      "https://myvault.vault.azure.net/keys/kek#x",
      "https://myvault.vault.azure.net/keys/kek//",
      "https://myvault.vault.azure.net/keys/kek/../x",
      "https://myvault.vault.azure.net/keys/kek/" VERSION "/wrapkey",
      "https://myvault.vault.azure.net/keys/kek /",
      "https://myvault.vault.azure.net\n/keys/kek",
      "https://[::1]/keys/kek",
      "arn:aws:kms:eu-central-1:111122223333:key/1",
  };
  struct azure_key key;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++)
    if (azure_key_parse (cases[i], NULL, &key) == 0)
      fail_msg ("%s is taken for %s", cases[i], key.base);
}

static void
names_and_versions_have_their_limits (void **state)
{
  char text[WRAP_KEY_MAX + 200], name[200];
  struct azure_key key;

  (void)state;
  memset (name, 'a', sizeof name);
  snprintf (text, sizeof text, "https://v.vault.azure.net/keys/%.127s", name);
  assert_int_equal (azure_key_parse (text, NULL, &key), 0);
  snprintf (text, sizeof text, "https://v.vault.azure.net/keys/%.128s", name);
  assert_int_equal (azure_key_parse (text, NULL, &key), -1);
  snprintf (text, sizeof text, "https://v.vault.azure.net/keys/k/%.64s", name);
  assert_int_equal (azure_key_parse (text, NULL, &key), 0);
  snprintf (text, sizeof text, "https://v.vault.azure.net/keys/k/%.65s", name);
  assert_int_equal (azure_key_parse (text, NULL, &key), -1);
  snprintf (text, sizeof text, "https://%.64s.vault.azure.net/keys/k", name);
  assert_int_equal (azure_key_parse (text, NULL, &key), -1);
}

static void
other_hosts_are_for_simulators_only (void **state)
{
  struct azure_key key = key_of ("https://v.vault.localhost:8443/keys/kek", NULL);

  (void)state;
  assert_null (key.cloud);
  assert_string_equal (key.base, "https://v.vault.localhost:8443");
  assert_string_equal (key.host, "v.vault.localhost");
  assert_string_equal (key.domain, "vault.localhost");
  assert_false (key.hsm);
  assert_true (key_of ("https://h.managedhsm.localhost:8443/keys/kek", NULL).hsm);
  assert_int_equal (azure_key_parse ("https://kms.test:8443/keys/kek", NULL, &key), -1);
  assert_int_equal (
      azure_key_parse ("https://kms.test:8443/keys/kek", "https://login.microsoftonline.com", &key),
      -1);
  assert_int_equal (
      azure_key_parse ("https://kms.test:8443/keys/kek", "https://localhost.evil.example", &key),
      -1);
  key_of ("https://kms.test:8443/keys/kek", "https://localhost:8443");
  key_of ("https://kms.test:8443/keys/kek", "http://127.0.0.1:8443/");
}

static void
only_this_machine_is_loopback (void **state)
{
  static const char *const yes[] = {"localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"};
  static const char *const no[] = {"localhost.example",
                                   "notlocalhost",
                                   "127.0.0.1.example",
                                   "127.0.0",
                                   "128.0.0.1",
                                   "127.0.0.999",
                                   "",
                                   "0.0.0.0"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (yes); i++)
    assert_true (azure_host_is_loopback (yes[i]));
  for (size_t i = 0; i < ARRAY_SIZE (no); i++)
    assert_false (azure_host_is_loopback (no[i]));
}

static void
a_version_is_taken_from_the_id_of_the_same_key_only (void **state)
{
  static const char *const bad[] = {
      VAULT_KEY,
      VAULT_KEY "/",
      "https://othervault.vault.azure.net/keys/kek/" VERSION,
      "https://myvault.vault.azure.net/keys/other/" VERSION,
      "https://myvault.vault.azure.net/secrets/kek/" VERSION,
      "http://myvault.vault.azure.net/keys/kek/" VERSION,
      VAULT_KEY "/" VERSION "/x",
      VAULT_KEY "/../" VERSION,
      VAULT_KEY "/a?b",
      "",
  };
  struct azure_key key = key_of (VAULT_KEY, NULL);
  char version[AZURE_VERSION_MAX] = "untouched", text[WRAP_KEY_MAX];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    if (azure_key_version_of (&key, bad[i], version) == 0)
      fail_msg ("%s gave %s", bad[i], version);
  assert_string_equal (version, "untouched");
  assert_int_equal (
      azure_key_version_of (&key, "https://MYVAULT.vault.azure.net/keys/KEK/" VERSION, version), 0);
  assert_string_equal (version, VERSION);
  snprintf (key.version, sizeof key.version, "%s", version);
  assert_int_equal (azure_key_print (&key, text), 0);
  assert_string_equal (text, VAULT_KEY "/" VERSION);
}

static void
the_authority_is_the_clouds_or_the_variables (void **state)
{
  static const struct {
    const char *key, *variable, *base;
  } cases[] = {
      {VAULT_KEY, NULL, "https://login.microsoftonline.com"},
      {"https://v.vault.azure.cn/keys/k", NULL, "https://login.chinacloudapi.cn"},
      {"https://v.vault.usgovcloudapi.net/keys/k", NULL, "https://login.microsoftonline.us"},
      {VAULT_KEY, "https://login.example/", "https://login.example"},
      {VAULT_KEY, "login.example", "https://login.example"},
      {VAULT_KEY, "http://localhost:1234/", "http://localhost:1234"},
      {VAULT_KEY, "http://login.example/", NULL},
      {VAULT_KEY, "https://login.example/tenant", NULL},
      {VAULT_KEY, "https://user@login.example", NULL},
      {VAULT_KEY, "ftp://login.example", NULL},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct azure_key key = key_of (cases[i].key, NULL);
    struct kms_outcome outcome = {0};
    char base[AZURE_BASE_MAX] = "";

    if (cases[i].variable)
      setenv ("AZURE_AUTHORITY_HOST", cases[i].variable, 1);
    assert_int_equal (azure_authority (&key, base, &outcome), cases[i].base ? 0 : -1);
    if (cases[i].base)
      assert_string_equal (base, cases[i].base);
    else
      assert_outcome (&outcome, KMS_CONFIG, "bad_authority");
    unsetenv ("AZURE_AUTHORITY_HOST");
  }
}

/* ---- challenges ---- */

#define AUTHORITY "https://login.microsoftonline.com"
#define GOOD \
  "Bearer authorization=\"" AUTHORITY "/" TENANT "\", resource=\"https://vault.azure.net\""

static void
a_challenge_tells_tenant_and_resource (void **state)
{
  static const char *const forms[] = {
      GOOD,
      "bearer  authorization = \"" AUTHORITY "/" TENANT "\" ,resource=\"https://vault.azure.net/\"",
      "Bearer authorization_uri=\"" AUTHORITY "/" TENANT "\", scope=\"https://vault.azure.net/"
      ".default\"",
      "Basic realm=\"x, Bearer y=\\\"z\\\"\", " GOOD,
      GOOD ", PoP authorization=\"https://evil.example\", resource=\"https://evil.example\"",
      ", ,\t" GOOD ",",
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (forms); i++) {
    struct azure_challenge challenge;

    if (azure_challenge_parse (forms[i], &challenge) < 0)
      fail_msg ("%s is refused", forms[i]);
    assert_string_equal (challenge.tenant, TENANT);
    assert_string_equal (challenge.resource, "https://vault.azure.net");
    assert_string_equal (challenge.authority, AUTHORITY "/" TENANT);
    assert_string_equal (challenge.error, "");
    assert_string_equal (challenge.claims, "");
  }
}

static void
a_claims_challenge_is_decoded (void **state)
{
  struct azure_challenge challenge;

  (void)state;
  assert_int_equal (azure_challenge_parse (GOOD ", error=\"insufficient_claims\", "
                                                "claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"",
                                           &challenge),
                    0);
  assert_string_equal (challenge.error, "insufficient_claims");
  assert_string_equal (challenge.claims, "{\"access_token\":{}}");
  assert_int_equal (azure_challenge_parse (GOOD ", claims=\"eyJhIjoiPz8_In0\"", &challenge), 0);
  assert_string_equal (challenge.claims, "{\"a\":\"???\"}");
}

static void
malformed_challenges_are_refused_whole (void **state)
{
  static const char *const cases[] = {
      "",
      " ",
      ",",
      "Bearer\x01",
      "Basic realm=\"x\"",
      "Bearer authorization",
      "Bearer authorization=",
      "Bearer authorization=\"https://login.microsoftonline.com/x",
      "Bearer authorization=\"https://login.microsoftonline.com/x\\",
      "Bearer authorization=\"a\tb\"",
      "Bearer authorization=\"a\", authorization=\"b\"",
      "Bearer resource=\"a\", resource=\"b\"",
      "Bearer authorization=https://login.microsoftonline.com/x",
      "Bearer authorization=\"https://login.microsoftonline.com/a%2fb\"",
      "Bearer authorization=\"https://login.microsoftonline.com/a b\"",
      GOOD ", claims=\"not base64!\"",
      GOOD ", claims=\"AGEA\"",
      GOOD ", claims=\"e\"",
      GOOD ", =\"x\"",
      "averyveryveryveryverylongschemename authorization=\"x\"",
  };
  struct azure_challenge challenge;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++)
    if (azure_challenge_parse (cases[i], &challenge) == 0 && *challenge.resource)
      fail_msg ("%s is taken", cases[i]);
}

static void
a_challenge_that_is_too_long_is_refused (void **state)
{
  static char header[9000];
  struct azure_challenge challenge;

  (void)state;
  memset (header, 'a', sizeof header - 1);
  assert_int_equal (azure_challenge_parse (header, &challenge), -1);
  snprintf (header, sizeof header, "Bearer resource=\"https://%0300d.example\"", 1);
  assert_int_equal (azure_challenge_parse (header, &challenge), -1);
  snprintf (header, sizeof header, "Bearer authorization=\"https://login.example/%0200d\"", 1);
  assert_int_equal (azure_challenge_parse (header, &challenge), -1);
}

static int
judge (const char *key_text, const char *variable, const char *authorization, const char *resource,
       struct kms_outcome *outcome)
{
  struct azure_key key = key_of (key_text, variable);
  struct azure_challenge challenge;
  char header[1024], authority[AZURE_BASE_MAX];

  if (variable)
    setenv ("AZURE_AUTHORITY_HOST", variable, 1);
  assert_int_equal (azure_authority (&key, authority, outcome), 0);
  unsetenv ("AZURE_AUTHORITY_HOST");
  snprintf (header, sizeof header, "Bearer authorization=\"%s\", resource=\"%s\"", authorization,
            resource);
  assert_int_equal (azure_challenge_parse (header, &challenge), 0);
  return azure_challenge_check (&challenge, &key, authority, outcome);
}

static void
a_token_is_for_the_vaults_own_domain_only (void **state)
{
  static const char *const foreign[] = {
      "https://evil.example",
      "https://management.azure.com",
      "https://graph.microsoft.com",
      "https://managedhsm.azure.net",
      "https://vault.azure.cn",
      "https://azure.net",
      "https://net",
      "https://myvault.vault.azure.net",
      "https://vault.azure.net.evil.example",
      "https://vault.azure.net/evil",
      "https://evil@vault.azure.net",
      "http://vault.azure.net",
      "vault.azure.net",
      "",
  };
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (judge (VAULT_KEY, NULL, AUTHORITY "/t", "https://vault.azure.net", &outcome),
                    0);
  assert_int_equal (judge ("https://h.managedhsm.azure.net/keys/k", NULL, AUTHORITY "/t",
                           "https://managedhsm.azure.net", &outcome),
                    0);
  for (size_t i = 0; i < ARRAY_SIZE (foreign); i++) {
    if (judge (VAULT_KEY, NULL, AUTHORITY "/t", foreign[i], &outcome) == 0)
      fail_msg ("%s is accepted", foreign[i]);
    assert_outcome (&outcome, KMS_CONFIG, "challenge_resource");
  }
}

static void
the_authority_must_be_the_configured_one (void **state)
{
  static const char *const foreign[] = {
      "https://evil.example/t",
      "https://login.microsoftonline.com.evil.example/t",
      "https://login.microsoftonline.us/t",
      "https://evil@login.microsoftonline.com/t",
      "http://login.microsoftonline.com/t",
      "https://localhost/t",
  };
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (
      judge (VAULT_KEY, NULL, "https://login.windows.net/t", "https://vault.azure.net", &outcome),
      0);
  assert_int_equal (judge (VAULT_KEY, "https://login.private.example",
                           "https://login.private.example/t", "https://vault.azure.net", &outcome),
                    0);
  for (size_t i = 0; i < ARRAY_SIZE (foreign); i++) {
    if (judge (VAULT_KEY, NULL, foreign[i], "https://vault.azure.net", &outcome) == 0)
      fail_msg ("%s is accepted", foreign[i]);
    assert_outcome (&outcome, KMS_CONFIG, "challenge_authority");
  }
}

static void
a_simulator_gets_tokens_for_real_vaults_only_from_this_machine (void **state)
{
  static const char key[] = "https://v.vault.localhost:8443/keys/k";
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (judge (key, "https://localhost:8443", "https://localhost:8443/t",
                           "https://vault.azure.net", &outcome),
                    0);
  assert_int_equal (judge (key, "https://localhost:8443", "https://localhost:8443/t",
                           "https://vault.localhost", &outcome),
                    0);
  assert_int_equal (
      judge (key, NULL, "https://localhost:8443/t", "https://vault.localhost", &outcome), 0);
  assert_int_equal (
      judge (key, NULL, "https://localhost:8443/t", "https://vault.azure.net", &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "challenge_resource");
  assert_int_equal (judge (key, "https://localhost:8443", "https://evil.example/t",
                           "https://vault.azure.net", &outcome),
                    -1);
  assert_outcome (&outcome, KMS_CONFIG, "challenge_authority");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (keys_of_every_cloud_are_known_with_and_without_version),
      TEST (what_is_no_key_of_azure_is_refused),
      TEST (names_and_versions_have_their_limits),
      TEST (other_hosts_are_for_simulators_only),
      TEST (only_this_machine_is_loopback),
      TEST (a_version_is_taken_from_the_id_of_the_same_key_only),
      TEST (the_authority_is_the_clouds_or_the_variables),
      TEST (a_challenge_tells_tenant_and_resource),
      TEST (a_claims_challenge_is_decoded),
      TEST (malformed_challenges_are_refused_whole),
      TEST (a_challenge_that_is_too_long_is_refused),
      TEST (a_token_is_for_the_vaults_own_domain_only),
      TEST (the_authority_must_be_the_configured_one),
      TEST (a_simulator_gets_tokens_for_real_vaults_only_from_this_machine),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
