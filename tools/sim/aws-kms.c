/* aws-kms.c owns the KMS protocol (JSON 1.1): its operations' table, requests and errors. */
#include "tools/sim/aws-kms.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/encode.h"

#define JSON_TYPE "application/x-amz-json-1.1"

static const struct {
  const char *name;
  aws_operation *run;
} operations[] = {
    {"CreateAlias", aws_create_alias},
    {"CreateGrant", aws_create_grant},
    {"CreateKey", aws_create_key},
    {"CancelKeyDeletion", aws_cancel_key_deletion},
    {"Decrypt", aws_decrypt},
    {"DeleteAlias", aws_delete_alias},
    {"DescribeKey", aws_describe_key},
    {"DisableKey", aws_disable_key},
    {"DisableKeyRotation", aws_disable_key_rotation},
    {"EnableKey", aws_enable_key},
    {"EnableKeyRotation", aws_enable_key_rotation},
    {"Encrypt", aws_encrypt},
    {"GenerateDataKey", aws_generate_data_key},
    {"GenerateDataKeyWithoutPlaintext", aws_generate_data_key_without_plaintext},
    {"GetKeyPolicy", aws_get_key_policy},
    {"GetKeyRotationStatus", aws_get_key_rotation_status},
    {"GetPublicKey", aws_get_public_key},
    {"ListAliases", aws_list_aliases},
    {"ListGrants", aws_list_grants},
    {"ListKeys", aws_list_keys},
    {"PutKeyPolicy", aws_put_key_policy},
    {"ReEncrypt", aws_re_encrypt},
    {"ReplicateKey", aws_replicate_key},
    {"RevokeGrant", aws_revoke_grant},
    {"RotateKeyOnDemand", aws_rotate_key_on_demand},
    {"ScheduleKeyDeletion", aws_schedule_key_deletion},
    {"UpdateAlias", aws_update_alias},
};

/* ---- parameters -------------------------------------------------------------------------------
 */

int
aws_need_string (struct aws_call *call, const char *member, const char **ret)
{
  const char *value = json_get_string (call->params, member);

  if (!value)
    return aws_fail (call, "ValidationException",
                     "1 validation error detected: Value null at '%c%s' failed to satisfy "
                     "constraint: Member must not be null",
                     member[0] | 0x20, member + 1);
  *ret = value;
  return 0;
}

int
aws_take_context (struct aws_call *call, const char *member, const struct json **ret)
{
  const struct json *context = json_get (call->params, member);

  for (size_t i = 0; i < json_size (context); i++)
    if (!json_string_value (json_at (context, i)))
      return aws_fail (call, "SerializationException", "%s: a map of strings is expected", member);
  if (context && !json_is_object (context))
    return aws_fail (call, "SerializationException", "%s: a map of strings is expected", member);
  *ret = json_size (context) > 0 ? context : NULL;
  return 0;
}

int
aws_take_blob (struct aws_call *call, const char *member, size_t min, size_t max, uint8_t **ret,
               size_t *ret_size)
{
  const char *text;
  uint8_t *bytes;

  if (aws_need_string (call, member, &text) < 0)
    return -1;
  bytes = malloc (max);
  if (!bytes)
    abort ();
  if (base64_decode (text, bytes, max, ret_size) < 0 || *ret_size < min) {
    free (bytes);
    return aws_fail (call, "ValidationException",
                     "1 validation error detected: Value at '%c%s' failed to satisfy constraint: "
                     "Member must have length between %zu and %zu",
                     member[0] | 0x20, member + 1, min, max);
  }
  *ret = bytes;
  return 0;
}

void
aws_set_blob (struct json *reply, const char *member, const uint8_t *bytes, size_t size)
{
  CLEANUP_FREE
  char *text = base64_encode (bytes, size);

  json_set_string (reply, member, text);
}

int
aws_find_authorized (struct aws_call *call, const char *member, const char *action,
                     const struct json *context, struct aws_key **ret)
{
  const char *key_id;
  struct aws_key *key;

  if (aws_need_string (call, member, &key_id) < 0 || aws_key_find (call, key_id, &key) < 0)
    return -1;
  if (aws_authorize (call, key, action, context) < 0) {
    aws_key_free (key);
    return -1;
  }
  *ret = key;
  return 0;
}

/* ---- key states -------------------------------------------------------------------------------
 */

