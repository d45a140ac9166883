/* azure-app-service.c owns the managed identities of App Service, Functions and Container Apps:
 * IDENTITY_ENDPOINT, with the secret that IDENTITY_HEADER holds.
 */
#include "common/io.h"
#include "kms/azure-credential.h"
#include "kms/azure-environment.h"
#include "kms/azure-identity.h"
#include "kms/azure-send.h"

#define VERSION "2019-08-01"

static bool
present (void)
{
  return azure_variable ("IDENTITY_ENDPOINT") && azure_variable ("IDENTITY_HEADER");
}

static int
fetch (const struct azure_need *need, struct azure_token *ret, struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  char url[AZURE_IDENTITY_URL_MAX];
  struct http_request request = {
      .method = "GET",
      .url = url,
      .headers = {{"X-IDENTITY-HEADER", NULL, azure_variable ("IDENTITY_HEADER")}},
      .link_local = true};

  if (azure_identity_url (need, azure_variable ("IDENTITY_ENDPOINT"), VERSION,
                          azure_variable ("AZURE_CLIENT_ID"), url, outcome)
          < 0
      || azure_send (AZURE_SERVICE_IDENTITY, AZURE_NONE, "the identity endpoint of this app",
                     need->deadline_ms, &request, &answer, outcome)
             < 0)
    return -1;
  return azure_token_from_answer (answer.body.bytes, answer.body.size, clock_ms (), ret, outcome);
}

const struct azure_credential azure_app_service = {
    .name = "managed identity (App Service, IDENTITY_ENDPOINT)",
    .kind = "ManagedIdentityCredential",
    .present = present,
    .fetch = fetch,
};
