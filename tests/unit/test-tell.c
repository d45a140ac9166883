/* What telling promises: it never holds anybody up, what it writes is whole, and what it had to
 * drop is counted.
 */
#include "tests/unit/tell-rig.h"

#define TEST(name) cmocka_unit_test_setup_teardown (name, rig_setup, rig_teardown)

/* The end of telling is promised within two seconds; a slow machine gets a little more. */
#define STOP_MS 2500

/* ---- what is written ---- */

static void
assert_member (const struct json *json, const char *name, const char *value)
{
  const char *found = json_get_string (json, name);

  if (!found || strcmp (found, value) != 0)
    fail_msg ("%s is %s instead of %s", name, found ? found : "missing", value);
}

static void
assert_about (const struct json *json)
{
  assert_member (json, "volume", RIG_UUID);
  assert_member (json, "label", "wages");
  assert_member (json, "path", "/srv/wages.kf");
}

static void
a_state_change_is_a_line_of_json_with_all_its_facts (void **state)
{
  CLEANUP_RECORDS struct rig_records *records = NULL;
  const struct json *json;

  (void)state;
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  rig_stop ();
  records = rig_read_records ();
  assert_int_equal (records->count, 1);
  json = records->list[0];
  assert_about (json);
  assert_member (json, "time", "2026-01-02T03:04:05.006Z");
  assert_member (json, "event", "state");
  assert_member (json, "from", "grace");
  assert_member (json, "state", "fenced");
  assert_member (json, "reason", "key_disabled");
  assert_member (json, "detail", "The key is disabled.");
  assert_member (json, "request_id", "req-1");
  assert_member (json, "key", RIG_KEY);
  assert_true (rig_number (json, "bound_s") == 9.25);
}

static void
a_key_operation_and_an_event_are_lines_too (void **state)
{
  const struct tell_event event = {1000, "opened", "by nbdkit"};
  CLEANUP_RECORDS struct rig_records *records = NULL;

  (void)state;
  rig_start ();
  rig_tell_operation (17);
  tell_event (rig_teller, &event);
  rig_stop ();
  records = rig_read_records ();
  assert_int_equal (records->count, 2);
  assert_about (records->list[0]);
  assert_member (records->list[0], "event", "operation");
  assert_member (records->list[0], "operation", "check");
  assert_member (records->list[0], "role", "primary");
  assert_member (records->list[0], "key", RIG_KEY);
  assert_member (records->list[0], "class", "denied");
  assert_member (records->list[0], "reason", "key_disabled");
  assert_member (records->list[0], "request_id", "req-2");
  assert_true (rig_number (records->list[0], "duration_ms") == 17);
  assert_about (records->list[1]);
  assert_member (records->list[1], "time", "1970-01-01T00:00:01.000Z");
  assert_member (records->list[1], "event", "opened");
  assert_member (records->list[1], "detail", "by nbdkit");
}

static void
a_state_change_is_one_line_of_the_log (void **state)
{
  (void)state;
  rig_start ();
  rig_tell ("starting", "active", "ok");
  rig_tell ("active", "fenced", "key_disabled");
  rig_stop ();
  assert_int_equal (rig_log_count ("\n"), 2);
  assert_int_equal (rig_log_count ("notice: /srv/wages.kf: active, was starting: ok"), 1);
  assert_int_equal (
      rig_log_count ("error: /srv/wages.kf: fenced, was active: key_disabled: The key "
                     "is disabled.; key " RIG_KEY "; request req-1\n"),
      1);
}

static void
names_and_answers_from_outside_cannot_make_lines (void **state)
{
  struct tell_change change = rig_change ("active", "grace", "timeout");
  CLEANUP_RECORDS struct rig_records *records = NULL;

  (void)state;
  rig_params.label = "a\n{\"event\":\"state\"}\xff\"";
  snprintf (change.detail, sizeof change.detail, "x\r\n\x1b[31my\xc3");
  rig_start ();
  tell_change (rig_teller, &change);
  rig_stop ();
  records = rig_read_records ();
  assert_int_equal (records->count, 1);
  assert_member (records->list[0], "label", "a?{\"event\":\"state\"}?\"");
  assert_member (records->list[0], "detail", "x???[31my?");
  assert_int_equal (rig_log_count ("\n"), 1);
}

