/* Grants of KMS keys.  key->grants holds them, one JSON object a line. */
#ifndef SIM_AWS_GRANTS_H
#define SIM_AWS_GRANTS_H

#include "tools/sim/aws-keys.h"
#include "tools/sim/aws-policy.h"

/* Whether a grant lets the caller do it in that encryption context. */
bool aws_grants_allow (const struct aws_key *key, const struct policy_question *question);

/* Every token in params' GrantTokens must be one of the key's: else InvalidGrantTokenException. */
int aws_grants_check_tokens (struct aws_call *call, const struct aws_key *key) MUST_CHECK;

#endif
