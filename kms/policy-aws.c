/* policy-aws.c owns the key policy statements that keyfence needs of AWS KMS. */
#include "kms/policy.h"

#include <ctype.h>
#include <string.h>

#include "common/parse.h"
#include "kms/aws-arn.h"

#define PLACEHOLDER "ROLE"
#define VOLUME_CONDITION "kms:EncryptionContext:keyfence:volume"

struct statement {
  const char *sid;
  const char *actions[4]; /* ends with NULL */
  bool with_context;      /* the actions have an encryption context */
};

/* What each is for is said in keyfence-keys(7). */
static const struct statement statements[] = {
    {"KeyfenceRun", {"kms:Decrypt"}, true},
    {"KeyfenceCreateAndRewrap", {"kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"}, true},
    {"KeyfenceCheck", {"kms:DescribeKey", "kms:GetKeyRotationStatus"}, false},
};

static bool
owns (const char *key)
{
  return strncmp (key, "arn:", 4) == 0;
}

/* An IAM or STS ARN, an account, or a service's name: what is valid is IAM's business, but nothing
 * that ends a JSON string is.
 */
static bool
is_principal (const char *text)
{
  for (const char *p = text; *p; p++)
    if (!isalnum ((unsigned char)*p) && !strchr (":/+=,.@_-*", *p))
      return false;
  return *text && strlen (text) < 512 && strcmp (text, "*") != 0;
}

static void
write_actions (const struct statement *statement, FILE *out)
{
  fputs ("      \"Action\": [", out);
  for (size_t i = 0; i < 4 && statement->actions[i]; i++)
    fprintf (out, "%s\"%s\"", i ? ", " : "", statement->actions[i]);
  fputs ("],\n", out);
}

/* Without a volume: any, but never without the context, so that the right is of no use for what
 * other programs wrapped with the key.
 */
static void
write_condition (const struct statement *statement, const char *volume, FILE *out)
{
  if (!statement->with_context)
    return;
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
write_statement (const struct statement *statement, const char *principal, const char *volume,
                 FILE *out)
{
  fprintf (out,
           "    {\n"
           "      \"Sid\": \"%s\",\n"
           "      \"Effect\": \"Allow\",\n"
           "      \"Principal\": {\"AWS\": \"%s\"},\n",
           statement->sid, principal);
  write_actions (statement, out);
  fputs ("      \"Resource\": \"*\"", out); /* in a key policy: this key */
  write_condition (statement, volume, out);
  fputs ("\n    }", out);
}

static int
write_policy (const struct policy_request *request, FILE *out, struct error *err)
{
  char placeholder[128];
  const char *principal = request->principal;
  struct aws_key key;

  if (aws_key_parse (request->key, &key, err) < 0)
    return -1;
  if (principal && !is_principal (principal))
    return error_set (err, ERROR_USAGE,
                      "\"%.150s\" is no principal: write a role's or user's ARN, as "
                      "arn:aws:iam::ACCOUNT:role/NAME",
                      principal);
  if (request->volume && !is_uuid (request->volume))
    return error_set (err, ERROR_USAGE, "\"%.150s\" is no volume's uuid", request->volume);
  snprintf (placeholder, sizeof placeholder, "arn:%s:iam::%s:role/" PLACEHOLDER,
            key.partition->name, key.account);
  fputs ("{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n", out);
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
    fputs (i ? ",\n" : "", out);
    write_statement (&statements[i], principal ? principal : placeholder, request->volume, out);
  }
  fputs ("\n  ]\n}\n", out);
  return 0;
}

const struct policy_writer policy_aws = {.owns = owns, .write = write_policy};