static void *
tell_many (void *arg)
{
  (void)arg;
  for (unsigned i = 0; i < 50; i++) {
    rig_tell_operation (i);
    if (i % 10 == 0)
      rig_tell ("active", "grace", "timeout");
    usleep (100);
  }
  return NULL;
}

static void
what_other_threads_tell_at_once_is_all_there (void **state)
{
  pthread_t threads[4];
  CLEANUP_RECORDS struct rig_records *records = NULL;
  const struct json *dropped = NULL;
  double lost = 0;

  (void)state;
  rig_start ();
  for (size_t i = 0; i < ARRAY_SIZE (threads); i++)
    assert_int_equal (pthread_create (&threads[i], NULL, tell_many, NULL), 0);
  for (size_t i = 0; i < ARRAY_SIZE (threads); i++)
    pthread_join (threads[i], NULL);
  rig_stop ();
  records = rig_read_records ();
  if (rig_events (records, "dropped", &dropped) == 1)
    lost = rig_number (dropped, "count");
  assert_int_equal (rig_events (records, "operation", NULL) + (unsigned)lost, 200);
  assert_int_equal (rig_events (records, "state", NULL), 20);
}

/* ---- the file ---- */

static void
the_audit_log_is_appended_to_and_closed_to_others (void **state)
{
  struct stat st;

  (void)state;
  umask (022);
  rig_start ();
  rig_tell_operation (1);
  rig_stop ();
  assert_int_equal (stat (rig_audit, &st), 0);
  assert_int_equal (st.st_mode & 07777, 0640);
  rig_start ();
  rig_tell_operation (2);
  rig_stop ();
  assert_int_equal (rig_lines (rig_audit), 2);
}

static void
what_is_no_regular_file_is_refused_as_audit_log (void **state)
{
  CLEANUP_CLOSE int reader = -1;

  (void)state;
  assert_int_equal (symlink ("elsewhere", rig_audit), 0);
  rig_expect_refusal ("is a symbolic link");
  assert_int_equal (unlink (rig_audit), 0);
  assert_int_equal (mkfifo (rig_audit, 0600), 0);
  rig_expect_refusal ("is not a regular file");
  reader = open (rig_audit, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  assert_true (reader >= 0);
  rig_expect_refusal ("is not a regular file");
  rig_params.audit_log = "/dev/null";
  rig_expect_refusal ("is not a regular file");
  rig_params.audit_log = rig_dir;
  rig_expect_refusal ("Is a directory");
  rig_params.audit_log = "/nonexistent/audit.log";
  rig_expect_refusal ("can't open audit-log /nonexistent/audit.log: its folder does not exist");
}

static void
a_rotated_audit_log_is_followed_without_a_signal (void **state)
{
  (void)state;
  rig_start ();
  rig_tell_operation (1);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
  assert_int_equal (rename (rig_audit, rig_path ("audit.log.1")), 0);
  rig_tell_operation (2);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
  assert_int_equal (unlink (rig_audit), 0);
  rig_write ("audit.log", "", 0640); /* as logrotate's "create" does */
  rig_tell_operation (3);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
  assert_int_equal (truncate (rig_audit, 0), 0); /* and its "copytruncate" */
  rig_tell_operation (4);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
  assert_int_equal (rig_read (rig_audit)[0], '{');
  assert_int_equal (rig_lines (rig_path ("audit.log.1")), 1);
}

static void
a_path_that_turns_into_a_link_is_not_followed (void **state)
{
  (void)state;
  rig_start ();
  rig_tell_operation (1);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
  assert_int_equal (unlink (rig_audit), 0);
  assert_int_equal (symlink ("elsewhere", rig_audit), 0);
  rig_tell_operation (2);
  WAIT_UNTIL (rig_log_count ("is a symbolic link") == 1);
  assert_int_equal (access (rig_path ("elsewhere"), F_OK), -1);
  assert_int_equal (unlink (rig_audit), 0);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
}

static void
half_a_line_of_a_predecessor_is_ended_first (void **state)
{
  (void)state;
  rig_write ("audit.log", "{\"event\":\"st", 0640);
  rig_start ();
  rig_tell_operation (1);
  rig_tell_operation (2);
  rig_stop ();
  assert_int_equal (strncmp (rig_read (rig_audit), "{\"event\":\"st\n{\"time\":", 21), 0);
  assert_int_equal (rig_lines (rig_audit), 3);
}

/* ---- a disk that fails ---- */

static void
a_full_disk_is_told_once_and_nothing_is_lost_when_it_passes (void **state)
{
  CLEANUP_RECORDS struct rig_records *records = NULL;

  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_FULL);
  for (unsigned i = 0; i < 100; i++)
    rig_tell_operation (i);
  WAIT_UNTIL (atomic_load (&rig_disk_met) >= 3);
  assert_int_equal (rig_log_count ("can't write audit-log"), 1);
  assert_int_equal (rig_log_count ("No space left on device"), 1);
  atomic_store (&rig_disk, DISK_WORKS);
  WAIT_UNTIL (rig_lines (rig_audit) == 100);
  WAIT_UNTIL (rig_log_count ("is written again") == 1);
  records = rig_read_records ();
  for (unsigned i = 0; i < 100; i++)
    assert_true (rig_number (records->list[i], "duration_ms") == i);
}

