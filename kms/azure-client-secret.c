/* azure-client-secret.c owns AZURE_CLIENT_SECRET: a service principal with a secret. */
#include "kms/azure-credential.h"
#include "kms/azure-entra.h"
#include "kms/azure-environment.h"

static bool
present (void)
{
  return azure_variable ("AZURE_TENANT_ID") && azure_variable ("AZURE_CLIENT_ID")
         && azure_variable ("AZURE_CLIENT_SECRET");
}

static int
fetch (const struct azure_need *need, struct azure_token *ret, struct kms_outcome *outcome)
{
  const struct azure_proof proof = {.client_id = azure_variable ("AZURE_CLIENT_ID"),
                                    .secret = azure_variable ("AZURE_CLIENT_SECRET")};
  char tenant[AZURE_TENANT_MAX];

  if (azure_entra_tenant (need, tenant, outcome) < 0)
    return -1;
  return azure_entra_fetch (need, tenant, &proof, ret, outcome);
}

const struct azure_credential azure_client_secret = {
    .name = "client secret (AZURE_CLIENT_SECRET)",
    .kind = "EnvironmentCredential",
    .present = present,
    .fetch = fetch,
};
