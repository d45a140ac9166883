/* azure-entra.c owns the token endpoint of Entra, and the documents that clients look up before it.
 */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "common/text.h"
#include "tools/sim/azure-entra.h"

#define JSON_TYPE "application/json; charset=utf-8"

static void
entra_request_clear (struct entra_request *request)
{
  free (request->grant_type);
  free (request->client_id);
  free (request->client_secret);
  free (request->assertion);
  free (request->assertion_type);
  free (request->scope);
  free (request->claims);
}

/* ---- errors -----------------------------------------------------------------------------------
 */

static void
fail_text (struct exchange *ex, unsigned status, const char *error, unsigned code, const char *text)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  CLEANUP_JSON struct json *codes = NULL;
  CLEANUP_FREE
  char *description = NULL;
  char array[32], time[FORMAT_TIME_MAX];

  format_time (ex->now_s, time);
  snprintf (array, sizeof array, "[%u]", code);
  codes = json_parse (array, strlen (array));
  if (!json || !codes
      || asprintf (&description, "AADSTS%u: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code,
                   text, ex->request_id, ex->request_id, time)
             < 0)
    abort ();
  json_set_string (json, "error", error);
  json_set_string (json, "error_description", description);
  json_set_value (json, "error_codes", codes);
  codes = NULL;
  json_set_string (json, "timestamp", time);
  json_set_string (json, "trace_id", ex->request_id);
  json_set_string (json, "correlation_id", ex->request_id);
  reply_header (ex->reply, "x-ms-request-id", "%s", ex->request_id);
  reply_json (ex->reply, status, JSON_TYPE, json);
  snprintf (ex->outcome, sizeof ex->outcome, "AADSTS%u", code);
}

int
entra_fail (struct exchange *ex, enum entra_error error)
{
  static const struct {
    unsigned status;
    const char *error;
    unsigned code;
    const char *text;
  } table[] = {
      [ENTRA_BAD_REQUEST] =
          {400, "invalid_request", 900144,
           "The request body must contain grant_type=client_credentials, client_id, "
           "scope and one credential."},
      [ENTRA_BAD_TENANT] = {400, "invalid_request", 90002,
                            "Tenant not found. Check to make sure you have the correct tenant ID."},
      [ENTRA_BAD_APP] =
          {400, "unauthorized_client", 700016,
           "Application was not found in the directory. This can happen if the application "
           "has not been installed by the administrator of the tenant."},
      [ENTRA_BAD_SECRET] =
          {401, "invalid_client", 7000215,
           "Invalid client secret provided. Ensure the secret being sent in the request "
           "is the client secret value, not the client secret ID."},
      [ENTRA_EXPIRED_SECRET] = {401, "invalid_client", 7000222,
                                "The provided client secret keys for app are expired."},
      [ENTRA_BAD_CERTIFICATE] =
          {401, "invalid_client", 700027,
           "The certificate with identifier used to sign the client assertion is "
           "not registered on application, or the signature is wrong."},
      [ENTRA_EXPIRED_ASSERTION] = {401, "invalid_client", 700024,
                                   "Client assertion is not within its valid time range."},
      [ENTRA_BAD_AUDIENCE] = {401, "invalid_client", 700023,
                              "Client assertion audience claim does not match Realm issuer."},
      [ENTRA_NO_FEDERATION] =
          {401, "invalid_client", 70021,
           "No matching federated identity record found for presented assertion."},
      [ENTRA_BAD_SCOPE] =
          {400, "invalid_resource", 500011,
           "The resource principal named in the scope was not found in the tenant."},
      [ENTRA_UNAVAILABLE] = {503, "temporarily_unavailable", 90033,
                             "A transient error has occurred. Please try again."},
      [ENTRA_THROTTLED] = {429, "temporarily_unavailable", 50196,
                           "Too many requests. Please wait."},
      [ENTRA_CONDITIONAL_ACCESS] = {400, "invalid_grant", 53003,
                                    "Access has been blocked by Conditional Access policies."},
  };

  fail_text (ex, table[error].status, table[error].error, table[error].code, table[error].text);
  return -1;
}