static void
a_line_that_a_full_disk_has_cut_is_written_again_as_a_whole (void **state)
{
  const char *second;

  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_CUTS);
  rig_tell_operation (1);
  WAIT_UNTIL (atomic_load (&rig_disk_met) >= 2);
  atomic_store (&rig_disk, DISK_WORKS);
  WAIT_UNTIL (rig_lines (rig_audit) == 2);
  second = strchr (rig_read (rig_audit), '\n') + 1;
  assert_int_equal (strncmp (second, "{\"time\":", 8), 0);
  assert_int_equal (second[strlen (second) - 2], '}');
}

static void
what_a_full_disk_still_refuses_at_the_end_is_counted_in_the_log (void **state)
{
  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_FULL);
  rig_tell_operation (1);
  rig_tell ("active", "grace", "timeout");
  assert_true (rig_stop () < STOP_MS);
  assert_int_equal (rig_log_count ("the server ends, and 2 records are lost"), 1);
}

/* ---- what hangs ---- */

#define MANY 1000

static void
a_hanging_disk_holds_up_neither_who_tells_nor_the_log (void **state)
{
  uint64_t start_ms;

  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_HANGS);
  rig_tell_operation (0);
  WAIT_UNTIL (atomic_load (&rig_disk_met) == 1);
  start_ms = __real_clock_ms ();
  for (unsigned i = 1; i <= MANY; i++)
    rig_tell_operation (i);
  rig_tell ("active", "fenced", "key_disabled");
  assert_true (__real_clock_ms () - start_ms < 1000);
  WAIT_UNTIL (rig_log_count ("fenced, was active") == 1);
  assert_int_equal (rig_lines (rig_audit), 0);
}

static void
a_full_queue_drops_the_oldest_operations_first_and_counts_them (void **state)
{
  CLEANUP_RECORDS struct rig_records *records = NULL;
  const struct json *dropped = NULL;
  size_t last;

  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_HANGS);
  rig_tell_operation (0);
  WAIT_UNTIL (atomic_load (&rig_disk_met) == 1);
  rig_tell ("starting", "active", "ok");
  for (unsigned i = 1; i <= MANY; i++)
    rig_tell_operation (i);
  rig_tell ("active", "fenced", "key_disabled");
  atomic_store (&rig_disk, DISK_WORKS);
  WAIT_UNTIL (rig_event_count ("state") == 2);
  records = rig_read_records ();
  last = records->count - 1;
  assert_int_equal (rig_events (records, "dropped", &dropped), 1);
  assert_member (dropped, "queue", "audit-log");
  assert_true (rig_number (dropped, "count") + rig_events (records, "operation", NULL) == MANY + 1);
  assert_ptr_equal (records->list[1], dropped); /* as soon as there was room */
  assert_member (records->list[2], "state", "active");
  assert_true (rig_number (records->list[last - 1], "duration_ms") == MANY);
  assert_member (records->list[last], "state", "fenced");
}

