/* azure-entra.c owns the exchange with Entra's token endpoint. */
#include "kms/azure-entra.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/io.h"
#include "common/json.h"
#include "common/parse.h"
#include "kms/azure-environment.h"
#include "kms/azure-error.h"
#include "kms/azure-send.h"
#include "kms/secret-text.h"

#define FORM_MAX ((size_t)32 * 1024) /* a federated token may have some KiB, encoded more */
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* ---- tenants ---- */

static bool
is_tenant (const char *text)
{
  size_t length = strlen (text);

  for (size_t i = 0; i < length; i++)
    if (!isalnum ((unsigned char)text[i]) && text[i] != '.' && text[i] != '-')
      return false;
  return length > 0 && length < AZURE_TENANT_MAX;
}

static bool
is_allowed_too (const char *tenant)
{
  const char *p = azure_variable ("AZURE_ADDITIONALLY_ALLOWED_TENANTS");

  while (p && *p) {
    size_t length = strcspn (p, "; ");

    if ((length == 1 && *p == '*')
        || (length == strlen (tenant) && strncasecmp (p, tenant, length) == 0))
      return true;
    p += length + strspn (p + length, "; ");
  }
  return false;
}

int
azure_entra_tenant (const struct azure_need *need, char ret[AZURE_TENANT_MAX],
                    struct kms_outcome *outcome)
{
  const char *own = azure_variable ("AZURE_TENANT_ID"), *tenant = own ? own : "";

  if (!is_tenant (tenant))
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_tenant",
                            "AZURE_TENANT_ID is \"%.60s\", where it must be a tenant's id or "
                            "domain name",
                            tenant);
  /* Names can't be compared with ids; then the vault will judge. */
  if (is_uuid (tenant) && is_uuid (need->tenant) && strcasecmp (tenant, need->tenant) != 0) {
    if (!is_allowed_too (need->tenant))
      return kms_outcome_set (outcome, KMS_CREDENTIALS, "wrong_tenant",
                              "the vault is in tenant %.40s, and AZURE_TENANT_ID is %.40s: set it "
                              "to the vault's, or allow that in AZURE_ADDITIONALLY_ALLOWED_TENANTS",
                              need->tenant, tenant);
    tenant = need->tenant;
  }
  memmove (ret, tenant, strlen (tenant) + 1);
  return 0;
}

void
azure_entra_endpoint (const struct azure_need *need, const char *tenant,
                      char ret[AZURE_ENDPOINT_MAX])
{
  snprintf (ret, AZURE_ENDPOINT_MAX, "%.*s/%.*s/oauth2/v2.0/token", AZURE_BASE_MAX, need->authority,
            AZURE_TENANT_MAX, tenant);
}

/* ---- the request ---- */

/* The vault's claims, and ours: that we understand claims challenges (client capability cp1), for
 * which Entra gives tokens that can be revoked at once.
 */
static char *
merge_claims (const char *wanted)
{
  CLEANUP_JSON struct json *root = wanted ? json_parse (wanted, strlen (wanted)) : NULL;
  struct json *token, *capabilities;

  if (!json_is_object (root)) {
    json_free (root);
    root = json_object_new ();
  }
  if (!root)
    return NULL;
  /* The tree is our own, so the member may be changed. */
  token = (struct json *)(uintptr_t)json_get (root, "access_token");
  if (!json_is_object (token))
    token = json_get (root, "access_token") ? NULL : json_set_object (root, "access_token");
  if (token && !json_get (token, "xms_cc")) {
    capabilities = json_set_object (token, "xms_cc");
    json_append_string (json_set_array (capabilities, "values"), "cp1");
  }
  return json_print (root, false);
}

static void
add_field (struct secret_text *form, const char *name, const char *value)
{
  if (form->length > 0)
    secret_text_add (form, "&");
  secret_text_add (form, name);
  secret_text_add (form, "=");
  secret_text_add_encoded (form, value);
}

static int
make_form (const struct azure_need *need, const struct azure_proof *proof, struct secret_text *form,
           struct kms_outcome *outcome)
{
  CLEANUP_FREE
  char *claims = merge_claims (need->claims);
  char scope[AZURE_BASE_MAX + 16];

  if (!claims || secret_text_init (form, FORM_MAX) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  snprintf (scope, sizeof scope, "%s/.default", need->resource);
  add_field (form, "grant_type", "client_credentials");
  add_field (form, "client_id", proof->client_id);
  add_field (form, "scope", scope);
  add_field (form, "claims", claims);
  if (proof->secret)
    add_field (form, "client_secret", proof->secret);
  else {
    add_field (form, "client_assertion_type", ASSERTION_TYPE);
    add_field (form, "client_assertion", proof->assertion);
  }
  if (!secret_text_get (form))
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_credentials",
                            "the secret or the federated token is too long to be one");
  return 0;
}

int
azure_entra_fetch (const struct azure_need *need, const char *tenant,
                   const struct azure_proof *proof, struct azure_token *ret,
                   struct kms_outcome *outcome)
{
  CLEANUP_SECRET_TEXT struct secret_text form = {0};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  char endpoint[AZURE_ENDPOINT_MAX];
  struct http_request request = {
      .method = "POST",
      .url = endpoint,
      .headers = {{"Content-Type", NULL, "application/x-www-form-urlencoded"},
                  {"Accept", NULL, "application/json"}},
  };

  if (make_form (need, proof, &form, outcome) < 0)
    return -1;
  azure_entra_endpoint (need, tenant, endpoint);
  request.body = secret_text_get (&form);
  request.body_size = form.length;
  if (azure_send (AZURE_SERVICE_ENTRA, AZURE_NONE, need->authority, need->deadline_ms, &request,
                  &answer, outcome)
      < 0)
    return -1;
  return azure_token_from_answer (answer.body.bytes, answer.body.size, clock_ms (), ret, outcome);
}
