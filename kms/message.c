/* message.c owns the form of calls and replies as JSON, and the refusing of everything else. */
#include "kms/message.h"

#include <string.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/json.h"
#include "common/parse.h"

static const struct operation_traits traits[] = {
    [KMS_OPERATION_UNWRAP] = {"unwrap", .call_has_wrap = true, .reply_sends_key = true,
                              .in_child = true},
    [KMS_OPERATION_CHECK] = {"check", .call_has_wrap = true},
    [KMS_OPERATION_EXPIRY] = {"expiry", .call_has_wrap = true, .reply_has_expiry = true},
    [KMS_OPERATION_GENERATE] = {"generate", .reply_has_wrap = true, .reply_sends_key = true,
                                .in_child = true},
    [KMS_OPERATION_WRAP] = {"wrap", .call_sends_key = true, .reply_has_wrap = true,
                            .in_child = true},
    [KMS_OPERATION_INSPECT] = {"inspect", .reply_has_report = true},
    [KMS_OPERATION_INSPECT_WRAP] = {"inspect_wrap", .call_has_wrap = true,
                                    .reply_has_report = true},
    [KMS_OPERATION_NOTIFY] = {"notify", .call_sends_message = true, .in_child = true},
};

const struct operation_traits *
operation_traits (enum kms_operation operation)
{
  return &traits[operation];
}

/* ---- strings ---- */

/* Copies a member that is clean text shorter than `max`. */
static int
take_string (const struct json *object, const char *name, char *ret, size_t max)
{
  const char *value = json_get_string (object, name);
  size_t length = value ? strlen (value) : max;

  if (length >= max)
    return -1;
  memcpy (ret, value, length + 1);
  return kms_text_clean (ret) ? 0 : -1;
}

static int
take_bytes (const struct json *object, const char *name, uint8_t *bytes, size_t max,
            size_t *ret_size)
{
  const char *value = json_get_string (object, name);

  return value ? base64_decode (value, bytes, max, ret_size) : -1;
}

/* The largest number is a time-out or a duration of about 49 days. */
static int
take_uint32 (const struct json *object, const char *name, uint32_t *ret)
{
  uint64_t value;

  if (json_get_uint64 (object, name, &value) < 0 || value > UINT32_MAX)
    return -1;
  *ret = (uint32_t)value;
  return 0;
}

static int
set_bytes (struct json *object, const char *name, const uint8_t *bytes, size_t size)
{
  CLEANUP_FREE char *text = base64_encode (bytes, size);

  if (!text)
    return -1;
  json_set_string (object, name, text);
  return 0;
}

/* ---- a wrap ---- */

#define WRAP_MEMBERS 7

static int
set_wrap (struct json *object, const struct wrap *wrap)
{
  struct json *json = json_set_object (object, "wrap");

  json_set_string (json, "key", wrap->key);
  json_set_string (json, "key_version", wrap->key_version);
  json_set_string (json, "algorithm", wrap->algorithm);
  json_set_string (json, "created", wrap->created);
  if (set_bytes (json, "wrapped", wrap->wrapped.bytes, wrap->wrapped.size) < 0
      || set_bytes (json, "probe", wrap->probe.bytes, wrap->probe.size) < 0
      || set_bytes (json, "probe_digest", wrap->probe_digest, sizeof wrap->probe_digest) < 0)
    return -1;
  return 0;
}

static int
take_wrap (const struct json *object, struct wrap *ret)
{
  const struct json *json = json_get (object, "wrap");
  size_t digest_size;

  if (json_size (json) != WRAP_MEMBERS || take_string (json, "key", ret->key, sizeof ret->key) < 0
      || take_string (json, "key_version", ret->key_version, sizeof ret->key_version) < 0
      || take_string (json, "algorithm", ret->algorithm, sizeof ret->algorithm) < 0
      || take_string (json, "created", ret->created, sizeof ret->created) < 0
      || take_bytes (json, "wrapped", ret->wrapped.bytes, WRAP_BLOB_MAX, &ret->wrapped.size) < 0
      || take_bytes (json, "probe", ret->probe.bytes, WRAP_BLOB_MAX, &ret->probe.size) < 0
      || take_bytes (json, "probe_digest", ret->probe_digest, WRAP_DIGEST_SIZE, &digest_size) < 0
      || digest_size != WRAP_DIGEST_SIZE)
    return -1;
  return 0;
}

