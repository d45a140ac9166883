/* aws-authorize.c owns who may do what with a key: key policy, grants, the caller's own policy. */
#include <stdio.h>
#include <string.h>

#include "tools/sim/aws-grants.h"
#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-kms.h"
#include "tools/sim/aws-policy.h"

/* A principal without a policy of its own may do everything in its account. */
static enum policy_answer
ask_identity (struct aws_call *call, const struct policy_question *question)
{
  CLEANUP_JSON struct json *principal =
      aws_principal_load (call->ex->sim, call->identity.principal);
  const struct json *policy = json_get (principal, "policy");

  if (!principal)
    return POLICY_SILENT;
  if (!policy || json_is_null (policy))
    return POLICY_ALLOW;
  return aws_policy_ask (policy, question, false);
}

/* A key without a policy has the default one, which leaves it to its account's own policies. */
static enum policy_answer
ask_key (const struct aws_key *key, const struct policy_question *question)
{
  CLEANUP_JSON struct json *policy = NULL;

  if (!key->policy)
    return strcmp (key->account, question->account) == 0 ? POLICY_ALLOW_ACCOUNT : POLICY_SILENT;
  policy = json_parse (key->policy, strlen (key->policy));
  return aws_policy_ask (policy, question, true);
}

static int
deny (struct aws_call *call, const struct policy_question *question, const char *because)
{
  return aws_fail (call, "AccessDeniedException",
                   "User: %s is not authorized to perform: %s on resource: %s %s",
                   call->identity.arn, question->action, question->resource, because);
}

static int
authorize_key (struct aws_call *call, const struct aws_key *key,
               const struct policy_question *question)
{
  enum policy_answer of_key = ask_key (key, question), of_identity = ask_identity (call, question);
  bool own_account = strcmp (key->account, call->identity.account) == 0;

  if (of_key == POLICY_DENY)
    return deny (call, question, "with an explicit deny in a resource-based policy");
  if (of_identity == POLICY_DENY)
    return deny (call, question, "with an explicit deny in an identity-based policy");
  if (of_key == POLICY_ALLOW && (own_account || of_identity == POLICY_ALLOW))
    return 0;
  if (of_key == POLICY_ALLOW_ACCOUNT && of_identity == POLICY_ALLOW)
    return 0;
  if (aws_grants_allow (key, question))
    return 0;
  if (of_key == POLICY_SILENT)
    return deny (call, question,
                 "because no resource-based policy allows it, or the resource does not exist in "
                 "this Region");
  return deny (call, question, "because no identity-based policy allows it");
}

int
aws_authorize (struct aws_call *call, const struct aws_key *key, const char *action,
               const struct json *context)
{
  char arn[AWS_ARN_MAX] = "*";
  struct policy_question question = {.action = action,
                                     .resource = arn,
                                     .principal_arn = call->identity.principal_arn,
                                     .session_arn = call->identity.arn,
                                     .account = call->identity.account,
                                     .context = context};

  if (!key)
    return ask_identity (call, &question) == POLICY_ALLOW
               ? 0
               : deny (call, &question, "because no identity-based policy allows it");
  aws_key_arn (key, arn);
  if (aws_grants_check_tokens (call, key) < 0)
    return -1;
  return authorize_key (call, key, &question);
}
