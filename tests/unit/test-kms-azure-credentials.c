/* Where tokens come from: which source is used, and what it sends. */
#include "tests/unit/azure-http.h"

#include <time.h>

#include "kms/azure-credential.h"
#include "kms/azure-identity.h"
#include "tests/unit/azure-folder.h"

#define RESOURCE "https://vault.azure.net"
#define AUTHORITY "https://login.microsoftonline.com"
#define TOKEN_URL AUTHORITY "/" TENANT "/oauth2/v2.0/token"
#define TOKEN "{\"access_token\":\"t1\",\"expires_in\":3600,\"token_type\":\"Bearer\"}"

/* ---- precedence ---- */

static const char *
chosen (void)
{
  static struct kms_outcome outcome;
  const struct azure_credential *source = azure_credential_find (&outcome);

  return source ? source->name : outcome.reason;
}

static void
sources_are_looked_for_in_the_order_of_the_sdks (void **state)
{
  (void)state;
  assert_string_equal (chosen (), azure_imds.name);
  setenv ("IDENTITY_ENDPOINT", "http://localhost:1/x", 1);
  setenv ("IMDS_ENDPOINT", "http://localhost:1", 1);
  assert_string_equal (chosen (), azure_arc.name);
  setenv ("IDENTITY_HEADER", "h", 1);
  assert_string_equal (chosen (), azure_app_service.name);
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  assert_string_equal (chosen (), azure_app_service.name);
  setenv ("AZURE_FEDERATED_TOKEN_FILE", "/x", 1);
  assert_string_equal (chosen (), azure_workload_identity.name);
  setenv ("AZURE_CLIENT_CERTIFICATE_PATH", "/x", 1);
  assert_string_equal (chosen (), azure_client_certificate.name);
  setenv ("AZURE_CLIENT_SECRET", "s", 1);
  assert_string_equal (chosen (), azure_client_secret.name);
  setenv ("AZURE_CLIENT_SECRET", "", 1);
  assert_string_equal (chosen (), azure_client_certificate.name);
  unsetenv ("AZURE_TENANT_ID");
  assert_string_equal (chosen (), azure_app_service.name);
}

static void
the_kind_of_credentials_can_be_named (void **state)
{
  (void)state;
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_CLIENT_SECRET", "s", 1);
  setenv ("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential", 1);
  assert_string_equal (chosen (), azure_imds.name);
  setenv ("AZURE_TOKEN_CREDENTIALS", "prod", 1);
  assert_string_equal (chosen (), azure_client_secret.name);
  setenv ("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential", 1);
  assert_string_equal (chosen (), "no_credentials");
  setenv ("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential", 1);
  assert_string_equal (chosen (), "no_credentials");
}

/* ---- fetching ---- */

static struct azure_need
need_for (const char *tenant)
{
  struct azure_need need = {.deadline_ms = fake_ms + 5000};

  snprintf (need.resource, sizeof need.resource, "%s", RESOURCE);
  snprintf (need.authority, sizeof need.authority, "%s", AUTHORITY);
  snprintf (need.tenant, sizeof need.tenant, "%s", tenant);
  return need;
}

static int
fetch (struct kms_outcome *outcome)
{
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  struct azure_need need = need_for (TENANT);
  int r;

  *outcome = (struct kms_outcome){0};
  r = azure_credential_fetch (&need, &token, outcome);
  if (r == 0)
    assert_string_equal (secret_get_text (&token.value), "t1");
  return r;
}

static void
an_identity_in_another_tenant_is_told_so_before_anything_is_sent (void **state)
{
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  struct azure_need need = need_for (OTHER_TENANT);
  struct kms_outcome outcome = {0};

  (void)state;
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_CLIENT_SECRET", "s", 1);
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "wrong_tenant");
  setenv ("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "x;" OTHER_TENANT, 1);
  PLAY ({AUTHORITY "/" OTHER_TENANT "/oauth2", 200, TOKEN});
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), 0);
  azure_token_clear (&token);
  setenv ("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "*", 1);
  PLAY ({AUTHORITY "/" OTHER_TENANT "/oauth2", 200, TOKEN});
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), 0);
  azure_token_clear (&token);
  /* A name can't be told from an id, so the vault will judge. */
  setenv ("AZURE_TENANT_ID", "contoso.onmicrosoft.com", 1);
  PLAY ({AUTHORITY "/contoso.onmicrosoft.com/oauth2", 200, TOKEN});
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), 0);
  setenv ("AZURE_TENANT_ID", "a/../b", 1);
  azure_token_clear (&token);
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "bad_tenant");
}

