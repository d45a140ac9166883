/* The 401 challenge of Key Vault (RFC 6750 with Microsoft's parameters), and whether to believe it.
 *
 * A challenge tells which tenant's tokens and for which resource a vault wants.  It is not trusted:
 * a token is asked for and sent only when the resource is the domain that the vault's own host is
 * in, and the authority named is the one configured, so that no other service gets hold of a token
 * that is worth something elsewhere.
 */
#ifndef KMS_AZURE_CHALLENGE_H
#define KMS_AZURE_CHALLENGE_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "kms/azure-uri.h"
#include "kms/outcome.h"

#define AZURE_TENANT_MAX 128
#define AZURE_CLAIMS_MAX 3072

struct azure_challenge {
  char authority[AZURE_BASE_MAX]; /* as it came: "authorization" or "authorization_uri" */
  char resource[AZURE_BASE_MAX];  /* or the "scope" without "/.default" */
  char tenant[AZURE_TENANT_MAX];  /* the first segment of the authority's path; may be empty */
  char error[64];                 /* "insufficient_claims", "invalid_token" … or empty */
  char claims[AZURE_CLAIMS_MAX];  /* JSON, decoded; or empty */
};

/* The first Bearer challenge of a WWW-Authenticate header; -1 when there is none that has its form.
 */
int azure_challenge_parse (const char *header, struct azure_challenge *ret) MUST_CHECK;

/* 0 when a token for challenge->resource may be sent to `key`, else KMS_CONFIG.  `authority` is the
 * base that tokens come from (azure_authority).
 */
int azure_challenge_check (const struct azure_challenge *challenge, const struct azure_key *key,
                           const char *authority, struct kms_outcome *outcome) MUST_CHECK;

#endif
