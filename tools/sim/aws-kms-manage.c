/* aws-kms-manage.c owns the KMS operations on the life of a key: create, describe, disable, delete.
 */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "tools/sim/aws-kms.h"
#include "tools/sim/aws-policy.h"
#include "tools/sim/store.h"

#define DAY_S 86400
#define LIST_MAX 1000

/* ---- KeyMetadata ------------------------------------------------------------------------------
 */

static void
set_multi_region (struct sim *sim, struct json *metadata, const struct aws_key *key, int64_t now_s)
{
  struct json *config = json_set_object (metadata, "MultiRegionConfiguration"), *replicas, *one;
  struct aws_key primary = {0}, replica = {0};
  char arn[AWS_ARN_MAX], **names;
  size_t count = store_list (sim->dir_fd, "aws/keys", &names);
  bool is_primary = strcmp (key->region, key->primary_region) == 0;

  json_set_string (config, "MultiRegionKeyType", is_primary ? "PRIMARY" : "REPLICA");
  primary = *key;
  snprintf (primary.region, sizeof primary.region, "%s", key->primary_region);
  aws_key_arn (&primary, arn);
  one = json_set_object (config, "PrimaryKey");
  json_set_string (one, "Arn", arn);
  json_set_string (one, "Region", key->primary_region);
  replicas = json_set_array (config, "ReplicaKeys");
  for (size_t i = 0; i < count; i++) {
    char *id = strchr (names[i], ',');

    if (!id || strcmp (id + 1, key->id) != 0)
      continue;
    *id = '\0';
    replica = *key;
    snprintf (replica.region, sizeof replica.region, "%s", names[i]);
    if (strcmp (replica.region, key->primary_region) == 0)
      continue;
    aws_key_arn (&replica, arn);
    one = json_append_object (replicas);
    json_set_string (one, "Arn", arn);
    json_set_string (one, "Region", replica.region);
  }
  store_names_free (names, count);
  (void)now_s;
}

