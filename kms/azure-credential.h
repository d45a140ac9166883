/* The sources of Azure credentials that may be on a machine, in the order in which the SDKs'
 * DefaultAzureCredential looks for them: environment, workload identity, managed identity.
 *
 * The first that is there is used, and the only one: when it fails, that is the outcome, since
 * another identity in its place would only hide it.  AZURE_TOKEN_CREDENTIALS, as in the SDKs, names
 * the one to use ("EnvironmentCredential", "WorkloadIdentityCredential",
 * "ManagedIdentityCredential").
 */
#ifndef KMS_AZURE_CREDENTIAL_H
#define KMS_AZURE_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "kms/azure-challenge.h"
#include "kms/azure-token.h"
#include "kms/azure-uri.h"
#include "kms/outcome.h"

/* A token that is needed. */
struct azure_need {
  char resource[AZURE_BASE_MAX];  /* https://vault.azure.net */
  char authority[AZURE_BASE_MAX]; /* https://login.microsoftonline.com */
  char tenant[AZURE_TENANT_MAX];  /* of the vault; may be empty */
  const char *claims;             /* JSON that the vault wants to see fulfilled, or NULL */
  /* A simulator's vault: a source whose tokens could open a real one may not be used. */
  bool simulated;
  uint64_t deadline_ms;
};

struct azure_credential {
  const char *name; /* for people: "client secret (AZURE_CLIENT_SECRET)" */
  const char *kind; /* as AZURE_TOKEN_CREDENTIALS names it */
  bool (*present) (void);

  /* A new token; 0, or -1 with *outcome. */
  int (*fetch) (const struct azure_need *need, struct azure_token *ret,
                struct kms_outcome *outcome);
};

extern const struct azure_credential azure_client_secret, azure_client_certificate,
    azure_workload_identity, azure_app_service, azure_arc, azure_imds;

/* The source to use; NULL with *outcome (KMS_CREDENTIALS) when AZURE_TOKEN_CREDENTIALS leaves none.
 */
const struct azure_credential *azure_credential_find (struct kms_outcome *outcome);

/* A new token from that source.  An identity that is gone, and gave tokens to this process before,
 * is KMS_DENIED: its owner has taken it away.
 */
int azure_credential_fetch (const struct azure_need *need, struct azure_token *ret,
                            struct kms_outcome *outcome) MUST_CHECK;

#endif
