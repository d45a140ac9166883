/* What calls and replies promise: what one side prints the other reads, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/json.h"
#include "kms/message.h"

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

static void
fill_wrap (struct wrap *wrap, size_t blob_size)
{
  snprintf (wrap->key, sizeof wrap->key, "file:///\xc3\xa9 \"quoted\"");
  snprintf (wrap->key_version, sizeof wrap->key_version, "0123");
  snprintf (wrap->algorithm, sizeof wrap->algorithm, "ALG");
  snprintf (wrap->created, sizeof wrap->created, "2026-01-01T00:00:00Z");
  wrap->wrapped.size = blob_size;
  wrap->probe.size = blob_size;
  for (size_t i = 0; i < blob_size; i++)
    wrap->wrapped.bytes[i] = wrap->probe.bytes[i] = (uint8_t)(i * 7);
  for (size_t i = 0; i < WRAP_DIGEST_SIZE; i++)
    wrap->probe_digest[i] = (uint8_t)(255 - i);
}

static void
assert_same_wrap (const struct wrap *a, const struct wrap *b)
{
  assert_string_equal (a->key, b->key);
  assert_string_equal (a->key_version, b->key_version);
  assert_string_equal (a->algorithm, b->algorithm);
  assert_string_equal (a->created, b->created);
  assert_int_equal (a->wrapped.size, b->wrapped.size);
  assert_memory_equal (a->wrapped.bytes, b->wrapped.bytes, WRAP_BLOB_MAX);
  assert_int_equal (a->probe.size, b->probe.size);
  assert_memory_equal (a->probe.bytes, b->probe.bytes, WRAP_BLOB_MAX);
  assert_memory_equal (a->probe_digest, b->probe_digest, WRAP_DIGEST_SIZE);
}

static struct kms_call
make_call (enum kms_operation operation)
{
  struct kms_call call = {.operation = operation, .timeout_ms = 5000, .volume = UUID};

  fill_wrap (&call.wrap, 72);
  snprintf (call.key, sizeof call.key, "%s", call.wrap.key);
  snprintf (call.region, sizeof call.region, "eu-central-1");
  call.fresh = operation == KMS_OPERATION_CHECK;
  call.run_only = operation_traits (operation)->reply_has_report;
  return call;
}

static struct kms_reply make_reply (enum kms_class class)
{
  struct kms_reply reply = {.outcome = {.class = class, .duration_ms = 12},
                            .expires_unix_s = KMS_EXPIRY_MAX};

  snprintf (reply.outcome.reason, sizeof reply.outcome.reason, "%s", class ? "not_found" : "");
  snprintf (reply.outcome.request_id, sizeof reply.outcome.request_id, "id-1");
  fill_wrap (&reply.wrap, 72);
  kms_report_add (&reply.report, KMS_WARN, "name", "mend \"it\"", "detail %d", 1);
  kms_report_add (&reply.report, KMS_PASS, "other", NULL, "fine");
  return reply;
}

static void
calls_of_all_operations_arrive_as_they_were_sent (void **state)
{
  (void)state;
  for (int op = KMS_OPERATION_UNWRAP; op <= KMS_OPERATION_INSPECT_WRAP; op++) {
    struct kms_call call = make_call ((enum kms_operation)op), got = {0};
    CLEANUP_FREE char *text = message_print_call (&call);

    assert_non_null (text);
    assert_int_equal (message_parse_call (text, strlen (text), &got), 0);
    assert_int_equal (got.operation, op);
    assert_int_equal (got.timeout_ms, 5000);
    assert_string_equal (got.key, call.key);
    assert_string_equal (got.volume, call.volume);
    assert_string_equal (got.region, call.region);
    assert_int_equal (got.fresh, op == KMS_OPERATION_CHECK);
    assert_int_equal (got.run_only, call.run_only);
    if (operation_traits (call.operation)->call_has_wrap)
      assert_same_wrap (&got.wrap, &call.wrap);
  }
}

static void
replies_of_all_operations_and_classes_arrive_as_they_were_sent (void **state)
{
  (void)state;
  for (int op = KMS_OPERATION_UNWRAP; op <= KMS_OPERATION_INSPECT_WRAP; op++)
    for (int class = KMS_OK; class < KMS_CLASS_COUNT; class ++) {
      const struct operation_traits *traits = operation_traits ((enum kms_operation)op);
      struct kms_reply reply = make_reply ((enum kms_class) class), got = {0};
      CLEANUP_FREE char *text = message_print_reply ((enum kms_operation)op, &reply);

      assert_non_null (text);
      assert_int_equal (message_parse_reply ((enum kms_operation)op, text, strlen (text), &got), 0);
      assert_int_equal (got.outcome.class, class);
      assert_string_equal (got.outcome.reason, reply.outcome.reason);
      assert_string_equal (got.outcome.request_id, "id-1");
      assert_int_equal (got.outcome.duration_ms, 12);
      if (class == KMS_OK && traits->reply_has_wrap)
        assert_same_wrap (&got.wrap, &reply.wrap);
      if (class == KMS_OK && traits->reply_has_report)
        assert_memory_equal (&got.report, &reply.report, sizeof got.report);
      if (class == KMS_OK && traits->reply_has_expiry)
        assert_int_equal (got.expires_unix_s, KMS_EXPIRY_MAX);
    }
}

static void
the_largest_messages_fit_into_a_packet (void **state)
{
  struct kms_call call = make_call (KMS_OPERATION_UNWRAP), got_call;
  struct kms_reply reply = make_reply (KMS_OK), got;
  CLEANUP_FREE char *text = NULL, *report_text = NULL;

  (void)state;
  fill_wrap (&call.wrap, WRAP_BLOB_MAX);
  memset (call.wrap.key, '"', WRAP_KEY_MAX - 1);
  memset (call.wrap.key_version, '"', WRAP_VERSION_MAX - 1);
  text = message_print_call (&call);
  assert_true (strlen (text) <= MESSAGE_MAX);
  assert_int_equal (message_parse_call (text, strlen (text), &got_call), 0);
  reply.report.count = KMS_REPORT_MAX;
  for (size_t i = 0; i < KMS_REPORT_MAX; i++) {
    memset (reply.report.lines[i].name, '"', sizeof reply.report.lines[i].name - 1);
    memset (reply.report.lines[i].detail, '"', sizeof reply.report.lines[i].detail - 1);
    memset (reply.report.lines[i].mend, '"', sizeof reply.report.lines[i].mend - 1);
    memset (reply.report.lines[i].request_id, '"', sizeof reply.report.lines[i].request_id - 1);
  }
  report_text = message_print_reply (KMS_OPERATION_INSPECT, &reply);
  assert_true (strlen (report_text) <= MESSAGE_MAX);
  assert_int_equal (
      message_parse_reply (KMS_OPERATION_INSPECT, report_text, strlen (report_text), &got), 0);
  assert_int_equal (got.report.count, KMS_REPORT_MAX);
}

/* ---- strictness: one edit of a good message at a time ---- */