/* ---- a call ---- */

#define CALL_MEMBERS 7 /* and one more where the reply has a report */

char *
message_print_call (const struct kms_call *call)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  const struct operation_traits *op = operation_traits (call->operation);

  if (!json)
    return NULL;
  json_set_number (json, "protocol", MESSAGE_PROTOCOL);
  json_set_string (json, "operation", op->name);
  json_set_number (json, "timeout_ms", call->timeout_ms);
  json_set_string (json, "volume", call->volume);
  json_set_string (json, "region", call->region);
  json_set_bool (json, "fresh", call->fresh);
  if (op->reply_has_report)
    json_set_bool (json, "run_only", call->run_only);
  if (!op->call_has_wrap)
    json_set_string (json, "key", call->key);
  else if (set_wrap (json, &call->wrap) < 0)
    return NULL;
  return json_print (json, false);
}

static int
take_operation (const struct json *json, enum kms_operation *ret)
{
  const char *name = json_get_string (json, "operation");

  for (size_t i = 0; name && i < ARRAY_SIZE (traits); i++) {
    if (strcmp (traits[i].name, name) == 0) {
      *ret = (enum kms_operation)i;
      return 0;
    }
  }
  return -1;
}

/* A uuid, or nothing where there is no volume yet. */
static int
take_volume (const struct json *json, struct kms_call *ret)
{
  if (take_string (json, "volume", ret->volume, sizeof ret->volume) < 0)
    return -1;
  if (operation_traits (ret->operation)->call_sends_message)
    return ret->volume[0] == '\0' ? 0 : -1;
  if (ret->operation == KMS_OPERATION_INSPECT && ret->volume[0] == '\0')
    return 0;
  return is_uuid (ret->volume) ? 0 : -1;
}

/* What only calls for a report have. */
static int
take_run_only (const struct json *json, struct kms_call *ret)
{
  if (!operation_traits (ret->operation)->reply_has_report)
    return json_size (json) == CALL_MEMBERS ? 0 : -1;
  return json_size (json) == CALL_MEMBERS + 1 ? json_get_bool (json, "run_only", &ret->run_only)
                                              : -1;
}

static int
take_key_or_wrap (const struct json *json, struct kms_call *ret)
{
  const struct operation_traits *op = operation_traits (ret->operation);

  if (!op->call_has_wrap)
    return take_string (json, "key", ret->key, op->call_sends_message ? 1 : sizeof ret->key);
  if (take_wrap (json, &ret->wrap) < 0)
    return -1;
  memcpy (ret->key, ret->wrap.key, sizeof ret->key);
  return 0;
}

int
message_parse_call (const char *text, size_t size, struct kms_call *ret)
{
  CLEANUP_JSON struct json *json = json_parse (text, size);
  CLEANUP_FREE struct kms_call *call = calloc (1, sizeof *call);
  uint32_t protocol;

  if (!call || !json_is_object (json) || take_uint32 (json, "protocol", &protocol) < 0
      || protocol != MESSAGE_PROTOCOL || take_operation (json, &call->operation) < 0
      || take_run_only (json, call) < 0 || take_uint32 (json, "timeout_ms", &call->timeout_ms) < 0
      || call->timeout_ms == 0 || take_volume (json, call) < 0
      || take_string (json, "region", call->region, sizeof call->region) < 0
      || json_get_bool (json, "fresh", &call->fresh) < 0 || take_key_or_wrap (json, call) < 0)
    return -1;
  *ret = *call;
  return 0;
}

/* ---- a reply ---- */

#define OUTCOME_MEMBERS 5
#define LINE_MEMBERS 6

static void
set_report (struct json *json, const struct kms_report *report)
{
  struct json *lines = json_set_array (json, "report");

  for (size_t i = 0; i < report->count; i++) {
    const struct kms_report_line *line = &report->lines[i];
    struct json *item = json_append_object (lines);

    json_set_string (item, "verdict", kms_verdict_name (line->verdict));
    json_set_bool (item, "denied", line->denied);
    json_set_string (item, "name", line->name);
    json_set_string (item, "detail", line->detail);
    json_set_string (item, "mend", line->mend);
    json_set_string (item, "request_id", line->request_id);
  }
}

