/* What the agent promises to who speaks to it by hand, and when a key service hangs. */
#include "tests/unit/key-file.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kms/client.h"
#include "kms/message.h"

static struct kms_client *
new_client (const char *path)
{
  struct kms_client *client = NULL;

  assert_int_equal (kms_client_new (path, &client, NULL), 0);
  return client;
}

/* ---- an agent driven by hand ---- */

struct agent {
  pid_t pid;
  int fd;
};

static struct agent
start_agent (const char *preload)
{
  struct agent agent;
  int fds[2];

  assert_int_equal (packet_pair (fds), 0);
  agent = (struct agent){fork (), fds[0]};
  if (agent.pid == 0) {
    if (preload)
      setenv ("LD_PRELOAD", preload, 1);
    if (fds[1] == MESSAGE_AGENT_FD ? fcntl (fds[1], F_SETFD, 0) : dup2 (fds[1], MESSAGE_AGENT_FD))
      execl (TEST_AGENT, "keyfence-agent", NULL);
    _exit (9);
  }
  close (fds[1]);
  return agent;
}

/* Closes the socket; the agent's exit status. */
static int
end_agent (struct agent *agent)
{
  int status;

  close (agent->fd);
  assert_int_equal (waitpid (agent->pid, &status, 0), agent->pid);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

/* Sends a call; gives our end of its reply socket. */
static int
send_call (const struct agent *agent, const char *text, size_t size)
{
  int fds[2];

  assert_int_equal (packet_pair (fds), 0);
  assert_int_equal (packet_send (agent->fd, text, size, fds[1], clock_ms () + TIMEOUT_MS), 0);
  close (fds[1]);
  return fds[0];
}

static void
assert_reply (int fd, enum kms_class class, const char *reason)
{
  static char packet[MESSAGE_MAX];
  ssize_t n = packet_recv (fd, packet, sizeof packet, NULL, clock_ms () + TIMEOUT_MS);
  struct kms_reply reply;

  assert_true (n > 0);
  assert_int_equal (message_parse_reply (KMS_OPERATION_CHECK, packet, (size_t)n, &reply), 0);
  assert_outcome (&reply.outcome, class, reason);
}

static void
without_its_socket_the_agent_says_who_starts_it_and_what_to_do (void **state)
{
  struct fixture *f = *state;
  CLEANUP_FREE char *text = NULL;
  char command[512], path[80];

  snprintf (path, sizeof path, "%s/out", f->dir);
  snprintf (command, sizeof command, "'%s' 2> %s 3<&-", TEST_AGENT, path);
  assert_int_equal (WEXITSTATUS (system (command)), 2);
  assert_int_equal (read_file (path, 1000, &text, NULL), 0);
  assert_non_null (strstr (text, "keyfence check KEY"));
  snprintf (command, sizeof command, "'%s' 2> %s 3< /dev/null", TEST_AGENT, path);
  assert_int_equal (WEXITSTATUS (system (command)), 2);
  snprintf (command, sizeof command, "'%s' --help | grep -q 'not by people'", TEST_AGENT);
  assert_int_equal (WEXITSTATUS (system (command)), 0);
  snprintf (command, sizeof command, "'%s' --version | grep -q '^keyfence-agent [0-9]'",
            TEST_AGENT);
  assert_int_equal (WEXITSTATUS (system (command)), 0);
  snprintf (command, sizeof command, "'%s' --sudo 2> /dev/null", TEST_AGENT);
  assert_int_equal (WEXITSTATUS (system (command)), 2);
}

static void
the_agent_answers_nonsense_with_an_error_and_goes_when_its_socket_closes (void **state)
{
  static char long_text[MESSAGE_MAX + 1];
  struct agent agent = start_agent (NULL);
  int fd;

  (void)state;
  fd = send_call (&agent, "}{", 2);
  assert_reply (fd, KMS_CONFIG, "bad_request");
  close (fd);
  fd = send_call (&agent, long_text, sizeof long_text);
  assert_int_equal (packet_recv (fd, long_text, 1, NULL, clock_ms () + TIMEOUT_MS), 0);
  close (fd);
  assert_int_equal (packet_send (agent.fd, "}{", 2, -1, clock_ms () + TIMEOUT_MS), 0);
  fd = send_call (&agent, "{}", 2);
  assert_reply (fd, KMS_CONFIG, "bad_request");
  close (fd);
  assert_int_equal (end_agent (&agent), 0);
}

static void
a_key_of_the_wrong_size_is_not_wrapped (void **state)
{
  struct fixture *f = *state;
  struct agent agent = start_agent (NULL);
  struct kms_call call = {
      .operation = KMS_OPERATION_WRAP, .timeout_ms = TIMEOUT_MS, .volume = UUID};
  CLEANUP_FREE char *text = NULL;

  snprintf (call.key, sizeof call.key, "%s", f->uri);
  text = message_print_call (&call);
  for (size_t size = 63; size <= 65; size += 2) {
    static const char bytes[65];
    int fd = send_call (&agent, text, strlen (text));

    assert_int_equal (packet_send (fd, bytes, size, -1, clock_ms () + TIMEOUT_MS), 0);
    assert_reply (fd, KMS_CONFIG, "bad_request");
    close (fd);
  }
  assert_int_equal (end_agent (&agent), 0);
}

/* ---- a key service that hangs ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_PRELOAD false
#else
#define CAN_PRELOAD true
#endif

/* The read of each key hangs from here to unblock. */
static void
block (const struct fixture *f)
{
  char path[80];
  int fd;

  if (!CAN_PRELOAD) {
    print_message ("skipped: nothing can be loaded before a sanitizer\n");
    skip ();
  }
  snprintf (path, sizeof path, "%s/block", f->dir);
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true (fd >= 0);
  close (fd);
  setenv ("KEYFENCE_TEST_BLOCK", path, 1);
}

/* An agent whose child hangs in an unwrap; our end of that call's reply socket. */
static int
begin_unwrap (const struct fixture *f, uint32_t timeout_ms, struct agent *ret_agent)
{
  struct kms_call call = {
      .operation = KMS_OPERATION_UNWRAP, .timeout_ms = timeout_ms, .volume = UUID};
  CLEANUP_FREE char *text = NULL;
  int fd;

  block (f);
  call.wrap = f->wrap;
  text = message_print_call (&call);
  *ret_agent = start_agent (TEST_BLOCK_PREAD);
  fd = send_call (ret_agent, text, strlen (text));
  return fd;
}

/* Nothing comes on the reply socket any more: its last holder has gone. */
static void
assert_hung_up (int fd)
{
  char byte;

  assert_int_equal (packet_recv (fd, &byte, 1, NULL, clock_ms () + TIMEOUT_MS), 0);
  close (fd);
  unsetenv ("KEYFENCE_TEST_BLOCK");
}

static void
a_child_that_hangs_ends_itself_when_its_time_is_over (void **state)
{
  struct agent agent;
  int fd = begin_unwrap (*state, 100, &agent);

  assert_hung_up (fd);
  assert_int_equal (kill (agent.pid, 0), 0);
  assert_int_equal (end_agent (&agent), 0);
}

static void
the_agent_answers_while_a_child_unwraps (void **state)
{
  struct agent agent;
  int fd = begin_unwrap (*state, 2 * TIMEOUT_MS, &agent), other = send_call (&agent, "{}", 2);

  assert_reply (other, KMS_CONFIG, "bad_request");
  close (other);
  assert_int_equal (end_agent (&agent), 0);
  assert_hung_up (fd);
}

static void
a_child_dies_with_its_agent_and_never_had_its_socket (void **state)
{
  struct agent agent;
  int fd = begin_unwrap (*state, 2 * TIMEOUT_MS, &agent);
  uint64_t deadline_ms = clock_ms () + TIMEOUT_MS;
  char path[80], target[128] = "", byte;
  CLEANUP_FREE char *children = NULL;

  snprintf (path, sizeof path, "/proc/%d/task/%d/children", (int)agent.pid, (int)agent.pid);
  while (!children || children[0] == '\0') {
    free (children);
    children = NULL;
    usleep (1000);
    assert_int_equal (read_file (path, 4096, &children, NULL), 0);
  }
  /* Once the child is at its read, descriptor 3 is free again, and the key file has it. */
  snprintf (path, sizeof path, "/proc/%d/fd/%d", atoi (children), MESSAGE_AGENT_FD);
  while (strcmp (target, ((struct fixture *)*state)->path) != 0) {
    assert_true (clock_ms () < deadline_ms);
    memset (target, 0, sizeof target);
    (void)!readlink (path, target, sizeof target - 1);
    assert_int_equal (packet_recv (fd, &byte, 1, NULL, clock_ms () + 10), -ETIMEDOUT);
  }
  kill (agent.pid, SIGKILL);
  assert_hung_up (fd);
  assert_int_equal (end_agent (&agent), -1);
}

static void
a_check_or_an_unwrap_that_hangs_is_an_outage_and_leaves_no_process (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_SECRET struct secret key = {0};

  block (f);
  client = new_client (TEST_AGENT);
  prctl (PR_SET_CHILD_SUBREAPER, 1); /* grandchildren that are left become ours */
  setenv ("LD_PRELOAD", TEST_BLOCK_PREAD, 1);
  assert_int_equal (kms_client_check (client, &f->wrap, UUID, false, 300, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_timeout");
  while (kms_client_unwrap (client, &f->wrap, UUID, false, 300, &key, &f->outcome) < 0
         && strcmp (f->outcome.reason, "agent_backoff") == 0)
    usleep (10000);
  assert_outcome (&f->outcome, KMS_OUTAGE, "agent_timeout");
  unsetenv ("LD_PRELOAD");
  unsetenv ("KEYFENCE_TEST_BLOCK");
  /* The child goes with the agent: all that is left is to reap it. */
  while (waitpid (-1, NULL, 0) > 0 || errno == EINTR)
    ;
  assert_int_equal (errno, ECHILD);
  prctl (PR_SET_CHILD_SUBREAPER, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (without_its_socket_the_agent_says_who_starts_it_and_what_to_do),
      TEST (the_agent_answers_nonsense_with_an_error_and_goes_when_its_socket_closes),
      TEST (a_key_of_the_wrong_size_is_not_wrapped),
      TEST (a_child_that_hangs_ends_itself_when_its_time_is_over),
      TEST (the_agent_answers_while_a_child_unwraps),
      TEST (a_child_dies_with_its_agent_and_never_had_its_socket),
      TEST (a_check_or_an_unwrap_that_hangs_is_an_outage_and_leaves_no_process),
  };

  /* What is done to the children is seen in /proc, which is root's for who is not dumpable. */
  setenv ("KEYFENCE_DEBUG_DUMPABLE", "1", 1);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