struct edit {
  const char *from, *to;
};

/* `text` with the first `from` replaced; fails the test when there is none. */
static char *
edited (const char *text, const struct edit *edit)
{
  const char *at = strstr (text, edit->from);
  char *result = NULL;

  if (!at)
    fail_msg ("%s is not in %s", edit->from, text);
  assert_true (
      asprintf (&result, "%.*s%s%s", (int)(at - text), text, edit->to, at + strlen (edit->from))
      > 0);
  return result;
}

static void
a_call_with_one_thing_wrong_is_refused (void **state)
{
  static const struct edit edits[] = {
      {"\"protocol\":2", "\"protocol\":1"},
      {"\"protocol\":2,", ""},
      {"\"protocol\":2", "\"protocol\":2,\"more\":1"},
      {"\"unwrap\"", "\"unwarp\""},
      {"\"unwrap\"", "\"unwrap\",\"run_only\":true"},
      {"\"unwrap\"", "\"inspect_wrap\""},
      {"\"unwrap\"", "\"inspect_wrap\",\"run_only\":1"},
      {"\"unwrap\"", "null"},
      {"5000", "0"},
      {"5000", "-1"},
      {"5000", "4294967296"},
      {"5000", "\"5000\""},
      {UUID, "01234567"},
      {UUID, ""},
      {"\"eu-central-1\"", "\"eu\\ncentral\""},
      {"\"eu-central-1\"", "7"},
      {"eu-central-1", "0123456789012345678901234567890123456789012345678901234567890123"},
      {"\"fresh\":false,", ""},
      {"\"fresh\":false", "\"fresh\":0"},
      {"\"fresh\":false", "\"fresh\":\"false\""},
      {"\"fresh\":false", "\"fresh\":null"},
      {"\"fresh\":false", "\"fresh\":false,\"fresh\":true"},
      {"\"key_version\":\"0123\",", ""},
      {"\"key_version\"", "\"key_versions\""},
      {"\"algorithm\":\"ALG\"", "\"algorithm\":\"ALG\",\"id\":1"},
      {"\"algorithm\":\"ALG\"", "\"algorithm\":\"ALG\",\"algorithm\":\"ALG\""},
      {"\"wrapped\":\"", "\"wrapped\":\"*"},
      {"\"probe_digest\":\"", "\"probe_digest\":\"AAAA"},
      {"\"probe_digest\":\"//79", "\"probe_digest\":\""},
      {"{", "[{"},
      {"}}", "}}x"},
      {"}}", "}"},
  };
  struct kms_call call = make_call (KMS_OPERATION_UNWRAP), got = {.timeout_ms = 77};
  CLEANUP_FREE char *text = message_print_call (&call);

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (edits); i++) {
    CLEANUP_FREE char *bad = edited (text, &edits[i]);

    if (message_parse_call (bad, strlen (bad), &got) != -1)
      fail_msg ("taken: %s", bad);
    assert_int_equal (got.timeout_ms, 77);
  }
  for (size_t size = 0; size < strlen (text); size++)
    assert_int_equal (message_parse_call (text, size, &got), -1);
}

