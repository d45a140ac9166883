/* Entra's token endpoint (OAuth 2.0 client credentials): what the sources have in common whose
 * tokens come from there.
 */
#ifndef KMS_AZURE_ENTRA_H
#define KMS_AZURE_ENTRA_H

#include "common/cleanup.h"
#include "kms/azure-credential.h"

/* The tenant to ask: AZURE_TENANT_ID's, or the vault's where AZURE_ADDITIONALLY_ALLOWED_TENANTS
 * (names separated by ';', or "*") lets it differ; else KMS_CREDENTIALS.
 */
int azure_entra_tenant (const struct azure_need *need, char ret[AZURE_TENANT_MAX],
                        struct kms_outcome *outcome) MUST_CHECK;

#define AZURE_ENDPOINT_MAX (AZURE_BASE_MAX + AZURE_TENANT_MAX + 32)
/* AUTHORITY/TENANT/oauth2/v2.0/token */
void azure_entra_endpoint (const struct azure_need *need, const char *tenant,
                           char ret[AZURE_ENDPOINT_MAX]);

/* What proves who we are; one of the two. */
struct azure_proof {
  const char *client_id;
  const char *secret;
  const char *assertion;
};

/* One exchange, repeated while that may help and there is time. */
int azure_entra_fetch (const struct azure_need *need, const char *tenant,
                       const struct azure_proof *proof, struct azure_token *ret,
                       struct kms_outcome *outcome) MUST_CHECK;

#endif