static void
a_federated_token_is_read_anew_each_time (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_FEDERATED_TOKEN_FILE", write_file ("federated", "first.jwt\n", 10), 1);
  PLAY ({TOKEN_URL, 200, TOKEN});
  assert_int_equal (fetch (&outcome), 0);
  assert_non_null (strstr (seen[0].body, "&client_assertion=first.jwt"));
  assert_null (strstr (seen[0].body, "%0A"));
  assert_non_null (strstr (seen[0].body, "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                                         "client-assertion-type%3Ajwt-bearer&"));
  write_file ("federated", "second.jwt", 10);
  PLAY ({TOKEN_URL, 200, TOKEN});
  assert_int_equal (fetch (&outcome), 0);
  assert_non_null (strstr (seen[0].body, "&client_assertion=second.jwt"));
}

static void
a_file_of_credentials_that_is_none_is_refused (void **state)
{
  struct kms_outcome outcome;
  static char large[20000];

  (void)state;
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/x", 1);
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "credentials_file");
  setenv ("AZURE_FEDERATED_TOKEN_FILE", dir, 1);
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "credentials_file");
  setenv ("AZURE_FEDERATED_TOKEN_FILE", write_file ("empty", "", 0), 1);
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "credentials_file");
  memset (large, 'a', sizeof large);
  setenv ("AZURE_FEDERATED_TOKEN_FILE", write_file ("large", large, sizeof large), 1);
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "credentials_file");
}

static void
entras_refusals_say_what_is_wrong (void **state)
{
  static const struct {
    const char *code, *reason;
  } cases[] = {{"AADSTS7000215", "bad_secret"},     {"AADSTS7000222", "secret_expired"},
               {"AADSTS700027", "bad_certificate"}, {"AADSTS700024", "assertion_expired"},
               {"AADSTS90002", "no_tenant"},        {"AADSTS70021", "no_federation"},
               {"AADSTS1", "credentials_refused"}};
  struct kms_outcome outcome;
  char body[200];

  (void)state;
  setenv ("AZURE_TENANT_ID", TENANT, 1);
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  setenv ("AZURE_CLIENT_SECRET", "kfPlanted-secret", 1);
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    snprintf (body, sizeof body,
              "{\"error\":\"invalid_client\",\"error_description\":\"%s: x\\r\\nTrace\"}",
              cases[i].code);
    PLAY ({TOKEN_URL, i % 2 ? 400 : 401, body});
    assert_int_equal (fetch (&outcome), -1);
    assert_outcome (&outcome, KMS_CREDENTIALS, cases[i].reason);
    assert_null (strstr (outcome.text, "kfPlanted"));
  }
}

static void
an_identity_that_worked_and_is_gone_was_taken_away (void **state)
{
  static const char gone[] =
      "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}";
  static const char path[] = "/metadata/identity/oauth2/token";
  struct kms_outcome outcome;

  (void)state;
  PLAY ({path, 400, gone});
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "identity_gone");
  PLAY ({path, 200, TOKEN});
  assert_int_equal (fetch (&outcome), 0);
  PLAY ({path, 400, gone});
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_DENIED, "identity_gone");
}

static void
the_metadata_service_is_asked_as_it_wants_to_be (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  PLAY ({"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
         "resource=https%3A%2F%2Fvault.azure.net",
         200, "{\"access_token\":\"t1\",\"expires_in\":\"86400\",\"refresh_in\":\"43200\"}"});
  assert_int_equal (fetch (&outcome), 0);
  assert_string_equal (seen[0].header, "Metadata: true");
  assert_true (seen[0].link_local);
  assert_null (strstr (seen[0].url, "client_id"));
  setenv ("AZURE_CLIENT_ID", "a&b", 1);
  setenv ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://localhost:7/", 1);
  PLAY ({"http://localhost:7/metadata/identity", 429, "", .retry_after = "1"},
        {"http://localhost:7/metadata/identity", 410, ""},
        {"http://localhost:7/metadata/identity", 404, ""}, {"&client_id=a%26b", 200, TOKEN});
  assert_int_equal (fetch (&outcome), 0);
  assert_int_equal (waits, 3);
}

static void
app_service_gets_its_header (void **state)
{
  struct kms_outcome outcome;
  char body[100];

  (void)state;
  setenv ("IDENTITY_ENDPOINT", "http://127.0.0.1:41741/msi/token/", 1);
  setenv ("IDENTITY_HEADER", "app-header", 1);
  snprintf (body, sizeof body, "{\"access_token\":\"t1\",\"expires_on\":\"%ld\"}",
            (long)time (NULL) + 600);
  PLAY ({"http://127.0.0.1:41741/msi/token/?api-version=2019-08-01&resource=https%3A%2F%2Fvault."
         "azure.net",
         200, body});
  assert_int_equal (fetch (&outcome), 0);
  assert_string_equal (seen[0].header, "X-IDENTITY-HEADER: app-header");
  assert_true (seen[0].link_local);
}

