/* What the client promises: a key or one clear reason, in time, whatever the agent does. */
#include "tests/unit/key-file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "kms/client.h"
#include "kms/message.h"
#include "kms/process.h"

#define HANG_MS 300 /* for calls that will not be answered */

/* ---- the real agent ---- */

static struct kms_client *
new_client (const char *path)
{
  struct kms_client *client = NULL;

  assert_int_equal (kms_client_new (path, &client, NULL), 0);
  return client;
}

static void
a_generated_key_is_unwrapped_checked_and_wrapped_again (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0}, again = {0}, third = {0};
  struct wrap wrap, rewrap;

  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &key, &wrap, &f->outcome), 0);
  assert_outcome (&f->outcome, KMS_OK, "");
  assert_int_equal (kms_client_unwrap (client, &wrap, UUID, false, TIMEOUT_MS, &again, &f->outcome),
                    0);
  assert_true (secret_equal (&key, &again));
  assert_int_equal (kms_client_check (client, &wrap, UUID, false, TIMEOUT_MS, &f->outcome), 0);
  assert_int_equal (kms_client_wrap (client, f->uri, UUID, &key, TIMEOUT_MS, &rewrap, &f->outcome),
                    0);
  assert_memory_equal (rewrap.wrapped.bytes, wrap.wrapped.bytes, wrap.wrapped.size);
  assert_int_equal (
      kms_client_unwrap (client, &rewrap, UUID, false, TIMEOUT_MS, &third, &f->outcome), 0);
  assert_true (secret_equal (&key, &third));
}

static void
the_owners_no_arrives_with_its_reason_and_the_agent_stays (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0};
  pid_t pid;

  unlink (f->path);
  assert_int_equal (
      kms_client_unwrap (client, &f->wrap, UUID, false, TIMEOUT_MS, &key, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_DENIED, "not_found");
  assert_null (key.bytes);
  pid = kms_client_pid (client);
  assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, TIMEOUT_MS, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_DENIED, "not_found");
  assert_int_equal (kms_client_pid (client), pid);
}

static void
a_report_arrives_whole_also_when_lines_of_it_fail (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  struct kms_inspection what = {.key = f->uri};
  struct kms_report report;

  assert_int_equal (kms_client_inspect (client, &what, TIMEOUT_MS, &report, &f->outcome), 0);
  assert_int_equal (report.count, 8);
  chmod (f->path, 0644);
  what.region = "eu-west-1";
  assert_int_equal (kms_client_inspect (client, &what, TIMEOUT_MS, &report, &f->outcome), 0);
  assert_int_equal (report.count, 6);
}

static void
a_name_that_is_no_key_is_a_mistake_of_the_caller (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  struct kms_report report;
  char longest[WRAP_KEY_MAX + 1] = "";
  struct error err = {0};

  assert_int_equal (kms_client_inspect (client, &(struct kms_inspection){.key = "kek"}, TIMEOUT_MS,
                                        &report, &f->outcome),
                    -1);
  assert_outcome (&f->outcome, KMS_CONFIG, "bad_key_name");
  assert_int_equal (kms_outcome_error (&f->outcome, &err), -1);
  assert_int_equal (err.class, ERROR_USAGE);
  for (size_t i = 0; i < WRAP_KEY_MAX; i++)
    longest[i] = 'a';
  assert_int_equal (kms_client_inspect (client, &(struct kms_inspection){.key = longest},
                                        TIMEOUT_MS, &report, &f->outcome),
                    -1);
  assert_outcome (&f->outcome, KMS_CONFIG, "bad_request");
}

static void
an_agent_killed_while_idle_is_started_again_by_the_next_call (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0};
  pid_t pid;

  assert_int_equal (kms_client_pid (client), 0);
  assert_int_equal (kms_client_ensure (client), 0);
  pid = kms_client_pid (client);
  usleep ((AGENT_BACKOFF_MIN_MS + 10) * 1000); /* so that it does not count as started just now */
  kill (pid, SIGKILL);
  waitid (P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT);
  assert_int_equal (
      kms_client_unwrap (client, &f->wrap, UUID, false, TIMEOUT_MS, &key, &f->outcome), 0);
  assert_int_not_equal (kms_client_pid (client), pid);
}