static void
a_queue_full_of_state_changes_keeps_the_newest (void **state)
{
  struct tell_change change = rig_change ("active", "grace", "timeout");
  CLEANUP_RECORDS struct rig_records *records = NULL;
  const struct json *dropped = NULL;

  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_HANGS);
  rig_tell_operation (0);
  WAIT_UNTIL (atomic_load (&rig_disk_met) == 1);
  for (unsigned i = 0; i < 400; i++) {
    change.bound_s = i;
    tell_change (rig_teller, &change);
    rig_tell_operation (i);
    usleep (100); /* the log shall get along */
  }
  WAIT_UNTIL (rig_log_count ("grace, was active") == 400);
  atomic_store (&rig_disk, DISK_WORKS);
  rig_stop ();
  records = rig_read_records ();
  assert_int_equal (rig_events (records, "operation", NULL), 1);
  assert_int_equal (rig_events (records, "dropped", &dropped), 1);
  assert_true (rig_number (dropped, "count") + rig_events (records, "state", NULL) == 800);
  assert_true (rig_number (records->list[records->count - 1], "bound_s") == 399);
}

static void
the_end_does_not_wait_for_a_hanging_disk (void **state)
{
  (void)state;
  rig_start ();
  atomic_store (&rig_disk, DISK_HANGS);
  rig_tell_operation (0);
  rig_tell ("active", "fenced", "key_disabled");
  WAIT_UNTIL (atomic_load (&rig_disk_met) == 1);
  assert_true (rig_stop () < STOP_MS);
  assert_int_equal (rig_log_count ("audit-log: the server ends, and 1 records could not be told"),
                    1);
  /* The thread that hung comes back to nothing that it could harm. */
  atomic_store (&rig_disk, DISK_WORKS);
  WAIT_UNTIL (rig_lines (rig_audit) == 1);
  usleep (50000);
}

static void
the_end_does_not_wait_for_a_log_that_nobody_reads (void **state)
{
  (void)state;
  rig_start ();
  atomic_store (&rig_log_hangs, true);
  rig_tell ("starting", "active", "ok");
  rig_tell ("active", "fenced", "key_disabled");
  WAIT_UNTIL (atomic_load (&rig_log_met));
  WAIT_UNTIL (rig_event_count ("state") == 2);
  assert_true (rig_stop () < STOP_MS);
  atomic_store (&rig_log_hangs, false);
  WAIT_UNTIL (rig_log_count ("active, was starting") == 1);
  usleep (50000);
}

static void
what_is_queued_is_told_before_the_end (void **state)
{
  (void)state;
  rig_start ();
  for (unsigned i = 0; i < 200; i++)
    rig_tell_operation (i);
  assert_true (rig_stop () < STOP_MS);
  assert_int_equal (rig_lines (rig_audit), 200);
}

static void
nobody_to_tell_is_no_error (void **state)
{
  const struct tell_change change = rig_change ("starting", "active", "ok");
  const struct tell_operation operation = {0};
  const struct tell_event event = {0};

  (void)state;
  tell_change (NULL, &change);
  tell_operation (NULL, &operation);
  tell_event (NULL, &event);
  tell_stop (NULL);
  rig_params.audit_log = NULL;
  rig_start ();
  rig_tell ("starting", "active", "ok");
  rig_tell_operation (1);
  assert_true (rig_stop () < STOP_MS);
  assert_int_equal (rig_log_count ("\n"), 1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_state_change_is_a_line_of_json_with_all_its_facts),
      TEST (a_key_operation_and_an_event_are_lines_too),
      TEST (a_state_change_is_one_line_of_the_log),
      TEST (names_and_answers_from_outside_cannot_make_lines),
      TEST (what_other_threads_tell_at_once_is_all_there),
      TEST (the_audit_log_is_appended_to_and_closed_to_others),
      TEST (what_is_no_regular_file_is_refused_as_audit_log),
      TEST (a_rotated_audit_log_is_followed_without_a_signal),
      TEST (a_path_that_turns_into_a_link_is_not_followed),
      TEST (half_a_line_of_a_predecessor_is_ended_first),
      TEST (a_full_disk_is_told_once_and_nothing_is_lost_when_it_passes),
      TEST (a_line_that_a_full_disk_has_cut_is_written_again_as_a_whole),
      TEST (what_a_full_disk_still_refuses_at_the_end_is_counted_in_the_log),
      TEST (a_hanging_disk_holds_up_neither_who_tells_nor_the_log),
      TEST (a_full_queue_drops_the_oldest_operations_first_and_counts_them),
      TEST (a_queue_full_of_state_changes_keeps_the_newest),
      TEST (the_end_does_not_wait_for_a_hanging_disk),
      TEST (the_end_does_not_wait_for_a_log_that_nobody_reads),
      TEST (what_is_queued_is_told_before_the_end),
      TEST (nobody_to_tell_is_no_error),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