static void
arc_reads_nothing_but_its_own_key_files (void **state)
{
  static const char *const bad[] = {
      "",
      "Basic",
      "Basic realm=",
      "Basic realm=/etc/shadow",
      "Basic realm=/etc/x.key",
      "Basic realm=/var/opt/azcmagent/tokens/",
      "Basic realm=/var/opt/azcmagent/tokens/.key",
      "Basic realm=/var/opt/azcmagent/tokens/x.txt",
      "Basic realm=/var/opt/azcmagent/tokens/../x.key",
      "Basic realm=/var/opt/azcmagent/tokens/a/x.key",
      "Basic realm=/var/opt/azcmagent/x.key",
      "Bearer realm=/var/opt/azcmagent/tokens/x.key",
      "Basic realm=var/opt/azcmagent/tokens/x.key",
  };
  char file[AZURE_ARC_FILE_MAX], header[600];

  (void)state;
  assert_int_equal (azure_arc_file ("Basic realm=/var/opt/azcmagent/tokens/x-1.key", file), 0);
  assert_string_equal (file, "/var/opt/azcmagent/tokens/x-1.key");
  assert_int_equal (azure_arc_file ("Basic realm=\"/var/opt/azcmagent/tokens/x.key\"", file), 0);
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    if (azure_arc_file (bad[i], file) == 0)
      fail_msg ("%s gave %s", bad[i], file);
  snprintf (header, sizeof header, "Basic realm=/var/opt/azcmagent/tokens/%0300d.key", 1);
  assert_int_equal (azure_arc_file (header, file), -1);
}

static void
arc_sends_nothing_without_a_right_challenge (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  setenv ("IDENTITY_ENDPOINT", "http://localhost:40342/metadata/identity/oauth2/token", 1);
  setenv ("IMDS_ENDPOINT", "http://localhost:40342", 1);
  PLAY ({"http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01", 401, "",
         .www_authenticate = "Basic realm=/etc/shadow"});
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "arc_challenge");
  PLAY ({"http://localhost:40342", 200, TOKEN});
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_OUTAGE, "unexpected_answer");
  setenv ("AZURE_CLIENT_ID", CLIENT, 1);
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "arc_client_id");
}

static void
tokens_for_real_vaults_are_not_got_for_a_simulator (void **state)
{
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  struct azure_need need = need_for (TENANT);
  struct kms_outcome outcome = {0};

  (void)state;
  need.simulated = true;
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), -1);
  assert_outcome (&outcome, KMS_CONFIG, "bad_endpoint");
  setenv ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://localhost:7", 1);
  PLAY ({"http://localhost:7/metadata", 200, TOKEN});
  assert_int_equal (azure_credential_fetch (&need, &token, &outcome), 0);
}

static void
a_machine_without_credentials_is_told_what_to_set (void **state)
{
  struct kms_outcome outcome;

  (void)state;
  /* The first test that asks it: once the service has answered, its silence is an outage. */
  PLAY ({"http://169.254.169.254", 0, .failure = HTTP_NXDOMAIN});
  assert_int_equal (fetch (&outcome), -1);
  assert_outcome (&outcome, KMS_CREDENTIALS, "no_credentials");
  assert_non_null (strstr (outcome.text, "AZURE_CLIENT_SECRET"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      PLAYED_TEST (sources_are_looked_for_in_the_order_of_the_sdks),
      PLAYED_TEST (the_kind_of_credentials_can_be_named),
      PLAYED_TEST (a_machine_without_credentials_is_told_what_to_set),
      PLAYED_TEST (an_identity_in_another_tenant_is_told_so_before_anything_is_sent),
      PLAYED_TEST (a_federated_token_is_read_anew_each_time),
      PLAYED_TEST (a_file_of_credentials_that_is_none_is_refused),
      PLAYED_TEST (entras_refusals_say_what_is_wrong),
      PLAYED_TEST (an_identity_that_worked_and_is_gone_was_taken_away),
      PLAYED_TEST (the_metadata_service_is_asked_as_it_wants_to_be),
      PLAYED_TEST (app_service_gets_its_header),
      PLAYED_TEST (arc_reads_nothing_but_its_own_key_files),
      PLAYED_TEST (arc_sends_nothing_without_a_right_challenge),
      PLAYED_TEST (tokens_for_real_vaults_are_not_got_for_a_simulator),
  };

  return cmocka_run_group_tests (tests, make_dir, remove_dir);
}