static void
a_file_key_is_checked_afresh_like_ever_and_never_expires (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0}, again = {0};
  int64_t expires_s = 77;
  struct wrap wrap;

  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &key, &wrap, &f->outcome), 0);
  assert_int_equal (kms_client_check (client, &wrap, UUID, true, TIMEOUT_MS, &f->outcome), 0);
  assert_int_equal (kms_client_unwrap (client, &wrap, UUID, true, TIMEOUT_MS, &again, &f->outcome),
                    0);
  assert_true (secret_equal (&key, &again));
  assert_int_equal (kms_client_expiry (client, &wrap, UUID, TIMEOUT_MS, &expires_s, &f->outcome),
                    0);
  assert_int_equal (expires_s, 0);
  snprintf (wrap.key, sizeof wrap.key, "kek");
  expires_s = 77;
  assert_int_equal (kms_client_expiry (client, &wrap, UUID, TIMEOUT_MS, &expires_s, &f->outcome),
                    -1);
  assert_outcome (&f->outcome, KMS_CONFIG, "bad_key_name");
  assert_int_equal (expires_s, 77);
}

/* ---- four threads ---- */

struct worker {
  struct kms_client *client;
  const struct wrap *wrap;
  const struct secret *key;
  int failures;
};

static void *
unwrap_and_check (void *arg)
{
  struct worker *worker = arg;

  for (int i = 0; i < 10; i++) {
    CLEANUP_SECRET struct secret key = {0};
    struct kms_outcome outcome;

    if (kms_client_unwrap (worker->client, worker->wrap, UUID, false, TIMEOUT_MS, &key, &outcome)
            < 0
        || !secret_equal (&key, worker->key)
        || kms_client_check (worker->client, worker->wrap, UUID, false, TIMEOUT_MS, &outcome) < 0
        || kms_client_pid (worker->client) == 0 || kms_client_fd (worker->client) < 0
        || kms_client_ensure (worker->client) < 0)
      worker->failures++;
  }
  return NULL;
}

static void
calls_from_four_threads_each_get_their_own_answer (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0}, other = {0};
  struct wrap wraps[2];
  struct worker workers[4];
  pthread_t threads[4];

  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &key, &wraps[0], &f->outcome), 0);
  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &other, &wraps[1], &f->outcome), 0);
  for (size_t i = 0; i < 4; i++) {
    workers[i] = (struct worker){client, &wraps[i % 2], i % 2 ? &other : &key, 0};
    assert_int_equal (pthread_create (&threads[i], NULL, unwrap_and_check, &workers[i]), 0);
  }
  for (size_t i = 0; i < 4; i++) {
    pthread_join (threads[i], NULL);
    assert_int_equal (workers[i].failures, 0);
  }
}

/* ---- agents that misbehave ---- */

static int
lowest_free_fd (void)
{
  CLEANUP_CLOSE int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  return fd;
}

static int
unwrap_by_double (struct fixture *f, const char *way)
{
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_SECRET struct secret key = {0};
  bool hangs = strstr (way, "hang") && strcmp (way, "hang_up") != 0;
  int r;

  setenv ("KEYFENCE_TEST_DOUBLE", way, 1);
  client = new_client (TEST_AGENT_DOUBLE);
  r = kms_client_unwrap (client, &f->wrap, UUID, false, hangs ? HANG_MS : TIMEOUT_MS, &key,
                         &f->outcome);
  assert_true (r == 0 ? key.size == VOLUME_KEY_SIZE : key.bytes == NULL);
  return r;
}

static void
whatever_an_agent_does_a_call_gives_one_reason_and_leaves_no_descriptor (void **state)
{
  static const struct {
    const char *way;
    enum kms_class class;
    const char *reason;
  } cases[] = {
      {"die_at_start", KMS_OUTAGE, "agent_died"},
      {"die", KMS_OUTAGE, "agent_died"},
      {"hang", KMS_OUTAGE, "agent_timeout"},
      {"hang_up", KMS_OUTAGE, "agent_died"},
      {"say_garbage", KMS_OUTAGE, "agent_reply"},
      {"say_too_much", KMS_OUTAGE, "agent_reply"},
      {"say_purple", KMS_OUTAGE, "agent_reply"},
      {"say_more", KMS_OUTAGE, "agent_reply"},
      {"say_ok", KMS_OUTAGE, "agent_died"},
      {"say_ok_and_hang", KMS_OUTAGE, "agent_timeout"},
      {"give_short_key", KMS_OUTAGE, "agent_reply"},
      {"give_long_key", KMS_OUTAGE, "agent_reply"},
      {"say_denied", KMS_DENIED, "disabled"},
  };
  struct fixture *f = *state;
  int fd = lowest_free_fd ();

  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    assert_int_equal (unwrap_by_double (f, cases[i].way), -1);
    if (f->outcome.class != cases[i].class || strcmp (f->outcome.reason, cases[i].reason) != 0)
      fail_msg ("%s: %s/%s: %s", cases[i].way, kms_class_name (f->outcome.class), f->outcome.reason,
                f->outcome.text);
  }
  assert_string_equal (f->outcome.request_id, "r1");
  assert_int_equal (f->outcome.duration_ms, 7);
  assert_int_equal (unwrap_by_double (f, "give_key"), 0);
  assert_int_equal (lowest_free_fd (), fd);
}

