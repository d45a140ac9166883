/* policy-aws.c owns the key policy that keyfence needs of AWS KMS: a whole one, so that who pastes
 * it as it is does not lose the key.
 */
#include "kms/policy.h"

#include <ctype.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "kms/aws-arn.h"

#define PLACEHOLDER "ROLE"
#define VOLUME_CONDITION "kms:EncryptionContext:keyfence:volume"

/* Actions are separated by blanks. */
struct statement {
  const char *sid, *actions;
  const char *rsa_actions; /* for keys that have neither data keys, nor contexts, nor rotation */
  bool for_account;        /* for whom the account's IAM policies name, not for the principal */
  bool with_context;       /* the actions have an encryption context */
};

#define MANAGE                                                                                     \
  "kms:CancelKeyDeletion kms:Create* kms:Delete* kms:Describe* kms:Disable* kms:Enable* kms:Get* " \
  "kms:List* kms:Put* kms:RotateKeyOnDemand kms:RetireGrant kms:RevokeGrant "                      \
  "kms:ScheduleKeyDeletion kms:TagResource kms:UntagResource kms:Update*"

/* What each is for is said in keyfence-keys(7); the first is that of AWS' console for those who
 * manage a key, given to the account as AWS' default policy does.
 */
static const struct statement statements[] = {
    {"ManageByIam", MANAGE, MANAGE, .for_account = true},
    {"KeyfenceRun", "kms:Decrypt", "kms:Decrypt", .with_context = true},
    {"KeyfenceCreateAndRewrap", "kms:GenerateDataKey kms:Encrypt kms:Decrypt",
     "kms:Encrypt kms:Decrypt", .with_context = true},
    {"KeyfenceCheck", "kms:DescribeKey kms:GetKeyRotationStatus", "kms:DescribeKey"},
};

static bool
owns (const char *key)
{
  return strncmp (key, "arn:", 4) == 0;
}

/* ---- whom a policy can name ---- */

/* NAME or PATH/NAME, of the characters that IAM has for them. */
static bool
is_name (const char *text)
{
  for (const char *p = text; *p; p++)
    if (!isalnum ((unsigned char)*p) && !strchr ("/+=,.@_-", *p))
      return false;
  return *text && *text != '/' && text[strlen (text) - 1] != '/';
}

/* What is behind the account: "root", "role/disk", "assumed-role/disk/session". */
static bool
is_identity (const char *service, const char *text)
{
  static const struct {
    const char *service, *prefix;
  } kinds[] = {
      {"iam", "user/"}, {"iam", "role/"}, {"sts", "assumed-role/"}, {"sts", "federated-user/"}};

  if (strcmp (service, "iam") == 0 && strcmp (text, "root") == 0)
    return true;
  for (size_t i = 0; i < ARRAY_SIZE (kinds); i++)
    if (strcmp (kinds[i].service, service) == 0
        && strncmp (kinds[i].prefix, text, strlen (kinds[i].prefix)) == 0)
      return is_name (text + strlen (kinds[i].prefix));
  return false;
}

/* arn:PARTITION:iam|sts::ACCOUNT:IDENTITY, in the key's partition: others are never let in. */
static bool
is_principal (const struct aws_key *key, const char *text)
{
  char parts[512], *rest = parts, *part[6];

  if (strlen (text) >= sizeof parts)
    return false;
  snprintf (parts, sizeof parts, "%s", text);
  for (size_t i = 0; i < ARRAY_SIZE (part); i++) {
    part[i] = i < 5 ? strsep (&rest, ":") : rest;
    if (!part[i])
      return false;
  }
  return strcmp (part[0], "arn") == 0 && strcmp (part[1], key->partition->name) == 0
         && part[3][0] == '\0' && strlen (part[4]) == 12 && strspn (part[4], "0123456789") == 12
         && is_identity (part[2], part[5]);
}

/* ---- the document ---- */

static void
write_actions (const char *actions, FILE *out)
{
  fputs ("      \"Action\": [\"", out);
  for (const char *p = actions; *p; p++)
    fputs (*p == ' ' ? "\", \"" : (char[]){*p, '\0'}, out);
  fputs ("\"],\n", out);
}

/* Without a volume: any, but never without the context, so that the right is of no use for what
 * other programs wrapped with the key.
 */
static void
write_condition (const char *volume, FILE *out)
{
  fputs (",\n      \"Condition\": {\n", out);
  if (volume)
    fprintf (out,
             "        \"StringEquals\": {\"" VOLUME_CONDITION "\": \"%s\"},\n"
             "        \"ForAllValues:StringEquals\": {\"kms:EncryptionContextKeys\": "
             "[\"keyfence:volume\"]}\n",
             volume);
  else
    fputs ("        \"Null\": {\"" VOLUME_CONDITION "\": \"false\"},\n"
           "        \"ForAllValues:StringEquals\": {\"kms:EncryptionContextKeys\": "
           "[\"keyfence:volume\"]}\n",
           out);
  fputs ("      }", out);
}

static void
write_statement (const struct statement *statement, const struct policy_request *request,
                 const char *principal, FILE *out)
{
  fprintf (out,
           "    {\n"
           "      \"Sid\": \"%s\",\n"
           "      \"Effect\": \"Allow\",\n"
           "      \"Principal\": {\"AWS\": \"%s\"},\n",
           statement->sid, principal);
  write_actions (request->rsa ? statement->rsa_actions : statement->actions, out);
  fputs ("      \"Resource\": \"*\"", out); /* in a key policy: this key */
  if (statement->with_context && !request->rsa)
    write_condition (request->volume, out);
  fputs ("\n    }", out);
}

static int
check (const struct policy_request *request, const struct aws_key *key, struct error *err)
{
  if (request->principal && !is_principal (key, request->principal))
    return error_set (err, ERROR_USAGE,
                      "\"%s\" is no principal for this key: write the ARN of a role, user or "
                      "session, as arn:%s:iam::ACCOUNT:role/NAME",
                      request->principal, key->partition->name);
  if (request->volume && request->rsa)
    return error_set (err, ERROR_USAGE,
                      "RSA keys know no encryption context, so that nothing can be bound to the "
                      "volume: leave --volume out, or use a symmetric key");
  if (request->volume && !is_uuid (request->volume))
    return error_set (err, ERROR_USAGE, "\"%s\" is no volume's uuid", request->volume);
  return 0;
}

static int
write_policy (const struct policy_request *request, FILE *out, struct error *err)
{
  char placeholder[128], account[128];
  const char *principal = request->principal ? request->principal : placeholder;
  struct aws_key key;

  if (aws_key_parse (request->key, &key, err) < 0 || check (request, &key, err) < 0)
    return -1;
  snprintf (account, sizeof account, "arn:%s:iam::%s:root", key.partition->name, key.account);
  snprintf (placeholder, sizeof placeholder, "arn:%s:iam::%s:role/" PLACEHOLDER,
            key.partition->name, key.account);
  fputs ("{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n", out);
  for (size_t i = 0; i < ARRAY_SIZE (statements); i++) {
    fputs (i ? ",\n" : "", out);
    write_statement (&statements[i], request, statements[i].for_account ? account : principal, out);
  }
  fputs ("\n  ]\n}\n", out);
  return 0;
}

const struct policy_writer policy_aws = {.owns = owns, .write = write_policy};
