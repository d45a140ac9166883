/* azure-error.c owns the tables of Azure's errors and the reading of its error bodies. */
#include "kms/azure-error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/text.h"

#define SKEW_MAX_S 300 /* the tolerance of tokens' and assertions' times */

/* ---- the tables ---- */

#define GRANT "grant it again (keyfence policy prints the commands)"

static const struct azure_row vault_rows[] = {
    {403, "KeyDisabled", 0, KMS_DENIED, "key_disabled", false,
     "enable the key version that the wrap names (az keyvault key set-attributes --enabled true "
     "--id "
     "KEY/VERSION)"},
    {403, "ForbiddenByPolicy", 0, KMS_DENIED, "access_denied", false,
     "the vault's access policy does not allow it to this identity: " GRANT},
    {403, "ForbiddenByRbac", 0, KMS_DENIED, "access_denied", false,
     "no role assignment allows it to this identity: " GRANT ", and wait up to 10 minutes"},
    {403, "AccessDenied", 0, KMS_DENIED, "access_denied", false,
     "it is not allowed to this identity: " GRANT},
    {403, "ForbiddenByFirewall", 0, KMS_DENIED, "firewall", false,
     "the vault's firewall does not let this address in: allow it under Networking"},
    {403, "ForbiddenByConnection", 0, KMS_DENIED, "private_link_only", false,
     "the vault's public access is off, and this is no private link to it: make a private "
     "endpoint, "
     "or see that the name resolves to it"},
    {403, "KeyOperationForbidden", 0, KMS_DENIED, "key_operation", false,
     "the key's own list of operations lacks it: az keyvault key set-attributes --ops wrapKey "
     "unwrapKey"},
    {403, "KeyNotYetValid", 0, KMS_DENIED, "key_not_yet_valid", false,
     "the key's activation date is in the future: move it"},
    {403, "KeyExpired", 0, KMS_DENIED, "key_expired", false,
     "the key's expiry date has passed: make a new version, or move the date"},
    {404, "KeyNotFound", 0, KMS_DENIED, "not_found", false,
     "check its name: there is no such key or version, recover it where it was deleted (az "
     "keyvault "
     "key recover)"},
    {400, "BadParameter", AZURE_UNWRAP, KMS_CORRUPT, "bad_wrap", false,
     "restore a backup of the header: this key version does not open the wrap"},
    {400, "BadParameter", AZURE_WRAP | AZURE_GET, KMS_CONFIG, "bad_parameter", false,
     "use an RSA key, or AES in a managed HSM: the service does not take the request for this one"},
    {400, "KeyOperationNotSupported", 0, KMS_CONFIG, "bad_key_type", false,
     "the key is of a kind that can't do this: use RSA, or AES in a managed HSM"},
    {401, "AKV10032", 0, KMS_CREDENTIALS, "wrong_tenant", false,
     "the token is from another tenant than the vault's: set AZURE_TENANT_ID to the vault's"},
    {401, "*", 0, KMS_CREDENTIALS, "token_refused", false,
     "see that the credentials are of the vault's tenant and cloud: it refuses their token, and a "
     "new "
     "one as well",
     true},
    {429, "*", 0, KMS_OUTAGE, "throttled", true,
     "try again in a minute, and where it comes often use fewer volumes a vault: its request limit "
     "is "
     "reached"},
    {0, NULL},
};

/* An application or a tenant that is gone was taken away by its owner; what else Entra refuses may
 * be a secret that nobody renewed.
 */