static void
an_ok_without_the_wrap_that_was_asked_for_is_no_answer (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT_DOUBLE);
  CLEANUP_SECRET struct secret key = {0};
  struct wrap wrap;

  setenv ("KEYFENCE_TEST_DOUBLE", "give_key", 1);
  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &key, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_reply");
  assert_null (key.bytes);
}

static void
a_program_that_is_not_there_is_named (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  const char *preload = getenv ("LD_PRELOAD");

  if (preload && strstr (preload, "vgpreload")) {
    print_message ("skipped: valgrind's vfork does not tell how the exec went\n");
    skip ();
  }
  client = new_client ("/nonexistent/agent");
  assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, TIMEOUT_MS, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_start");
  assert_non_null (strstr (f->outcome.text, "/nonexistent/agent"));
  assert_int_equal (kms_client_pid (client), 0);
  assert_int_equal (kms_client_fd (client), -1);
}

static void
an_agent_that_speaks_unasked_is_replaced (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  int starts = 0;
  pid_t pid = 0;

  setenv ("KEYFENCE_TEST_DOUBLE", "speak_up", 1);
  client = new_client (TEST_AGENT_DOUBLE);
  while (starts < 2) {
    /* The word may come after the answer, so that a call more may get one. */
    if (kms_client_check (client, &f->wrap, UUID, false, TIMEOUT_MS, &f->outcome) < 0
        && kms_client_pid (client) != pid && kms_client_pid (client) != 0) {
      pid = kms_client_pid (client);
      starts++;
    }
  }
}

static void
outcomes_become_errors_of_their_class (void **state)
{
  static const struct {
    enum kms_class from;
    enum error_class to;
  } cases[] = {{KMS_DENIED, ERROR_DENIED},           {KMS_OUTAGE, ERROR_UNAVAILABLE},
               {KMS_CREDENTIALS, ERROR_UNAVAILABLE}, {KMS_CLOCK, ERROR_UNAVAILABLE},
               {KMS_CORRUPT, ERROR_CORRUPT},         {KMS_CONFIG, ERROR_USAGE}};
  struct kms_outcome outcome = {0};

  (void)state;
  assert_int_equal (kms_outcome_error (&outcome, NULL), 0);
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    struct error err = {0};

    assert_int_equal (kms_outcome_set (&outcome, cases[i].from, "reason", "the text"), -1);
    assert_int_equal (kms_outcome_error (&outcome, &err), -1);
    assert_int_equal (err.class, cases[i].to);
    assert_string_equal (err.text, "the text");
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_generated_key_is_unwrapped_checked_and_wrapped_again),
      TEST (the_owners_no_arrives_with_its_reason_and_the_agent_stays),
      TEST (a_report_arrives_whole_also_when_lines_of_it_fail),
      TEST (a_name_that_is_no_key_is_a_mistake_of_the_caller),
      TEST (an_agent_killed_while_idle_is_started_again_by_the_next_call),
      TEST (a_file_key_is_checked_afresh_like_ever_and_never_expires),
      TEST (calls_from_four_threads_each_get_their_own_answer),
      TEST (whatever_an_agent_does_a_call_gives_one_reason_and_leaves_no_descriptor),
      TEST (an_ok_without_the_wrap_that_was_asked_for_is_no_answer),
      TEST (a_program_that_is_not_there_is_named),
      TEST (an_agent_that_speaks_unasked_is_replaced),
      cmocka_unit_test (outcomes_become_errors_of_their_class),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
