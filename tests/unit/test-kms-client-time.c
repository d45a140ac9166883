/* What the client promises about time: how long a call may take, and how soon agents are replaced.
 */
#include "tests/unit/key-file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "kms/client.h"
#include "kms/process.h"

#define HANG_MS 300 /* for calls that will not be answered */

/* What a call may take besides its time-out: 250 ms by the contract, and what a busy machine takes.
 * A bound, not a speed.
 */
#define SLACK_MS 1000

static struct kms_client *
new_client (const char *path)
{
  struct kms_client *client = NULL;

  assert_int_equal (kms_client_new (path, &client, NULL), 0);
  return client;
}

/* No zombie of it is left, at the latest when calls have come after. */
static void
assert_reaped (struct kms_client *client, pid_t pid)
{
  uint64_t deadline_ms = clock_ms () + TIMEOUT_MS;

  while (kill (pid, 0) == 0) {
    assert_true (clock_ms () < deadline_ms);
    (void)!kms_client_ensure (client);
    usleep (1000);
  }
}

static void
a_stopped_agent_is_an_outage_at_the_time_out_and_is_replaced (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  uint64_t start_ms;
  pid_t pid;

  assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, TIMEOUT_MS, &f->outcome), -1);
  pid = kms_client_pid (client);
  kill (pid, SIGSTOP);
  start_ms = clock_ms ();
  assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, HANG_MS, &f->outcome), -1);
  assert_true (clock_ms () - start_ms < HANG_MS + SLACK_MS);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_timeout");
  assert_true (f->outcome.duration_ms >= HANG_MS);
  assert_int_equal (kms_client_pid (client), 0);
  assert_reaped (client, pid);
  assert_int_equal (kms_client_ensure (client), 0);
}

struct one_call {
  struct kms_client *client;
  const struct wrap *wrap;
  uint32_t timeout_ms;
  struct kms_outcome outcome;
};

static void *
check_in_thread (void *arg)
{
  struct one_call *one = arg;

  return kms_client_check (one->client, one->wrap, UUID, false, one->timeout_ms, &one->outcome) < 0
             ? one
             : NULL;
}

/* Starts a call to an agent that hangs, in a thread; returns the agent's pid. */
static pid_t
begin_call (struct one_call *one, pthread_t *ret_thread)
{
  pid_t pid;

  assert_int_equal (pthread_create (ret_thread, NULL, check_in_thread, one), 0);
  while ((pid = kms_client_pid (one->client)) == 0)
    usleep (1000);
  return pid;
}

static void
an_agent_killed_during_a_call_ends_the_call_at_once (void **state)
{
  struct fixture *f = *state;
  struct one_call one = {new_client (TEST_AGENT_DOUBLE), &f->wrap, TIMEOUT_MS, {0}};
  uint64_t start_ms = clock_ms ();
  pthread_t thread;
  pid_t pid;

  setenv ("KEYFENCE_TEST_DOUBLE", "hang", 1);
  pid = begin_call (&one, &thread);
  usleep (50 * 1000); /* most likely it is waiting for its answer by now; both is well */
  kill (pid, SIGKILL);
  pthread_join (thread, NULL);
  assert_true (clock_ms () - start_ms < TIMEOUT_MS);
  assert_outcome (&one.outcome, KMS_OUTAGE, "agent_died");
  kms_client_free (one.client);
}

static void
a_call_waits_for_other_threads_no_longer_than_its_time_out (void **state)
{
  struct fixture *f = *state;
  struct one_call one = {new_client (TEST_AGENT_DOUBLE), &f->wrap, TIMEOUT_MS, {0}};
  uint64_t start_ms;
  pthread_t thread;
  pid_t pid;

  setenv ("KEYFENCE_TEST_DOUBLE", "hang", 1);
  pid = begin_call (&one, &thread);
  start_ms = clock_ms ();
  assert_int_equal (kms_client_check (one.client, &f->wrap, UUID, false, HANG_MS, &f->outcome), -1);
  assert_true (clock_ms () - start_ms < HANG_MS + SLACK_MS);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_busy");
  assert_int_equal (kms_client_pid (one.client), pid); /* waiting is no reason to kill it */
  kill (pid, SIGKILL);
  pthread_join (thread, NULL);
  kms_client_free (one.client);
}

static void
waiting_and_asking_share_one_time_out (void **state)
{
  struct fixture *f = *state;
  struct one_call one = {new_client (TEST_AGENT_DOUBLE), &f->wrap, 3 * SLACK_MS, {0}};
  uint32_t timeout_ms = one.timeout_ms + 2 * SLACK_MS;
  uint64_t start_ms;
  pthread_t thread;

  setenv ("KEYFENCE_TEST_DOUBLE", "hang", 1);
  begin_call (&one, &thread);
  start_ms = clock_ms ();
  assert_int_equal (kms_client_check (one.client, &f->wrap, UUID, false, timeout_ms, &f->outcome),
                    -1);
  /* It has waited for the first, and then hung with the second agent for what was left. */
  assert_true (clock_ms () - start_ms < timeout_ms + SLACK_MS);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_timeout");
  pthread_join (thread, NULL);
  kms_client_free (one.client);
}

/* ---- backoff ---- */

static size_t
count_starts (const char *path)
{
  struct stat st;

  return stat (path, &st) == 0 ? (size_t)st.st_size : 0;
}

static void
an_agent_that_dies_young_is_started_at_a_slowing_pace (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  uint64_t first_ms = clock_ms ();
  int backoffs = 0;
  char path[80];

  snprintf (path, sizeof path, "%s/starts", f->dir);
  setenv ("KEYFENCE_TEST_DOUBLE", "die", 1);
  setenv ("KEYFENCE_TEST_STARTS", path, 1);
  client = new_client (TEST_AGENT_DOUBLE);
  while (count_starts (path) < 4) {
    assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, TIMEOUT_MS, &f->outcome),
                      -1);
    if (strcmp (f->outcome.reason, "agent_backoff") == 0)
      backoffs++;
    else
      assert_outcome (&f->outcome, KMS_OUTAGE, "agent_died");
    usleep (5000);
  }
  unsetenv ("KEYFENCE_TEST_STARTS");
  /* 100 + 200 + 400 ms between four starts.  The first comes after first_ms. */
  assert_true (clock_ms () - first_ms >= 700);
  assert_true (backoffs > 0);
}

static void
an_agent_that_does_not_leave_is_killed (void **state)
{
  struct fixture *f = *state;
  struct kms_client *client = NULL;
  pid_t pid;

  setenv ("KEYFENCE_TEST_DOUBLE", "stay", 1);
  client = new_client (TEST_AGENT_DOUBLE);
  assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, TIMEOUT_MS, &f->outcome), -1);
  pid = kms_client_pid (client);
  kms_client_free (client);
  assert_int_equal (kill (pid, 0), -1);
  assert_int_equal (errno, ESRCH);
  kms_client_free (NULL);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_stopped_agent_is_an_outage_at_the_time_out_and_is_replaced),
      TEST (an_agent_killed_during_a_call_ends_the_call_at_once),
      TEST (a_call_waits_for_other_threads_no_longer_than_its_time_out),
      TEST (waiting_and_asking_share_one_time_out),
      TEST (an_agent_that_dies_young_is_started_at_a_slowing_pace),
      TEST (an_agent_that_does_not_leave_is_killed),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