static const struct azure_row entra_rows[] = {
    {0, "AADSTS7000215", 0, KMS_CREDENTIALS, "bad_secret", false,
     "AZURE_CLIENT_SECRET is not a secret of this application (its value is meant, not its id)"},
    {0, "AADSTS7000222", 0, KMS_CREDENTIALS, "secret_expired", false,
     "the client secret has expired: make a new one and put it into AZURE_CLIENT_SECRET"},
    {0, "AADSTS700016", 0, KMS_CREDENTIALS, "identity_gone", false,
     "there is no such application in the tenant: it was deleted, or AZURE_CLIENT_ID or "
     "AZURE_TENANT_ID is wrong"},
    {0, "AADSTS7000112", 0, KMS_CREDENTIALS, "identity_gone", false,
     "enable the application in its tenant: it is disabled"},
    {0, "AADSTS700027", 0, KMS_CREDENTIALS, "bad_certificate", false,
     "add the certificate to the application: it was never there, or was removed"},
    {0, "AADSTS700024", 0, KMS_CREDENTIALS, "assertion_expired", false,
     "the assertion's times are not now's: see the clock, and that the federated token is renewed",
     true},
    {0, "AADSTS70021", 0, KMS_CREDENTIALS, "no_federation", false,
     "no federated credential of the application fits this token's issuer, subject and audience"},
    {0, "AADSTS700211", 0, KMS_CREDENTIALS, "no_federation", false,
     "no federated credential of the application fits this token's issuer"},
    {0, "AADSTS700212", 0, KMS_CREDENTIALS, "no_federation", false,
     "no federated credential of the application fits this token's audience"},
    {0, "AADSTS700213", 0, KMS_CREDENTIALS, "no_federation", false,
     "no federated credential of the application fits this token's subject"},
    {0, "AADSTS90002", 0, KMS_CREDENTIALS, "no_tenant", false,
     "there is no such tenant in this cloud: see AZURE_TENANT_ID and AZURE_AUTHORITY_HOST"},
    {0, "AADSTS500011", 0, KMS_CREDENTIALS, "no_key_vault", false,
     "the tenant knows no Azure Key Vault: see AZURE_TENANT_ID and AZURE_AUTHORITY_HOST"},
    {0, "AADSTS53003", 0, KMS_CREDENTIALS, "conditional_access", false,
     "let this identity in from here by the tenant's conditional access policies: one blocks it"},
    {0, "AADSTS50196", 0, KMS_OUTAGE, "throttled", true,
     "try again in some minutes: Entra saw too many equal requests"},
    {0, "temporarily_unavailable", 0, KMS_OUTAGE, "identity_service", true,
     "try again in a minute: Entra is not available at the moment"},
    {0, "server_error", 0, KMS_OUTAGE, "identity_service", true,
     "try again in a minute: Entra has an error of its own"},
    {0, "invalid_client", 0, KMS_CREDENTIALS, "credentials_refused", false,
     "check the application's secret or certificate: Entra refuses it", true},
    {0, "unauthorized_client", 0, KMS_CREDENTIALS, "credentials_refused", false,
     "see in the tenant why Entra does not let this application in"},
    {0, "invalid_request", 0, KMS_CREDENTIALS, "credentials_refused", false,
     "check AZURE_TENANT_ID, AZURE_CLIENT_ID and what is with them: Entra can't make sense of it"},
    {0, "invalid_grant", 0, KMS_CREDENTIALS, "credentials_refused", false,
     "check the credentials that the environment names: Entra refuses them"},
    {0, "invalid_scope", 0, KMS_CONFIG, "bad_scope", false,
     "see AZURE_AUTHORITY_HOST: Entra does not know the resource that the vault asks a token for"},
    {0, "invalid_resource", 0, KMS_CONFIG, "bad_scope", false,
     "see AZURE_AUTHORITY_HOST: Entra does not know the resource that the vault asks a token for"},
    {429, "*", 0, KMS_OUTAGE, "throttled", true,
     "try again in a minute: Entra's request limit is reached"},
    {0, NULL},
};

/* Retried: Microsoft's list for IMDS (404, 408, 410, 429, 5xx). */
static const struct azure_row identity_rows[] = {
    {400, "Identity not found", 0, KMS_CREDENTIALS, "identity_gone", false,
     "this machine has no such managed identity: assign one to it, or set AZURE_CLIENT_ID to that "
     "of the assigned one"},
    {400, "Multiple user assigned identities exist", 0, KMS_CREDENTIALS, "identity_ambiguous",
     false,
     "several identities are assigned to this machine: set AZURE_CLIENT_ID to one's client id"},
    {400, "invalid_resource", 0, KMS_CONFIG, "bad_scope", false,
     "see that vault and machine are in one cloud: the identity service does not know the resource "
     "that "
     "the vault asks a token for"},
    {400, "*", 0, KMS_CREDENTIALS, "identity_refused", false,
     "check AZURE_CLIENT_ID, and that an identity is assigned to this machine"},
    {401, "*", 0, KMS_CREDENTIALS, "identity_refused", false,
     "restart what runs here, so that it gets the service's new secret"},
    {403, "*", 0, KMS_CREDENTIALS, "identity_refused", false,
     "let this program use the identity service: a policy or a proxy stands against it"},
    {404, "*", 0, KMS_OUTAGE, "identity_service", true,
     "try again in a minute, and see that this machine has an identity: the service is not there "
     "or "
     "being updated"},
    {410, "*", 0, KMS_OUTAGE, "identity_service", true,
     "try again in a minute: the identity service is being updated"},
    {429, "*", 0, KMS_OUTAGE, "throttled", true,
     "try again in a minute: the identity service limits requests"},
    {0, NULL},
};