static bool
fail (struct exchange *ex, const struct fault *fault)
{
  static const struct {
    enum fault_kind kind;
    enum entra_error error;
  } table[] = {{FAULT_OUTAGE, ENTRA_UNAVAILABLE},
               {FAULT_THROTTLE, ENTRA_THROTTLED},
               {FAULT_EXPIRED, ENTRA_EXPIRED_SECRET},
               {FAULT_FIREWALL, ENTRA_CONDITIONAL_ACCESS},
               {FAULT_DENY, ENTRA_BAD_APP}};

  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (table[i].kind == fault->kind) {
      entra_fail (ex, table[i].error);
      return true;
    }
  return false;
}

/* ---- the token --------------------------------------------------------------------------------
 */

static void
parse_form (struct exchange *ex, struct entra_request *ret)
{
  const char *form = ex->request->body;

  ret->ex = ex;
  snprintf (ret->tenant, sizeof ret->tenant, "%.*s", (int)strcspn (ex->request->path + 1, "/"),
            ex->request->path + 1);
  ret->grant_type = form_value (form, "grant_type");
  ret->client_id = form_value (form, "client_id");
  ret->client_secret = form_value (form, "client_secret");
  ret->assertion = form_value (form, "client_assertion");
  ret->assertion_type = form_value (form, "client_assertion_type");
  ret->scope = form_value (form, "scope");
  ret->claims = form_value (form, "claims");
}

/* MSAL asks for "RESOURCE/.default" among openid scopes; *scope is cut to the resource. */
static int
find_resource (const struct entra_request *request, char ret[AZURE_NAME_MAX])
{
  static const char suffix[] = "/.default";
  CLEANUP_FREE
  char *scopes = strdup (request->scope);
  char *rest = scopes, *scope;

  if (!scopes)
    abort ();
  while ((scope = strsep (&rest, " "))) {
    size_t length = strlen (scope);

    if (length <= sizeof suffix - 1 || length >= AZURE_NAME_MAX
        || strcmp (scope + length - (sizeof suffix - 1), suffix) != 0
        || strncmp (scope, "https://", 8) != 0)
      continue;
    length -= sizeof suffix - 1;
    while (length > 0 && scope[length - 1] == '/')
      length--;
    memcpy (ret, scope, length);
    ret[length] = '\0';
    return 0;
  }
  return entra_fail (request->ex, ENTRA_BAD_SCOPE);
}

/* Whether the request's claims parameter (of a claims challenge) asks for something. */
static bool
asks_claims (const struct entra_request *request)
{
  CLEANUP_JSON struct json *claims =
      request->claims ? json_parse (request->claims, strlen (request->claims)) : NULL;
  const struct json *wanted = json_get (claims, "access_token");

  return json_get (wanted, "nbf") || json_get (wanted, "acrs");
}

static void
reply_token (const struct entra_request *request, const struct azure_app *app, const char *resource)
{
  struct exchange *ex = request->ex;
  CLEANUP_JSON struct json *json = json_object_new ();
  CLEANUP_FREE
  char *token =
      azure_access_token (ex->sim, app, resource, asks_claims (request), ex->now_s, AZURE_TOKEN_S);

  if (!json)
    abort ();
  json_set_string (json, "token_type", "Bearer");
  json_set_number (json, "expires_in", AZURE_TOKEN_S - 1);
  json_set_number (json, "ext_expires_in", AZURE_TOKEN_S - 1);
  json_set_string (json, "access_token", token);
  reply_header (ex->reply, "x-ms-request-id", "%s", ex->request_id);
  reply_header (ex->reply, "Cache-Control", "no-store, no-cache");
  reply_json (ex->reply, 200, JSON_TYPE, json);
}

