/* azure-workload-identity.c owns AZURE_FEDERATED_TOKEN_FILE: another issuer's token (Kubernetes
 * service accounts) as the proof.  The file is read anew for each token, since it is rotated.
 */
#include <string.h>

#include "kms/azure-credential.h"
#include "kms/azure-entra.h"
#include "kms/azure-environment.h"
#include "kms/azure-file.h"

#define FILE_MAX ((size_t)16 * 1024)

static bool
present (void)
{
  return azure_variable ("AZURE_TENANT_ID") && azure_variable ("AZURE_CLIENT_ID")
         && azure_variable ("AZURE_FEDERATED_TOKEN_FILE");
}

static int
fetch (const struct azure_need *need, struct azure_token *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret token = {0};
  struct azure_proof proof = {.client_id = azure_variable ("AZURE_CLIENT_ID")};
  char tenant[AZURE_TENANT_MAX];

  if (azure_entra_tenant (need, tenant, outcome) < 0
      || azure_read_file (azure_variable ("AZURE_FEDERATED_TOKEN_FILE"), FILE_MAX, &token, outcome)
             < 0)
    return -1;
  azure_trim (&token);
  proof.assertion = (const char *)token.bytes;
  return azure_entra_fetch (need, tenant, &proof, ret, outcome);
}

const struct azure_credential azure_workload_identity = {
    .name = "workload identity (AZURE_FEDERATED_TOKEN_FILE)",
    .kind = "WorkloadIdentityCredential",
    .present = present,
    .fetch = fetch,
};