/* The texts of the developer guide's page on key states. */
int
aws_check_state (struct aws_call *call, const struct aws_key *key)
{
  static const struct {
    const char *state, *code, *text;
  } table[] = {
      {"Disabled", "DisabledException", "%s is disabled."},
      {"PendingDeletion", "KMSInvalidStateException", "%s is pending deletion."},
      {"PendingReplicaDeletion", "KMSInvalidStateException", "%s is pending replica deletion."},
      {"PendingImport", "KMSInvalidStateException", "%s is pending import."},
      {"Unavailable", "KMSInvalidStateException", "%s is unavailable."},
      {"Creating", "KMSInvalidStateException", "%s is creating."},
  };
  char arn[AWS_ARN_MAX], text[512];

  aws_key_arn (key, arn);
  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (strcmp (table[i].state, key->state) == 0) {
      snprintf (text, sizeof text, "%s%s", arn, table[i].text + 2);
      return aws_fail (call, table[i].code, "%s", text);
    }
  return 0;
}

/* ---- replies ----------------------------------------------------------------------------------
 */

static unsigned
status_of (const char *code)
{
  static const struct {
    const char *code;
    unsigned status;
  } table[] = {
      {"KMSInternalException", 500},
      {"KeyUnavailableException", 500},
      {"DependencyTimeoutException", 503},
      {"DryRunOperationException", 412},
  };

  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (strcmp (table[i].code, code) == 0)
      return table[i].status;
  return 400;
}

static void
reply_error (struct exchange *ex, const char *code, const char *text)
{
  CLEANUP_JSON struct json *json = json_object_new ();

  if (!json)
    abort ();
  json_set_string (json, "__type", code);
  if (*text)
    json_set_string (json, "message", text);
  reply_json (ex->reply, status_of (code), JSON_TYPE, json);
  snprintf (ex->outcome, sizeof ex->outcome, "%s", code);
}

static const char *
operation (size_t i)
{
  return i < ARRAY_SIZE (operations) ? operations[i].name : NULL;
}

static bool
claims (struct exchange *ex)
{
  const char *target = request_header (ex->request, "X-Amz-Target");
  CLEANUP_JSON struct json *params = NULL;
  const char *key;

  if (!target || strncmp (target, "TrentService.", 13) != 0)
    return false;
  snprintf (ex->operation, sizeof ex->operation, "%.63s", target + 13);
  params = json_parse (ex->request->body, ex->request->body_size);
  key = json_get_string (params, "KeyId");
  snprintf (ex->key, sizeof ex->key, "%.300s", key ? key : "");
  return true;
}

static int
run (struct aws_call *call, struct json *reply)
{
  if (aws_authenticate (call, "kms") < 0)
    return -1;
  if (!json_is_object (call->params))
    return aws_fail (call, "SerializationException", "The body is not a JSON object.");
  for (size_t i = 0; i < ARRAY_SIZE (operations); i++)
    if (strcmp (operations[i].name, call->ex->operation) == 0)
      return operations[i].run (call, reply);
  return aws_fail (call, "UnknownOperationException", "keyfence-kms-sim does not know it.");
}

static void
answer (struct exchange *ex)
{
  CLEANUP_JSON struct json *params = json_parse (ex->request->body, ex->request->body_size);
  CLEANUP_JSON struct json *reply = json_object_new ();
  struct aws_call call = {.ex = ex, .params = params};

  if (!reply)
    abort ();
  reply_header (ex->reply, "x-amzn-RequestId", "%s", ex->request_id);
  if (strcmp (ex->request->method, "POST") != 0)
    reply_error (ex, "UnknownOperationException", "");
  else if (run (&call, reply) < 0)
    reply_error (ex, call.error_code, call.error_text);
  else if (json_size (reply) > 0)
    reply_json (ex->reply, 200, JSON_TYPE, reply);
  else
    reply_text (ex->reply, 200, JSON_TYPE, "%s", "");
}

static bool
fail (struct exchange *ex, const struct fault *fault)
{
  static const struct {
    enum fault_kind kind;
    const char *code, *text;
  } table[] = {
      {FAULT_OUTAGE, "KMSInternalException", "The request was rejected by an internal error."},
      {FAULT_THROTTLE, "ThrottlingException",
       "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."},
      {FAULT_EXPIRED, "ExpiredTokenException",
       "The security token included in the request is expired"},
      {FAULT_FIREWALL, "AccessDeniedException",
       "User is not authorized to perform this action because no VPC endpoint policy allows it"},
      {FAULT_DENY, "AccessDeniedException",
       "User is not authorized to perform this action with an explicit deny in a resource-based "
       "policy"},
  };

  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (table[i].kind == fault->kind) {
      reply_header (ex->reply, "x-amzn-RequestId", "%s", ex->request_id);
      reply_error (ex, table[i].code, table[i].text);
      return true;
    }
  return false;
}

const struct service aws_kms_service = {
    .name = "aws-kms", .claims = claims, .operation = operation, .answer = answer, .fail = fail};
