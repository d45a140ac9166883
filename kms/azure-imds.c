/* azure-imds.c owns the managed identities of virtual machines and scale sets, which the instance
 * metadata service gives tokens of: the system-assigned one, or that of AZURE_CLIENT_ID.
 */
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "kms/azure-credential.h"
#include "kms/azure-environment.h"
#include "kms/azure-identity.h"
#include "kms/azure-send.h"

#define SERVICE "http://169.254.169.254"
#define PATH "/metadata/identity/oauth2/token"
#define VERSION "2018-02-01"
#define CONNECT_MS \
  1000 /* elsewhere nothing answers at that address, often not even with a refusal */

/* The service has been there at least once. */
static bool has_answered;

/* The last resort: whether it is there only shows when it is asked. */
static bool
present (void)
{
  return true;
}

/* Nothing that could be used is on this machine: not an outage. */
static int
not_here (const struct http_answer *answer, struct kms_outcome *outcome)
{
  char detail[128];

  snprintf (detail, sizeof detail, "%.127s", answer->detail);
  return kms_outcome_set (
      outcome, KMS_CREDENTIALS, "no_credentials",
      "there are no Azure credentials; looked for, in this order: (1) AZURE_CLIENT_SECRET, (2) "
      "AZURE_CLIENT_CERTIFICATE_PATH, each with AZURE_TENANT_ID and AZURE_CLIENT_ID, (3) "
      "AZURE_FEDERATED_TOKEN_FILE, (4) IDENTITY_ENDPOINT of App Service, (5) Azure Arc, (6) a "
      "managed identity: no metadata service answers here (%s); set up one of them "
      "(keyfence-keys(7))",
      detail);
}

static int
fetch (const struct azure_need *need, struct azure_token *ret, struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  const char *base = azure_variable ("AZURE_POD_IDENTITY_AUTHORITY_HOST");
  char endpoint[AZURE_IDENTITY_URL_MAX], url[AZURE_IDENTITY_URL_MAX];
  struct http_request request = {.method = "GET",
                                 .url = url,
                                 .headers = {{"Metadata", NULL, "true"}},
                                 .connect_timeout_ms = CONNECT_MS,
                                 .link_local = true};
  int length = base ? (int)strlen (base) : 0, r;

  while (length > 0 && base[length - 1] == '/')
    length--;
  snprintf (endpoint, sizeof endpoint, "%.*s%s", base ? length : (int)strlen (SERVICE),
            base ? base : SERVICE, PATH);
  if (azure_identity_url (need, endpoint, VERSION, azure_variable ("AZURE_CLIENT_ID"), url, outcome)
      < 0)
    return -1;
  r = azure_send (AZURE_SERVICE_IDENTITY, AZURE_NONE, "the instance metadata service",
                  need->deadline_ms, &request, &answer, outcome);
  has_answered |= answer.failure == HTTP_ANSWERED && answer.status != 0;
  if (r < 0 && !has_answered && answer.failure != HTTP_ANSWERED)
    return not_here (&answer, outcome);
  if (r < 0)
    return -1;
  return azure_token_from_answer (answer.body.bytes, answer.body.size, clock_ms (), ret, outcome);
}

const struct azure_credential azure_imds = {
    .name = "managed identity (instance metadata service)",
    .kind = "ManagedIdentityCredential",
    .present = present,
    .fetch = fetch,
};
