/* IAM policy documents: those of keys and those of principals.
 *
 * What is understood: Effect, Principal (AWS), Action, Resource, Condition with the String, Arn,
 * Bool and Null operators.  A document with anything else that would change its meaning is refused
 * when it is set, so that no policy is ever half applied.
 */
#ifndef SIM_AWS_POLICY_H
#define SIM_AWS_POLICY_H

#include <stddef.h>

#include "common/cleanup.h"
#include "common/json.h"

struct policy_question {
  const char *action;         /* "kms:Decrypt" */
  const char *resource;       /* the key's ARN, or "*" */
  const char *principal_arn;  /* user or role */
  const char *session_arn;    /* the same for a user */
  const char *account;        /* of the caller */
  const struct json *context; /* the encryption context, or NULL */
};

enum policy_answer {
  POLICY_SILENT,
  POLICY_ALLOW_ACCOUNT, /* allowed to the caller's account: its own policies decide */
  POLICY_ALLOW,
  POLICY_DENY,
};

/* Whether the text is a policy that is understood whole; else -1 and why. */
int aws_policy_check (const char *text, char *ret_why, size_t size) MUST_CHECK;

/* What a policy says; `of_key`: it is a key's, in which statements name principals. */
enum policy_answer
aws_policy_ask (const struct json *policy, const struct policy_question *question, bool of_key);

/* Whether text fits a pattern with * and ?. */
bool aws_pattern_fits (const char *pattern, const char *text);

#endif