const struct azure_row *const azure_rows[AZURE_SERVICE_COUNT] = {
    [AZURE_SERVICE_VAULT] = vault_rows,
    [AZURE_SERVICE_ENTRA] = entra_rows,
    [AZURE_SERVICE_IDENTITY] = identity_rows,
};

/* No answer at all; the same for every service. */
static const struct {
  enum kms_class class;
  const char *reason; /* NULL: the failure's own word */
  bool retry;
  const char *advice;
} failures[HTTP_FAILURE_COUNT] = {
    [HTTP_NXDOMAIN] =
        {KMS_OUTAGE, NULL, false,
         "check the vault's name, that it was not deleted, and that its private DNS zone "
         "is linked to this network"},
    [HTTP_RESOLVE] = {KMS_OUTAGE, NULL, true,
                      "see this machine's DNS settings: the resolver gives no answer"},
    [HTTP_CONNECT] = {KMS_OUTAGE, NULL, true, "see routes, firewalls and proxy settings"},
    [HTTP_TLS] = {KMS_OUTAGE, NULL, true, "look for a proxy or firewall that breaks TLS 1.2"},
    [HTTP_TLS_VERIFY] =
        {KMS_OUTAGE, NULL, false,
         "put the CA of the proxy that answers there into SSL_CERT_FILE, if it is one of "
         "yours: its certificate can't be trusted"},
    [HTTP_TIMEOUT] = {KMS_OUTAGE, NULL, true, "see routes, firewalls and proxy settings"},
    [HTTP_BROKEN] = {KMS_OUTAGE, NULL, true, "look for a proxy or firewall that cuts connections"},
    [HTTP_TOO_LARGE] = {KMS_OUTAGE, "unexpected_answer", false,
                        "find out what answers there instead of Azure: that is far too long"},
    [HTTP_REFUSED] = {KMS_CONFIG, "bad_endpoint", false, "mend the setting that says so"},
    [HTTP_NO_MEMORY] = {KMS_OUTAGE, NULL, false, "free memory"},
};

/* ---- error bodies ---- */

static void
add_name (struct azure_error *error, const char *name)
{
  if (name && *name && error->count < sizeof error->names / sizeof error->names[0])
    snprintf (error->names[error->count++], sizeof error->names[0], "%s", name);
}

static void
set_message (struct azure_error *error, const char *text)
{
  if (!text)
    return;
  text_print (error->message, sizeof error->message, "%.*s", (int)strcspn (text, "\r\n"), text);
  kms_text_clean (error->message);
}

/* {"error":{"code","message","innererror":{"code","innererror":…}}} */
static void
parse_vault_error (const struct json *value, struct azure_error *error)
{
  const char *message = json_get_string (value, "message");

  set_message (error, message);
  for (int depth = 0; json_is_object (value) && depth < 4; depth++) {
    const struct json *inner = json_get (value, "innererror");

    add_name (error, json_get_string (value, "code"));
    value = inner ? inner : json_get (value, "innerError");
  }
  if (message && strncmp (message, "AKV", 3) == 0)
    add_name (error, strndupa (message, strspn (message + 3, "0123456789") + 3));
}

/* {"error":"invalid_client","error_description":"AADSTS7000215: …","error_codes":[7000215]} */
static void
parse_oauth_error (const struct json *root, struct azure_error *error)
{
  const char *text = json_get_string (root, "error_description");

  set_message (error, text);
  add_name (error, json_get_string (root, "error"));
  if (text && strncmp (text, "AADSTS", 6) == 0)
    add_name (error, strndupa (text, strspn (text + 6, "0123456789") + 6));
}

void
azure_error_parse (const void *body, size_t size, struct azure_error *ret)
{
  CLEANUP_JSON struct json *root = size > 0 ? json_parse (body, size) : NULL;
  const struct json *value = json_get (root, "error");

  *ret = (struct azure_error){0};
  if (json_is_object (value))
    parse_vault_error (value, ret);
  else if (value)
    parse_oauth_error (root, ret);
  else
    set_message (ret, json_get_string (root, "message"));
}