static void
a_notification_is_about_no_key_and_no_volume (void **state)
{
  static const struct edit edits[] = {
      {"\"key\":\"\"", "\"key\":\"x\""},
      {"\"volume\":\"\"", "\"volume\":\"" UUID "\""},
      {"\"key\":\"\"", "\"key\":\"\",\"url\":\"\""},
  };
  const struct kms_call call = {.operation = KMS_OPERATION_NOTIFY, .timeout_ms = 5000};
  static struct kms_call got;
  CLEANUP_FREE char *text = message_print_call (&call);

  (void)state;
  assert_int_equal (message_parse_call (text, strlen (text), &got), 0);
  assert_int_equal (got.operation, KMS_OPERATION_NOTIFY);
  for (size_t i = 0; i < ARRAY_SIZE (edits); i++) {
    CLEANUP_FREE char *bad = edited (text, &edits[i]);

    if (message_parse_call (bad, strlen (bad), &got) != -1)
      fail_msg ("taken: %s", bad);
  }
}

static void
a_reply_with_one_thing_wrong_is_refused (void **state)
{
  static const struct edit edits[] = {
      {"\"ok\"", "\"OK\""},
      {"\"ok\"", "1"},
      {"\"ok\"", "\"denied\""},
      {"\"reason\":\"\",", ""},
      {"\"text\":\"\"", "\"text\":\"\\u001b[2J\""},
      {"\"text\":\"\"", "\"text\":\"\xff\""},
      {"\"text\":\"\"", "\"text\":null"},
      {"\"id-1\"", "\"id-1\",\"volume_key\":\"\""},
      {"12", "-12"},
      {"12", "1e12"},
      {"\"warn\"", "\"good\""},
      {"\"name\":\"name\",", ""},
      {"\"name\":\"name\"", "\"name\":\"0123456789012345678901234567890123456789\""},
      {"\"mend\":\"\"", "\"mend\":\"\",\"more\":\"\""},
      {",\"request_id\":\"\"", ""},
      {"\"report\":[", "\"report\":[[],"},
      {"\"report\":[", "\"reports\":["},
  };
  struct kms_reply reply = make_reply (KMS_OK), got = {.outcome = {.duration_ms = 77}};
  CLEANUP_FREE char *text = message_print_reply (KMS_OPERATION_INSPECT, &reply);

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (edits); i++) {
    CLEANUP_FREE char *bad = edited (text, &edits[i]);

    if (message_parse_reply (KMS_OPERATION_INSPECT, bad, strlen (bad), &got) != -1)
      fail_msg ("taken: %s", bad);
    assert_int_equal (got.outcome.duration_ms, 77);
  }
}

static void
an_expiry_date_with_one_thing_wrong_is_refused (void **state)
{
  static const struct edit edits[] = {
      {"253402300799", "253402300800"},
      {"253402300799", "-1"},
      {"253402300799", "1.5"},
      {"253402300799", "1e400"},
      {"253402300799", "null"},
      {"253402300799", "\"1\""},
      {",\"expires\":253402300799", ""},
      {"\"expires\"", "\"expiry\""},
      {"\"expires\":", "\"expires\":1,\"expires\":"},
      {"\"ok\",\"reason\":\"\"", "\"denied\",\"reason\":\"x\""},
  };
  struct kms_reply reply = make_reply (KMS_OK), got = {.expires_unix_s = 77};
  CLEANUP_FREE char *text = message_print_reply (KMS_OPERATION_EXPIRY, &reply);

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (edits); i++) {
    CLEANUP_FREE char *bad = edited (text, &edits[i]);

    if (message_parse_reply (KMS_OPERATION_EXPIRY, bad, strlen (bad), &got) != -1)
      fail_msg ("taken: %s", bad);
    assert_int_equal (got.expires_unix_s, 77);
  }
}

