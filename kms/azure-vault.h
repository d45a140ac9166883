/* Requests to a vault or managed HSM, with the token that it wants.
 *
 * The first request to a vault goes without token and body, and its 401 tells for which resource a
 * token is wanted; that is checked (kms/azure-challenge.h) and remembered, so that a check costs
 * one request from then on.  A later 401 drops the token; one more try is made with a new one,
 * which fulfils the claims that the vault named.
 *
 * What is remembered belongs to this process; one thread may use this.
 */
#ifndef KMS_AZURE_VAULT_H
#define KMS_AZURE_VAULT_H

#include <stdint.h>

#include "common/cleanup.h"
#include "kms/azure-error.h"
#include "kms/azure-token.h"
#include "kms/azure-uri.h"
#include "kms/http.h"
#include "kms/secret-text.h"

#define AZURE_API_VERSION "7.4" /* wrap and unwrap are the same from 7.1 to 2025-07-01 */

struct azure_call {
  const struct azure_key *key;
  enum azure_operation operation;
  const char *suffix; /* "/wrapkey", "/unwrapkey", "/rotationpolicy"; "": the key itself */
  const struct secret_text *body; /* POST; NULL: GET */
  uint64_t deadline_ms;           /* on clock_ms () */
};

/* 0 with an answer of status 200, or -1 with *outcome; the answer (empty before) is the last one in
 * either case.  outcome->request_id is filled in whenever there was an answer.
 */
int azure_vault_call (const struct azure_call *call, struct http_answer *ret_answer,
                      struct kms_outcome *outcome) MUST_CHECK;

/* Whether the vault answers as one: its challenge, checked.  Always asks. */
int azure_vault_discover (const struct azure_call *call, struct http_answer *ret_answer,
                          struct kms_outcome *outcome) MUST_CHECK;

/* A token that is good for this key's vault, got if need be.  *ret_token is valid until the next
 * call.
 */
int azure_vault_token (const struct azure_call *call, const struct azure_token **ret_token,
                       struct kms_outcome *outcome) MUST_CHECK;

/* Forgets the token for this key's vault, so that the next call has a new one or none. */
void azure_vault_drop_token (const struct azure_key *key);

/* What a forked child needs to have its parent's token (kms/handover.h); -1 when there is none. */
int azure_vault_print (const struct azure_key *key, struct secret *ret) MUST_CHECK;
void azure_vault_inherit (const struct azure_key *key, const struct secret *printed);

/* Forgets all vaults and tokens; for tests. */
void azure_vault_forget (void);

#endif
