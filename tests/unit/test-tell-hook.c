/* What the hook is promised, and what it can't do: to hang, crash, fork or fail is its own affair.
 */
#include "tests/unit/tell-rig.h"

#include <signal.h>

#define TEST(name) cmocka_unit_test_setup_teardown (name, hook_setup, rig_teardown)
#define STOP_MS 2500

static int
hook_setup (void **state)
{
  static char path[128];

  if (rig_setup (state) < 0)
    return -1;
  snprintf (path, sizeof path, "%s/hook", rig_dir);
  rig_params.hook = path;
  return 0;
}

/* The hook's text; it runs in its folder. */
static void
hook_is (const char *body)
{
  char text[2048];

  snprintf (text, sizeof text, "#!/bin/sh\ncd %s\n%s\n", rig_dir, body);
  rig_write ("hook", text, 0700);
}

static pid_t
pid_in (const char *name)
{
  return (pid_t)atol (rig_read (rig_path (name))); /* lint: of our own making */
}

/* A zombie, which has nobody to reap it in some containers, is gone, too. */
static bool
is_gone (pid_t pid)
{
  char path[64], text[256] = "";
  CLEANUP_CLOSE int fd = -1;

  snprintf (path, sizeof path, "/proc/%d/stat", (int)pid);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read (fd, text, sizeof text - 1) <= 0)
    return true;
  return strstr (text, ") Z ") != NULL;
}

/* The only result in the audit log, once it is there. */
static void
assert_result (const char *status, unsigned tries, const char *detail)
{
  CLEANUP_RECORDS struct rig_records *records = NULL;
  const struct json *result = NULL;

  WAIT_UNTIL (rig_event_count ("hook") == 1);
  records = rig_read_records ();
  rig_events (records, "hook", &result);
  assert_string_equal (json_get_string (result, "status"), status);
  assert_string_equal (json_get_string (result, "to"), rig_params.hook);
  assert_string_equal (json_get_string (result, "volume"), RIG_UUID);
  assert_true (rig_number (result, "tries") == tries);
  if (!strstr (json_get_string (result, "detail"), detail))
    fail_msg ("detail: %s", json_get_string (result, "detail"));
  assert_int_equal (*json_get_string (result, "detail") == '\0', strcmp (status, "ok") == 0);
}

/* ---- what it has ---- */

static void
the_hook_has_the_facts_in_its_environment_and_nothing_else (void **state)
{
  static const char expected[] = "KEYFENCE_BOUND_SECONDS=9.25\n"
                                 "KEYFENCE_DETAIL=The key is disabled.\n"
                                 "KEYFENCE_FROM=grace\n"
                                 "KEYFENCE_KEY=" RIG_KEY "\n"
                                 "KEYFENCE_LABEL=wages\n"
                                 "KEYFENCE_PATH=/srv/wages.kf\n"
                                 "KEYFENCE_REASON=key_disabled\n"
                                 "KEYFENCE_REQUEST_ID=req-1\n"
                                 "KEYFENCE_STATE=fenced\n"
                                 "KEYFENCE_TIME=2026-01-02T03:04:05.006Z\n"
                                 "KEYFENCE_VOLUME=" RIG_UUID "\n"
                                 "PATH=/usr/bin:/bin\n";
  CLEANUP_FREE char *path = strdup (getenv ("PATH"));

  (void)state;
  hook_is ("tr '\\0' '\\n' </proc/$$/environ | LC_ALL=C sort >environment");
  setenv ("PATH", "/usr/bin:/bin", 1);
  setenv ("NOTIFY_SOCKET", "@keyfence-test-nobody", 1);
  setenv ("AWS_SECRET_ACCESS_KEY", "planted", 1);
  rig_start ();
  setenv ("PATH", path, 1);
  unsetenv ("AWS_SECRET_ACCESS_KEY");
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("ok", 1, "");
  assert_string_equal (rig_read (rig_path ("environment")), expected);
}

static void
the_manual_lists_the_variables_of_the_hook_and_no_other (void **state)
{
  CLEANUP_FREE char *manual = NULL;
  unsigned items = 0, variables = 0;
  const char *p, *end;

  (void)state;
  hook_is ("tr '\\0' '\\n' </proc/$$/environ >environment");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("ok", 1, "");
  assert_int_equal (
      read_file (TEST_DATA "/../../docs/nbdkit-keyfence-plugin.pod", 1 << 20, &manual, NULL), 0);
  p = strstr (manual, "\n=head2 Hook\n");
  assert_non_null (p);
  end = strstr (p + 1, "\n=head2 ");
  assert_non_null (end);
  for (; (p = strstr (p, "\n=item B<KEYFENCE_")) != NULL && p < end; p++) {
    char name[64];

    snprintf (name, sizeof name, "%.*s=", (int)strcspn (p + 9, ">"), p + 9);
    if (!strstr (rig_read (rig_path ("environment")), name))
      fail_msg ("the hook has no %s", name);
    items++;
  }
  for (p = rig_read (rig_path ("environment")); (p = strstr (p, "KEYFENCE_")) != NULL; p++)
    variables++;
  assert_int_equal (items, variables);
}

