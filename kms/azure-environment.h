/* What the environment says about Azure: the AZURE_ variables, as all of Azure's SDKs read them. */
#ifndef KMS_AZURE_ENVIRONMENT_H
#define KMS_AZURE_ENVIRONMENT_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "kms/azure-uri.h"
#include "kms/outcome.h"

/* A variable's value, or NULL when it is not set or empty. */
const char *azure_variable (const char *name);

/* The token endpoint's base, "https://login.microsoftonline.com" without a slash behind it:
 * AZURE_AUTHORITY_HOST, else that of the key's cloud, else (a simulator's key) the public cloud's.
 * KMS_CONFIG when the variable is no https URL, nor an http URL of this machine.
 */
int azure_authority (const struct azure_key *key, char ret_base[AZURE_BASE_MAX],
                     struct kms_outcome *outcome) MUST_CHECK;

/* The host of AZURE_AUTHORITY_HOST is this machine. */
bool azure_authority_is_loopback (void);

#endif
