/* Managed identity: what its three endpoints (IMDS, App Service, Arc) have in common. */
#ifndef KMS_AZURE_IDENTITY_H
#define KMS_AZURE_IDENTITY_H

#include "common/cleanup.h"
#include "kms/azure-credential.h"

#define AZURE_IDENTITY_URL_MAX 2048

/* ENDPOINT?api-version=…&resource=…[&client_id=…] into `ret`; `client_id` may be NULL.  KMS_CONFIG
 * when the endpoint is no URL, is too long, or is not of this machine where a simulator's vault
 * needs the token.
 */
int azure_identity_url (const struct azure_need *need, const char *endpoint, const char *version,
                        const char *client_id, char ret[AZURE_IDENTITY_URL_MAX],
                        struct kms_outcome *outcome) MUST_CHECK;

/* The folder that Arc's secrets are in, with a slash behind it. */
#define AZURE_ARC_FOLDER "/var/opt/azcmagent/tokens/"

/* The file that Arc's challenge `Basic realm=FILE` names, which must be a *.key file directly in
 * AZURE_ARC_FOLDER; -1 for any other, since its content is sent to who names it.
 */
#define AZURE_ARC_FILE_MAX 256
int azure_arc_file (const char *www_authenticate, char ret[AZURE_ARC_FILE_MAX]) MUST_CHECK;

#endif