/* With a logger that writes down what it is told. */
static void
the_example_hook_does_what_it_says (void **state)
{
  CLEANUP_FREE char *path = strdup (getenv ("PATH")), *hook = NULL;
  char search[512];

  (void)state;
  assert_int_equal (
      read_file (TEST_DATA "/../../docs/examples/keyfence-hook", 1 << 16, &hook, NULL), 0);
  rig_write ("hook", hook, 0700);
  rig_write ("logger", "#!/bin/sh\necho \"$@\" >>${0%/*}/told\n", 0700);
  snprintf (search, sizeof search, "%s:%s", rig_dir, path);
  setenv ("PATH", search, 1);
  rig_start ();
  setenv ("PATH", path, 1);
  rig_tell ("active", "grace", "timeout");
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (rig_event_count ("hook") == 2);
  rig_stop ();
  assert_non_null (strstr (rig_read (rig_path ("told")),
                           "-t keyfence -p daemon.warning -- /srv/wages.kf (" RIG_UUID
                           ") is grace, was active: timeout: The key is disabled. (key " RIG_KEY
                           ", request req-1)\n-t keyfence -p daemon.crit -- "));
  assert_null (strstr (rig_read (rig_audit), "\"status\":\"failed\""));
}

static void
the_hook_has_no_descriptor_and_no_signal_setting_of_ours (void **state)
{
  CLEANUP_CLOSE int extra = open ("/dev/zero", O_RDONLY);
  CLEANUP_CLOSE int high = fcntl (extra, F_DUPFD, 200);
  const char *status;
  pid_t pid;

  (void)state;
  /* Not by cat: the shell blocks signals around the start of a program. */
  hook_is ("echo $$ >pid\nls -l /proc/$$/fd >descriptors\ncut -d' ' -f5 /proc/$$/stat >group\n"
           "while read -r line; do echo \"$line\"; done </proc/$$/status >status");
  signal (SIGPIPE, SIG_IGN);
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("ok", 1, "");
  signal (SIGPIPE, SIG_DFL);
  assert_null (strstr (rig_read (rig_path ("descriptors")), "/dev/zero"));
  assert_non_null (strstr (rig_read (rig_path ("descriptors")), " 0 -> /dev/null"));
  assert_null (strstr (rig_read (rig_path ("descriptors")), "audit.log"));
  pid = pid_in ("pid");
  assert_int_equal (pid_in ("group"), pid);
  status = rig_read (rig_path ("status"));
  assert_non_null (strstr (status, "SigBlk:\t0000000000000000"));
  /* The C library ignores its own two, 32 and 33, in what it spawns. */
  assert_int_equal (strtoull (strstr (status, "SigIgn:") + 7, NULL, 16) & ~(UINT64_C (3) << 31), 0);
}

