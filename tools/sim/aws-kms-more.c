/* aws-kms-more.c owns the KMS operations on aliases, key policies and rotation. */
#include <stdio.h>
#include <string.h>

#include "tools/sim/aws-kms.h"
#include "tools/sim/aws-policy.h"
#include "tools/sim/store.h"

/* ---- aliases ----------------------------------------------------------------------------------
 */

static int
set_alias (struct aws_call *call, const char *action, bool must_exist)
{
  struct sim *sim = call->ex->sim;
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  const char *alias;
  char id[48];
  bool exists;

  if (aws_need_string (call, "AliasName", &alias) < 0)
    return -1;
  if (!aws_alias_name_ok (alias) || strncmp (alias, "alias/aws/", 10) == 0)
    return aws_fail (call, "InvalidAliasNameException",
                     "Alias must start with the prefix "
                     "\"alias/\" and not with \"alias/aws/\".");
  if (aws_find_authorized (call, "TargetKeyId", action, NULL, &key) < 0
      || aws_check_state (call, key) < 0)
    return -1;
  exists = aws_alias_target (sim, call->region, call->identity.account, alias, id, sizeof id) == 0;
  if (exists && !must_exist)
    return aws_fail (call, "AlreadyExistsException",
                     "An alias with the name arn:%s:kms:%s:%s:%s already exists",
                     aws_partition (call->region), call->region, call->identity.account, alias);
  if (!exists && must_exist)
    return aws_fail (call, "NotFoundException", "Alias arn:%s:kms:%s:%s:%s is not found.",
                     aws_partition (call->region), call->region, call->identity.account, alias);
  aws_alias_save (sim, call->region, call->identity.account, alias, key->id);
  return 0;
}

int
aws_create_alias (struct aws_call *call, struct json *reply)
{
  (void)reply;
  return set_alias (call, "kms:CreateAlias", false);
}

int
aws_update_alias (struct aws_call *call, struct json *reply)
{
  (void)reply;
  return set_alias (call, "kms:UpdateAlias", true);
}

int
aws_delete_alias (struct aws_call *call, struct json *reply)
{
  const char *alias;

  (void)reply;
  if (aws_need_string (call, "AliasName", &alias) < 0
      || aws_authorize (call, NULL, "kms:DeleteAlias", NULL) < 0)
    return -1;
  if (!aws_alias_name_ok (alias)
      || !aws_alias_remove (call->ex->sim, call->region, call->identity.account, alias))
    return aws_fail (call, "NotFoundException", "Alias %.130s is not found.", alias);
  return 0;
}

int
aws_list_aliases (struct aws_call *call, struct json *reply)
{
  struct json *list;
  char **names, prefix[64];
  size_t count;

  if (aws_authorize (call, NULL, "kms:ListAliases", NULL) < 0)
    return -1;
  list = json_set_array (reply, "Aliases");
  snprintf (prefix, sizeof prefix, "%s,%s,", call->region, call->identity.account);
  count = store_list (call->ex->sim->dir_fd, "aws/aliases", &names);
  for (size_t i = 0; i < count; i++) {
    CLEANUP_JSON struct json *stored = store_load (call->ex->sim->dir_fd, "aws/aliases", names[i]);
    const char *alias = json_get_string (stored, "alias");
    struct json *one;
    char arn[AWS_ARN_MAX];

    if (!alias || strncmp (names[i], prefix, strlen (prefix)) != 0)
      continue;
    snprintf (arn, sizeof arn, "arn:%s:kms:%s:%s:%s", aws_partition (call->region), call->region,
              call->identity.account, alias);
    one = json_append_object (list);
    json_set_string (one, "AliasName", alias);
    json_set_string (one, "AliasArn", arn);
    json_set_string (one, "TargetKeyId", json_get_string (stored, "key"));
  }
  store_names_free (names, count);
  json_set_bool (reply, "Truncated", false);
  return 0;
}

/* ---- key policies -----------------------------------------------------------------------------
 */

#define DEFAULT_POLICY                                                                         \
  "{\"Version\":\"2012-10-17\",\"Id\":\"key-default-1\",\"Statement\":[{\"Sid\":\"Enable IAM " \
  "User Permissions\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:%s:iam::%s:root\"},"   \
  "\"Action\":\"kms:*\",\"Resource\":\"*\"}]}"

int
aws_get_key_policy (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char policy[512];

  if (aws_find_authorized (call, "KeyId", "kms:GetKeyPolicy", NULL, &key) < 0)
    return -1;
  snprintf (policy, sizeof policy, DEFAULT_POLICY, aws_partition (key->region), key->account);
  json_set_string (reply, "Policy", key->policy ? key->policy : policy);
  json_set_string (reply, "PolicyName", "default");
  return 0;
}

int
aws_put_key_policy (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  const char *policy;
  char *copy, why[160];

  (void)reply;
  if (aws_need_string (call, "Policy", &policy) < 0
      || aws_find_authorized (call, "KeyId", "kms:PutKeyPolicy", NULL, &key) < 0)
    return -1;
  if (aws_policy_check (policy, why, sizeof why) < 0)
    return aws_fail (call, "MalformedPolicyDocumentException", "%s", why);
  copy = strdup (policy);
  if (!copy)
    abort ();
  free (key->policy);
  key->policy = copy;
  aws_key_save (call->ex->sim, key);
  return 0;
}

/* ---- rotation ---------------------------------------------------------------------------------
 */

/* Rotation is of symmetric keys in a usable state. */
static int
find_for_rotation (struct aws_call *call, const char *action, struct aws_key **ret)
{
  if (aws_find_authorized (call, "KeyId", action, NULL, ret) < 0
      || aws_check_state (call, *ret) < 0)
    return -1;
  if (!aws_key_is_symmetric (*ret))
    return aws_fail (call, "UnsupportedOperationException",
                     "Rotation is only valid with symmetric encryption keys.");
  return 0;
}

int
aws_rotate_key_on_demand (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char arn[AWS_ARN_MAX];

  if (find_for_rotation (call, "kms:RotateKeyOnDemand", &key) < 0)
    return -1;
  if (!aws_key_rotate (key, call->ex->now_s))
    return aws_fail (call, "LimitExceededException",
                     "The key has been rotated on demand as often as it can be.");
  aws_key_save (call->ex->sim, key);
  aws_key_arn (key, arn);
  json_set_string (reply, "KeyId", arn);
  return 0;
}

static int
set_rotation (struct aws_call *call, const char *action, bool on)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;

  if (find_for_rotation (call, action, &key) < 0)
    return -1;
  key->rotation = on;
  aws_key_save (call->ex->sim, key);
  return 0;
}

int
aws_enable_key_rotation (struct aws_call *call, struct json *reply)
{
  (void)reply;
  return set_rotation (call, "kms:EnableKeyRotation", true);
}

int
aws_disable_key_rotation (struct aws_call *call, struct json *reply)
{
  (void)reply;
  return set_rotation (call, "kms:DisableKeyRotation", false);
}

int
aws_get_key_rotation_status (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char arn[AWS_ARN_MAX];

  if (aws_find_authorized (call, "KeyId", "kms:GetKeyRotationStatus", NULL, &key) < 0)
    return -1;
  aws_key_arn (key, arn);
  json_set_string (reply, "KeyId", arn);
  json_set_bool (reply, "KeyRotationEnabled", key->rotation);
  if (key->rotation)
    json_set_number (reply, "RotationPeriodInDays", 365);
  return 0;
}