static void
a_reply_to_another_operation_is_refused (void **state)
{
  struct kms_reply reply = make_reply (KMS_OK), got;
  CLEANUP_FREE char *text = message_print_reply (KMS_OPERATION_GENERATE, &reply);

  (void)state;
  assert_int_equal (message_parse_reply (KMS_OPERATION_WRAP, text, strlen (text), &got), 0);
  assert_int_equal (message_parse_reply (KMS_OPERATION_CHECK, text, strlen (text), &got), -1);
  assert_int_equal (message_parse_reply (KMS_OPERATION_INSPECT, text, strlen (text), &got), -1);
  assert_int_equal (message_parse_reply (KMS_OPERATION_EXPIRY, text, strlen (text), &got), -1);
}

static void
a_failure_without_a_reason_is_refused (void **state)
{
  struct kms_reply reply = make_reply (KMS_DENIED), got;
  CLEANUP_FREE char *text = NULL;

  (void)state;
  reply.outcome.reason[0] = '\0';
  text = message_print_reply (KMS_OPERATION_CHECK, &reply);
  assert_int_equal (message_parse_reply (KMS_OPERATION_CHECK, text, strlen (text), &got), -1);
}

static void
class_names_go_there_and_back (void **state)
{
  enum kms_class class = KMS_OK;

  (void)state;
  for (int i = 0; i < KMS_CLASS_COUNT; i++) {
    assert_true (kms_class_from_name (kms_class_name ((enum kms_class)i), &class));
    assert_int_equal (class, i);
  }
  assert_false (kms_class_from_name ("purple", &class));
  assert_false (kms_class_from_name ("", &class));
}

static void
only_a_service_that_is_out_permits_failing_over (void **state)
{
  static const struct {
    enum kms_class class;
    const char *reason;
    bool may;
  } cases[] = {
      {KMS_OUTAGE, "connect", true},
      {KMS_OUTAGE, "timeout", true},
      {KMS_OUTAGE, "broken", true},
      {KMS_OUTAGE, "tls", true},
      {KMS_OUTAGE, "dns", true},
      {KMS_OUTAGE, "service_error", true},
      {KMS_OUTAGE, "throttled", true},
      {KMS_OUTAGE, "identity_service", true},
      {KMS_OUTAGE, "read_error", true},
      {KMS_OUTAGE, "nxdomain", false},
      {KMS_OUTAGE, "tls_verify", false},
      {KMS_OUTAGE, "agent_timeout", false},
      {KMS_OUTAGE, "agent_died", false},
      {KMS_OUTAGE, "agent_busy", false},
      {KMS_OUTAGE, "no_memory", false},
      {KMS_OUTAGE, "unknown_error", false},
      {KMS_OUTAGE, "unexpected_answer", false},
      {KMS_OUTAGE, "external_key_store", false},
      {KMS_OUTAGE, "made_up_tomorrow", false},
      {KMS_OUTAGE, "", false},
      {KMS_DENIED, "timeout", false},
      {KMS_CREDENTIALS, "throttled", false},
      {KMS_CLOCK, "connect", false},
      {KMS_CORRUPT, "service_error", false},
      {KMS_CONFIG, "dns", false},
      {KMS_OK, "connect", false},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct kms_outcome outcome = {.class = cases[i].class};

    snprintf (outcome.reason, sizeof outcome.reason, "%s", cases[i].reason);
    if (kms_outcome_may_fail_over (&outcome) != cases[i].may)
      fail_msg ("%s/%s", kms_class_name (outcome.class), outcome.reason);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (calls_of_all_operations_arrive_as_they_were_sent),
      cmocka_unit_test (replies_of_all_operations_and_classes_arrive_as_they_were_sent),
      cmocka_unit_test (the_largest_messages_fit_into_a_packet),
      cmocka_unit_test (a_call_with_one_thing_wrong_is_refused),
      cmocka_unit_test (a_notification_is_about_no_key_and_no_volume),
      cmocka_unit_test (a_reply_with_one_thing_wrong_is_refused),
      cmocka_unit_test (an_expiry_date_with_one_thing_wrong_is_refused),
      cmocka_unit_test (a_reply_to_another_operation_is_refused),
      cmocka_unit_test (a_failure_without_a_reason_is_refused),
      cmocka_unit_test (class_names_go_there_and_back),
      cmocka_unit_test (only_a_service_that_is_out_permits_failing_over),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