/* As it would into an NBD connection: nbdkit -s. */
static void
what_the_hook_prints_does_not_go_to_our_stdout (void **state)
{
  CLEANUP_CLOSE int out = dup (STDOUT_FILENO), file = -1;

  (void)state;
  hook_is ("echo printed\nexec 3>&1 4>&2\n"
           "readlink /proc/self/fd/3 >out\nreadlink /proc/self/fd/4 >err");
  file = open (rig_path ("stdout"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal (dup2 (file, STDOUT_FILENO), STDOUT_FILENO);
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (rig_event_count ("hook") == 1);
  assert_int_equal (dup2 (out, STDOUT_FILENO), STDOUT_FILENO);
  assert_string_equal (rig_read (rig_path ("stdout")), "");
  assert_string_equal (rig_read (rig_path ("out")), rig_read (rig_path ("err")));
}

/* ---- order and tries ---- */

static void
hooks_run_one_after_the_other_in_the_order_of_the_changes (void **state)
{
  (void)state;
  hook_is ("mkdir running || exit 1\nsleep 0.1\necho $KEYFENCE_FROM $KEYFENCE_STATE >>told\n"
           "rmdir running");
  rig_start ();
  rig_tell ("starting", "active", "ok");
  rig_tell ("active", "grace", "timeout");
  rig_tell ("grace", "fenced", "timeout");
  WAIT_UNTIL (rig_event_count ("hook") == 3);
  assert_string_equal (rig_read (rig_path ("told")),
                       "starting active\nactive grace\ngrace fenced\n");
}

static void
a_hook_that_fails_once_is_tried_again (void **state)
{
  (void)state;
  hook_is ("[ -e second ] || { touch second; exit 3; }");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("ok", 2, "");
  assert_int_equal (rig_log_count ("hook"), 0);
}

static void
a_hook_that_goes_on_failing_is_tried_three_times_and_told_in_the_log (void **state)
{
  uint64_t start_ms = __real_clock_ms ();

  (void)state;
  hook_is ("echo x >>tries; exit 3");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("failed", 3, "it ended with status 3");
  assert_true (__real_clock_ms () - start_ms >= 5000); /* pauses of 1 and 4 seconds */
  assert_string_equal (rig_read (rig_path ("tries")), "x\nx\nx\n");
  WAIT_UNTIL (rig_log_count ("/hook was not told of the state fenced in 3 tries (failed): it ended "
                             "with status 3")
              == 1);
}

static void
a_newer_state_ends_the_tries_of_an_older_one (void **state)
{
  CLEANUP_RECORDS struct rig_records *records = NULL;

  (void)state;
  hook_is ("echo $KEYFENCE_STATE >>told; [ $KEYFENCE_STATE = active ]");
  rig_start ();
  rig_tell ("active", "fenced", "key_disabled");
  WAIT_UNTIL (rig_lines (rig_path ("told")) == 2);
  rig_tell ("fenced", "active", "ok"); /* in the four seconds of the second pause */
  WAIT_UNTIL (rig_event_count ("hook") == 2);
  assert_string_equal (rig_read (rig_path ("told")), "fenced\nfenced\nactive\n");
  records = rig_read_records ();
  for (size_t i = 0, n = 0; i < records->count; i++)
    if (strcmp (json_get_string (records->list[i], "event"), "hook") == 0)
      assert_string_equal (json_get_string (records->list[i], "status"),
                           n++ == 0 ? "superseded" : "ok");
}

/* ---- bad manners ---- */

static void
a_hook_that_hangs_is_killed_after_30_seconds_with_what_it_has_started (void **state)
{
  pid_t pid, child;

  (void)state;
  hook_is ("[ -e pid ] && exit 0\necho $$ >pid\nsleep 1000 &\necho $! >child\nwait");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (pid_in ("child") > 0);
  pid = pid_in ("pid");
  child = pid_in ("child");
  atomic_fetch_add (&rig_forward_ms, 25000);
  usleep (100000);
  assert_false (is_gone (pid));
  atomic_fetch_add (&rig_forward_ms, 5000);
  WAIT_UNTIL (is_gone (pid) && is_gone (child));
  assert_result ("ok", 2, "");
}

static void
a_hook_that_ignores_signals_and_crashes_is_reported (void **state)
{
  (void)state;
  hook_is ("trap '' TERM INT HUP\nkill -SEGV $$");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (rig_event_count ("state") == 1);
  rig_stop ();
  assert_result ("stopped", 1, "signal 11");
}

static void
a_hook_that_leaves_something_in_the_background_is_done_when_it_ends (void **state)
{
  pid_t daemon;

  (void)state;
  hook_is ("setsid sleep 1000 &\necho $! >daemon");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("ok", 1, "");
  assert_true (rig_stop () < STOP_MS);
  daemon = pid_in ("daemon");
  assert_false (is_gone (daemon));
  kill (daemon, SIGKILL);
}

static void
the_end_kills_a_hook_that_hangs (void **state)
{
  (void)state;
  hook_is ("trap '' TERM\necho $$ >pid\nsleep 1000 & wait");
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  rig_tell ("fenced", "active", "ok");
  WAIT_UNTIL (pid_in ("pid") > 0);
  assert_true (rig_stop () < STOP_MS);
  assert_true (is_gone (pid_in ("pid")));
  assert_result ("stopped", 1, "it was killed, since the server ends");
  assert_int_equal (rig_log_count ("hook: the server ends, and 1 records could not be told"), 1);
}

static void
a_hanging_hook_holds_up_neither_audit_log_nor_log (void **state)
{
  (void)state;
  hook_is ("echo $$ >pid; sleep 1000");
  rig_start ();
  rig_tell ("starting", "active", "ok");
  WAIT_UNTIL (pid_in ("pid") > 0);
  rig_tell ("active", "fenced", "key_disabled");
  rig_tell_operation (1);
  WAIT_UNTIL (rig_lines (rig_audit) == 3);
  WAIT_UNTIL (rig_log_count ("fenced, was active") == 1);
}

static void
a_hanging_audit_log_does_not_hold_up_the_hook (void **state)
{
  (void)state;
  hook_is ("echo $KEYFENCE_STATE >told");
  rig_start ();
  atomic_store (&rig_disk, DISK_HANGS);
  rig_tell ("active", "fenced", "key_disabled");
  WAIT_UNTIL (atomic_load (&rig_disk_met) == 1);
  WAIT_UNTIL (strcmp (rig_read (rig_path ("told")), "fenced\n") == 0);
}

static void
a_hook_that_has_gone_is_a_failure_and_no_more (void **state)
{
  const char *preload = getenv ("LD_PRELOAD");

  (void)state;
  if (preload && strstr (preload, "vgpreload")) {
    print_message ("skipped: valgrind's vfork does not tell how the exec went\n");
    skip ();
  }
  hook_is ("exit 0");
  rig_start ();
  assert_int_equal (unlink (rig_params.hook), 0);
  rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (rig_event_count ("state") == 1);
  usleep (100000);
  rig_stop ();
  assert_result ("stopped", 1, "it can't be started: No such file or directory");
}

static void
no_hook_leaves_a_zombie_or_a_descriptor (void **state)
{
  int before = open ("/dev/null", O_RDONLY | O_CLOEXEC), after;

  (void)state;
  close (before);
  hook_is ("exit 0");
  rig_start ();
  for (int i = 0; i < 20; i++)
    rig_tell ("grace", "fenced", "key_disabled");
  WAIT_UNTIL (rig_event_count ("hook") == 20);
  assert_int_equal (waitpid (-1, NULL, WNOHANG), -1);
  assert_int_equal (errno, ECHILD);
  rig_stop ();
  after = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  close (after);
  assert_int_equal (after, before);
}

static void
a_server_that_was_started_with_sigchld_ignored_learns_the_status_all_the_same (void **state)
{
  (void)state;
  hook_is ("[ -e second ] || { touch second; exit 3; }");
  signal (SIGCHLD, SIG_IGN);
  rig_start ();
  rig_tell ("grace", "fenced", "key_disabled");
  assert_result ("ok", 2, "");
  signal (SIGCHLD, SIG_DFL);
}

/* ---- what is no hook ---- */

static void
what_others_can_write_or_nobody_can_run_is_refused (void **state)
{
  static const struct {
    mode_t mode;
    const char *why;
  } cases[] = {
      {0720, "can be written by others than its owner"},
      {0702, "can be written by others than its owner"},
      {0600, "can't be executed"},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    rig_write ("hook", "#!/bin/sh\n", cases[i].mode);
    rig_expect_refusal (cases[i].why);
  }
  rig_params.hook = "hook";
  rig_expect_refusal ("must be absolute");
  rig_params.hook = rig_dir;
  rig_expect_refusal ("is not a regular file");
  rig_params.hook = "/nonexistent/hook";
  rig_expect_refusal ("hook /nonexistent/hook: No such file or directory");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (the_hook_has_the_facts_in_its_environment_and_nothing_else),
      TEST (the_manual_lists_the_variables_of_the_hook_and_no_other),
      TEST (the_example_hook_does_what_it_says),
      TEST (the_hook_has_no_descriptor_and_no_signal_setting_of_ours),
      TEST (what_the_hook_prints_does_not_go_to_our_stdout),
      TEST (hooks_run_one_after_the_other_in_the_order_of_the_changes),
      TEST (a_hook_that_fails_once_is_tried_again),
      TEST (a_hook_that_goes_on_failing_is_tried_three_times_and_told_in_the_log),
      TEST (a_newer_state_ends_the_tries_of_an_older_one),
      TEST (a_hook_that_hangs_is_killed_after_30_seconds_with_what_it_has_started),
      TEST (a_hook_that_ignores_signals_and_crashes_is_reported),
      TEST (a_hook_that_leaves_something_in_the_background_is_done_when_it_ends),
      TEST (the_end_kills_a_hook_that_hangs),
      TEST (a_hanging_hook_holds_up_neither_audit_log_nor_log),
      TEST (a_hanging_audit_log_does_not_hold_up_the_hook),
      TEST (a_hook_that_has_gone_is_a_failure_and_no_more),
      TEST (no_hook_leaves_a_zombie_or_a_descriptor),
      TEST (a_server_that_was_started_with_sigchld_ignored_learns_the_status_all_the_same),
      TEST (what_others_can_write_or_nobody_can_run_is_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