/* ---- classing ---- */

static bool
fits (const struct azure_row *row, unsigned status, enum azure_operation operation)
{
  return (row->status == 0 || row->status == status)
         && (row->operations == 0 || (row->operations & operation));
}

static const struct azure_row *
find_named (const struct azure_row *rows, unsigned status, enum azure_operation operation,
            const char *name)
{
  for (const struct azure_row *row = rows; row->name; row++)
    if (fits (row, status, operation) && strcmp (row->name, name) == 0)
      return row;
  return NULL;
}

/* Managed identity has one error code for everything, and tells it apart in its message. */
static const struct azure_row *
find_by_message (const struct azure_row *rows, unsigned status, const char *message)
{
  for (const struct azure_row *row = rows; row->name; row++)
    if (row->status == status && row->name[0] != '*'
        && strncmp (row->name, message, strlen (row->name)) == 0)
      return row;
  return NULL;
}

static const struct azure_row *
find_row (enum azure_service service, enum azure_operation operation, unsigned status,
          const struct azure_error *error)
{
  const struct azure_row *rows = azure_rows[service], *row = NULL;

  for (size_t i = error->count; i > 0 && !row; i--)
    row = find_named (rows, status, operation, error->names[i - 1]);
  if (!row && service == AZURE_SERVICE_IDENTITY)
    row = find_by_message (rows, status, error->message);
  return row ? row : find_named (rows, status, operation, "*");
}

static bool
set_failure (const char *subject, const struct http_answer *answer, struct kms_outcome *outcome)
{
  const char *reason = failures[answer->failure].reason;

  kms_outcome_set (outcome, failures[answer->failure].class,
                   reason ? reason : http_failure_name (answer->failure),
                   "no answer about %.200s: %.130s; %s", subject, answer->detail,
                   failures[answer->failure].advice);
  return failures[answer->failure].retry;
}

static const struct azure_row *
row_for_unknown (unsigned status)
{
  static const struct azure_row down = {0,
                                        "*",
                                        0,
                                        KMS_OUTAGE,
                                        "service_error",
                                        true,
                                        "try again in a minute: it has a problem of its own"};
  static const struct azure_row other = {0,
                                         "*",
                                         0,
                                         KMS_OUTAGE,
                                         "unexpected_answer",
                                         false,
                                         "check the vault's name, and find out what answers there "
                                         "instead of Azure (a proxy?): this is not known"};

  return status == 408 || (status >= 500 && status <= 599) ? &down : &other;
}

static bool
is_skewed (const struct http_answer *answer, long *ret_s)
{
  int64_t skew = answer->date_s ? (int64_t)time (NULL) - answer->date_s : 0;

  *ret_s = (long)skew;
  return skew > SKEW_MAX_S || skew < -SKEW_MAX_S;
}

bool
azure_classify (enum azure_service service, enum azure_operation operation, const char *subject,
                const struct http_answer *answer, struct kms_outcome *outcome)
{
  struct azure_error error;
  const struct azure_row *row;
  const char *name;
  long skew_s;

  if (answer->failure != HTTP_ANSWERED)
    return set_failure (subject, answer, outcome);
  azure_error_parse (answer->body.bytes, answer->body.size, &error);
  row = find_row (service, operation, answer->status, &error);
  if (!row)
    row = row_for_unknown (answer->status);
  name = error.count ? error.names[error.count - 1] : "";
  snprintf (outcome->request_id, sizeof outcome->request_id, "%s", answer->request_id);
  kms_text_clean (outcome->request_id);
  if (row->by_clock && is_skewed (answer, &skew_s))
    kms_outcome_set (
        outcome, KMS_CLOCK, "clock_skew",
        "%.200s refuses us (%u %s), and this machine's clock is %ld s %s its; set it (NTP)",
        subject, answer->status, name, labs (skew_s), skew_s > 0 ? "ahead of" : "behind");
  else
    kms_outcome_set (outcome, row->class, row->reason, "%.200s answers %u%s%s%s%s%s; %s", subject,
                     answer->status, *name ? " " : "", name, *error.message ? " (" : "",
                     error.message, *error.message ? ")" : "", row->advice);
  return row->retry;
}