char *
message_print_reply (enum kms_operation operation, const struct kms_reply *reply)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  const struct operation_traits *op = operation_traits (operation);
  const struct kms_outcome *outcome = &reply->outcome;

  if (!json)
    return NULL;
  json_set_string (json, "class", kms_class_name (outcome->class));
  json_set_string (json, "reason", outcome->reason);
  json_set_string (json, "text", outcome->text);
  json_set_string (json, "request_id", outcome->request_id);
  json_set_number (json, "duration_ms", outcome->duration_ms);
  if (outcome->class == KMS_OK && op->reply_has_wrap && set_wrap (json, &reply->wrap) < 0)
    return NULL;
  if (outcome->class == KMS_OK && op->reply_has_report)
    set_report (json, &reply->report);
  if (outcome->class == KMS_OK && op->reply_has_expiry)
    json_set_number (json, "expires", (double)reply->expires_unix_s);
  return json_print (json, false);
}

static int
take_outcome (const struct json *json, struct kms_outcome *ret)
{
  const char *class = json_get_string (json, "class");

  if (!class || !kms_class_from_name (class, &ret->class)
      || take_string (json, "reason", ret->reason, sizeof ret->reason) < 0
      || take_string (json, "text", ret->text, sizeof ret->text) < 0
      || take_string (json, "request_id", ret->request_id, sizeof ret->request_id) < 0
      || take_uint32 (json, "duration_ms", &ret->duration_ms) < 0)
    return -1;
  return ret->class == KMS_OK || ret->reason[0] != '\0' ? 0 : -1;
}

static int
take_verdict (const struct json *item, enum kms_verdict *ret)
{
  const char *name = json_get_string (item, "verdict");

  for (int v = KMS_PASS; name && v <= KMS_FAIL; v++) {
    if (strcmp (kms_verdict_name ((enum kms_verdict)v), name) == 0) {
      *ret = (enum kms_verdict)v;
      return 0;
    }
  }
  return -1;
}

static int
take_report (const struct json *json, struct kms_report *ret)
{
  const struct json *lines = json_get (json, "report");

  if (!json_is_array (lines) || json_size (lines) > KMS_REPORT_MAX)
    return -1;
  for (ret->count = 0; ret->count < json_size (lines); ret->count++) {
    struct kms_report_line *line = &ret->lines[ret->count];
    const struct json *item = json_at (lines, ret->count);

    if (json_size (item) != LINE_MEMBERS || take_verdict (item, &line->verdict) < 0
        || json_get_bool (item, "denied", &line->denied) < 0
        || take_string (item, "name", line->name, sizeof line->name) < 0
        || take_string (item, "detail", line->detail, sizeof line->detail) < 0
        || take_string (item, "mend", line->mend, sizeof line->mend) < 0
        || take_string (item, "request_id", line->request_id, sizeof line->request_id) < 0)
      return -1;
  }
  return 0;
}

static int
take_expiry (const struct json *json, int64_t *ret)
{
  uint64_t value;

  if (json_get_uint64 (json, "expires", &value) < 0 || value > KMS_EXPIRY_MAX)
    return -1;
  *ret = (int64_t)value;
  return 0;
}

/* What an ok reply has besides the outcome: one thing or nothing. */
static int
take_result (const struct json *json, const struct operation_traits *op, struct kms_reply *ret)
{
  size_t more = (size_t)op->reply_has_wrap + op->reply_has_report + op->reply_has_expiry;

  if (ret->outcome.class != KMS_OK)
    return json_size (json) == OUTCOME_MEMBERS ? 0 : -1;
  if (json_size (json) != OUTCOME_MEMBERS + more
      || (op->reply_has_wrap && take_wrap (json, &ret->wrap) < 0)
      || (op->reply_has_report && take_report (json, &ret->report) < 0)
      || (op->reply_has_expiry && take_expiry (json, &ret->expires_unix_s) < 0))
    return -1;
  return 0;
}

int
message_parse_reply (enum kms_operation operation, const char *text, size_t size,
                     struct kms_reply *ret)
{
  CLEANUP_JSON struct json *json = json_parse (text, size);
  CLEANUP_FREE struct kms_reply *reply = calloc (1, sizeof *reply);

  if (!reply || !json_is_object (json) || take_outcome (json, &reply->outcome) < 0
      || take_result (json, operation_traits (operation), reply) < 0)
    return -1;
  *ret = *reply;
  return 0;
}
