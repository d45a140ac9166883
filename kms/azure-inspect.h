/* The lines of `keyfence check` for keys in Azure. */
#ifndef KMS_AZURE_INSPECT_H
#define KMS_AZURE_INSPECT_H

#include "kms/azure-key.h"
#include "kms/provider.h"
#include "kms/report.h"

/* Asks the service, and really wraps and unwraps 64 random bytes. */
void
azure_inspect (const struct kms_request *request, struct azure_key *key, struct kms_report *report);

/* The lines that follow from a key's facts alone. */
void
azure_inspect_facts (const struct azure_key_facts *facts, int64_t now_s, struct kms_report *report);

/* Who the token is for, from its claims: "application APPID (object OID) in tenant TID". */
#define AZURE_IDENTITY_TEXT_MAX 200
int azure_identity_of (const struct secret *token, char ret[AZURE_IDENTITY_TEXT_MAX]) MUST_CHECK;

/* The region's line: `found` is what the service said (may be empty), `wanted` what it should be,
 * `whose` says of what ("--region"); names are compared as Azure writes them, "West Europe" or
 * "westeurope".
 */
void azure_inspect_region (const char *found, const char *wanted, const char *whose,
                           struct kms_report *report);

#endif