/* Material that is gone has no validity any more. */
static void
set_origin (struct json *metadata, const struct aws_key *key)
{
  json_set_string (metadata, "Origin", key->imported ? "EXTERNAL" : "AWS_KMS");
  if (!key->imported || strcmp (key->state, "PendingImport") == 0)
    return;
  json_set_string (metadata, "ExpirationModel",
                   key->valid_to_s ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE");
  if (key->valid_to_s)
    json_set_number (metadata, "ValidTo", (double)key->valid_to_s);
}

static void
set_metadata (struct aws_call *call, struct json *reply, const struct aws_key *key)
{
  struct json *metadata = json_set_object (reply, "KeyMetadata"), *algorithms;
  char arn[AWS_ARN_MAX];

  aws_key_arn (key, arn);
  json_set_string (metadata, "AWSAccountId", key->account);
  json_set_string (metadata, "KeyId", key->id);
  json_set_string (metadata, "Arn", arn);
  json_set_number (metadata, "CreationDate", (double)key->created_s);
  json_set_bool (metadata, "Enabled", strcmp (key->state, "Enabled") == 0);
  json_set_string (metadata, "Description", key->description ? key->description : "");
  json_set_string (metadata, "KeyUsage", key->usage);
  json_set_string (metadata, "KeyState", key->state);
  set_origin (metadata, key);
  json_set_string (metadata, "KeyManager", "CUSTOMER");
  json_set_string (metadata, "CustomerMasterKeySpec", key->spec);
  json_set_string (metadata, "KeySpec", key->spec);
  json_set_bool (metadata, "MultiRegion", key->primary_region[0] != '\0');
  if (key->deletion_s != 0)
    json_set_number (metadata, "DeletionDate", (double)key->deletion_s);
  algorithms = json_set_array (metadata, "EncryptionAlgorithms");
  if (aws_key_is_symmetric (key)) {
    json_append_string (algorithms, "SYMMETRIC_DEFAULT");
    json_set_string (metadata, "CurrentKeyMaterialId", key->materials[key->material_count - 1].id);
  }
  else {
    json_append_string (algorithms, "RSAES_OAEP_SHA_1");
    json_append_string (algorithms, "RSAES_OAEP_SHA_256");
  }
  if (key->primary_region[0])
    set_multi_region (call->ex->sim, metadata, key, call->ex->now_s);
}

/* ---- creating ---------------------------------------------------------------------------------
 */

static int
check_create (struct aws_call *call, const char *spec, const char *usage, const char *policy)
{
  static const char *const specs[] = {"SYMMETRIC_DEFAULT", "RSA_2048", "RSA_3072", "RSA_4096"};
  char why[160];
  size_t i = 0;

  while (i < ARRAY_SIZE (specs) && strcmp (specs[i], spec) != 0)
    i++;
  if (i == ARRAY_SIZE (specs))
    return aws_fail (call, "ValidationException",
                     "1 validation error detected: Value '%.40s' at 'keySpec' failed to satisfy "
                     "constraint: keyfence-kms-sim makes SYMMETRIC_DEFAULT, RSA_2048, RSA_3072 and "
                     "RSA_4096 keys",
                     spec);
  if (strcmp (usage, "ENCRYPT_DECRYPT") != 0)
    return aws_fail (call, "ValidationException",
                     "keyfence-kms-sim makes keys for ENCRYPT_DECRYPT only.");
  if (policy && aws_policy_check (policy, why, sizeof why) < 0)
    return aws_fail (call, "MalformedPolicyDocumentException", "%s", why);
  return 0;
}

/* A member of params, or what it is without. */
static const char *
string_or (struct aws_call *call, const char *member, const char *otherwise)
{
  const char *value = json_get_string (call->params, member);

  return value ? value : otherwise;
}

static char *
copy_text (const char *text)
{
  char *copy = strdup (text);

  if (!copy)
    abort ();
  return copy;
}

int
aws_create_key (struct aws_call *call, struct json *reply)
{
  const char *spec =
      string_or (call, "KeySpec", string_or (call, "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"));
  const char *policy = json_get_string (call->params, "Policy");
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  bool multi_region = false;

  if (check_create (call, spec, string_or (call, "KeyUsage", "ENCRYPT_DECRYPT"), policy) < 0
      || aws_authorize (call, NULL, "kms:CreateKey", NULL) < 0)
    return -1;
  if (json_get (call->params, "MultiRegion")
      && json_get_bool (call->params, "MultiRegion", &multi_region) < 0)
    return aws_fail (call, "SerializationException", "MultiRegion: true or false is expected");
  key = aws_key_new (call->identity.account, call->region, spec, multi_region, call->ex->now_s);
  if (!key)
    return aws_fail (call, "KMSInternalException", "The key can't be made.");
  key->description = copy_text (string_or (call, "Description", ""));
  if (policy)
    key->policy = copy_text (policy);
  aws_key_save (call->ex->sim, key);
  aws_key_arn (key, call->ex->key);
  set_metadata (call, reply, key);
  return 0;
}

int
aws_replicate_key (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL, *other = NULL;
  const char *region, *policy = json_get_string (call->params, "Policy");
  char why[160];

  if (aws_find_authorized (call, "KeyId", "kms:ReplicateKey", NULL, &key) < 0
      || aws_need_string (call, "ReplicaRegion", &region) < 0 || aws_check_state (call, key) < 0)
    return -1;
  if (policy && aws_policy_check (policy, why, sizeof why) < 0)
    return aws_fail (call, "MalformedPolicyDocumentException", "%s", why);
  if (!key->primary_region[0] || strcmp (key->primary_region, key->region) != 0)
    return aws_fail (call, "UnsupportedOperationException",
                     "Only a multi-Region primary key can "
                     "be replicated.");
  if (strlen (region) >= sizeof key->region
      || region[strspn (region, "abcdefghijklmnopqrstuvwxyz0123456789-")] || !*region)
    return aws_fail (call, "ValidationException", "ReplicaRegion is not a region.");
  other = aws_key_load (call->ex->sim, region, key->id, call->ex->now_s);
  if (other)
    return aws_fail (call, "AlreadyExistsException", "The key exists in %s.", region);
  snprintf (key->region, sizeof key->region, "%s", region);
  free (key->policy);
  free (key->grants);
  key->policy = policy ? copy_text (policy) : NULL;
  key->grants = NULL;
  key->created_s = call->ex->now_s;
  aws_key_save (call->ex->sim, key);
  set_metadata (call, reply, key);
  return 0;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

int
aws_describe_key (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;

  if (aws_find_authorized (call, "KeyId", "kms:DescribeKey", NULL, &key) < 0)
    return -1;
  set_metadata (call, reply, key);
  return 0;
}

int
aws_list_keys (struct aws_call *call, struct json *reply)
{
  struct json *keys;
  char **names;
  size_t count;

  if (aws_authorize (call, NULL, "kms:ListKeys", NULL) < 0)
    return -1;
  keys = json_set_array (reply, "Keys");
  count = store_list (call->ex->sim->dir_fd, "aws/keys", &names);
  for (size_t i = 0; i < count && json_size (keys) < LIST_MAX; i++) {
    const char *id = strchr (names[i], ',');
    CLEANUP_AWS_KEY struct aws_key *key = NULL;
    struct json *one;
    char arn[AWS_ARN_MAX];

    if (id)
      key = aws_key_load (call->ex->sim, call->region, id + 1, call->ex->now_s);
    if (!key || strncmp (names[i], call->region, strlen (call->region)) != 0
        || names[i] + strlen (call->region) != id
        || strcmp (key->account, call->identity.account) != 0)
      continue;
    one = json_append_object (keys);
    aws_key_arn (key, arn);
    json_set_string (one, "KeyId", key->id);
    json_set_string (one, "KeyArn", arn);
  }
  store_names_free (names, count);
  json_set_bool (reply, "Truncated", false);
  return 0;
}

/* ---- enabling, disabling, deleting ------------------------------------------------------------
 */

static int
set_state (struct aws_call *call, const char *action, const char *state)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;

  if (aws_find_authorized (call, "KeyId", action, NULL, &key) < 0)
    return -1;
  if (strcmp (key->state, "Disabled") != 0 && aws_check_state (call, key) < 0)
    return -1;
  snprintf (key->state, sizeof key->state, "%s", state);
  aws_key_save (call->ex->sim, key);
  return 0;
}

int
aws_enable_key (struct aws_call *call, struct json *reply)
{
  (void)reply;
  return set_state (call, "kms:EnableKey", "Enabled");
}

int
aws_disable_key (struct aws_call *call, struct json *reply)
{
  (void)reply;
  return set_state (call, "kms:DisableKey", "Disabled");
}

static int
take_window (struct aws_call *call, uint32_t *ret_days)
{
  uint64_t days = 30;

  if (json_get (call->params, "PendingWindowInDays")
      && (json_get_uint64 (call->params, "PendingWindowInDays", &days) < 0 || days < 7
          || days > 30))
    return aws_fail (call, "ValidationException",
                     "1 validation error detected: Value at 'pendingWindowInDays' failed to "
                     "satisfy constraint: from 7 to 30");
  *ret_days = (uint32_t)days;
  return 0;
}

int
aws_schedule_key_deletion (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char arn[AWS_ARN_MAX];
  uint32_t days;

  if (take_window (call, &days) < 0
      || aws_find_authorized (call, "KeyId", "kms:ScheduleKeyDeletion", NULL, &key) < 0)
    return -1;
  if (strcmp (key->state, "Disabled") != 0 && aws_check_state (call, key) < 0)
    return -1;
  snprintf (key->state, sizeof key->state, "PendingDeletion");
  key->window_days = days;
  key->deletion_s = call->ex->now_s + (int64_t)days * DAY_S;
  aws_key_save (call->ex->sim, key);
  aws_key_arn (key, arn);
  json_set_string (reply, "KeyId", arn);
  json_set_number (reply, "DeletionDate", (double)key->deletion_s);
  json_set_string (reply, "KeyState", key->state);
  json_set_number (reply, "PendingWindowInDays", days);
  return 0;
}

int
aws_cancel_key_deletion (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char arn[AWS_ARN_MAX];

  if (aws_find_authorized (call, "KeyId", "kms:CancelKeyDeletion", NULL, &key) < 0)
    return -1;
  aws_key_arn (key, arn);
  if (strcmp (key->state, "PendingDeletion") != 0)
    return aws_fail (call, "KMSInvalidStateException", "%s is not pending deletion.", arn);
  snprintf (key->state, sizeof key->state, "Disabled");
  key->deletion_s = 0;
  aws_key_save (call->ex->sim, key);
  json_set_string (reply, "KeyId", arn);
  return 0;
}