static int
answer_token (struct exchange *ex)
{
  CLEANUP (entra_request_clear) struct entra_request request = {0};
  CLEANUP_AZURE_APP struct azure_app app = {0};
  char tenant[37], resource[AZURE_NAME_MAX];

  parse_form (ex, &request);
  if (!request.grant_type || strcmp (request.grant_type, "client_credentials") != 0
      || !request.client_id || !request.scope)
    return entra_fail (ex, ENTRA_BAD_REQUEST);
  azure_tenant (ex->sim, tenant);
  if (strcmp (request.tenant, tenant) != 0)
    return entra_fail (ex, ENTRA_BAD_TENANT);
  if (azure_app_load (ex->sim, request.client_id, &app) < 0 || app.identity)
    return entra_fail (ex, ENTRA_BAD_APP);
  snprintf (ex->principal, sizeof ex->principal, "%s (%s)", app.name, app.client_id);
  if (entra_check_proof (&request, &app) < 0 || find_resource (&request, resource) < 0)
    return -1;
  reply_token (&request, &app, resource);
  return 0;
}

/* ---- discovery --------------------------------------------------------------------------------
 */

/* Of this tenant only: a client finds out here that it has the wrong one. */
static void
answer_openid (struct exchange *ex)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  const char *host = request_host (ex->request);
  char tenant[37], url[400];

  if (!json)
    abort ();
  azure_tenant (ex->sim, tenant);
  if (strncmp (ex->request->path + 1, tenant, strlen (tenant)) != 0) {
    entra_fail (ex, ENTRA_BAD_TENANT);
    return;
  }
  json_set_string (json, "tenant_region_scope", NULL);
#define SET(name, path)                                               \
  snprintf (url, sizeof url, "https://%.200s/%s" path, host, tenant); \
  json_set_string (json, name, url)
  SET ("token_endpoint", "/oauth2/v2.0/token");
  SET ("authorization_endpoint", "/oauth2/v2.0/authorize");
  SET ("jwks_uri", "/discovery/v2.0/keys");
  SET ("issuer", "/v2.0");
#undef SET
  reply_json (ex->reply, 200, JSON_TYPE, json);
}

static void
answer_instance (struct exchange *ex)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  char url[320], tenant[37];

  if (!json)
    abort ();
  azure_tenant (ex->sim, tenant);
  snprintf (url, sizeof url, "https://%.200s/%s/v2.0/.well-known/openid-configuration",
            request_host (ex->request), tenant);
  json_set_string (json, "tenant_discovery_endpoint", url);
  json_set_string (json, "api-version", "1.1");
  json_set_array (json, "metadata");
  reply_json (ex->reply, 200, JSON_TYPE, json);
}

/* ---- the service ------------------------------------------------------------------------------
 */

static const struct {
  const char *end, *operation;
} endpoints[] = {
    {"/oauth2/v2.0/token", "token"},
    {"/.well-known/openid-configuration", "openid-configuration"},
    {"/discovery/instance", "discovery"},
};

static const char *
operation (size_t i)
{
  return i < ARRAY_SIZE (endpoints) ? endpoints[i].operation : NULL;
}

static bool
claims (struct exchange *ex)
{
  for (size_t i = 0; i < ARRAY_SIZE (endpoints); i++)
    if (text_ends_with (ex->request->path, endpoints[i].end)) {
      snprintf (ex->operation, sizeof ex->operation, "%s", endpoints[i].operation);
      return true;
    }
  return false;
}

static void
answer (struct exchange *ex)
{
  if (strcmp (ex->operation, "token") == 0) {
    if (strcmp (ex->request->method, "POST") == 0)
      answer_token (ex);
    else
      entra_fail (ex, ENTRA_BAD_REQUEST);
  }
  else if (strcmp (ex->operation, "discovery") == 0)
    answer_instance (ex);
  else
    answer_openid (ex);
}

const struct service azure_entra_service = {.name = "azure-entra",
                                            .claims = claims,
                                            .operation = operation,
                                            .answer = answer,
                                            .fail = fail};
