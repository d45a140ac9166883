/* What the agent promises as a process: no key, descriptor or child is left in it, and it never
 * outlives who started it.
 */
#include "tests/unit/key-file.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kms/client.h"

static struct kms_client *
new_client (const char *path)
{
  struct kms_client *client = NULL;

  assert_int_equal (kms_client_new (path, &client, NULL), 0);
  return client;
}

static size_t
count_entries (const char *folder)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir (folder);
  size_t count = 0;

  assert_non_null (dir);
  for (struct dirent *entry = readdir (dir); entry; entry = readdir (dir))
    count += entry->d_name[0] != '.';
  return count;
}

static size_t
count_fds (pid_t pid)
{
  char path[64];

  snprintf (path, sizeof path, "/proc/%d/fd", (int)pid);
  return count_entries (path);
}

/* The agent may still be closing the socket of its last answer. */
static void
assert_has_only_its_own_fds (pid_t pid)
{
  uint64_t deadline_ms = clock_ms () + TIMEOUT_MS;

  while (count_fds (pid) != 4) {
    assert_true (clock_ms () < deadline_ms);
    usleep (10000);
  }
}

/* ---- what is in the agent, and what is not ---- */

/* The value behind "NAME:" in /proc/PID/status, read in `base`. */
static uint64_t
status_value (pid_t pid, const char *name, int base)
{
  CLEANUP_FREE char *text = NULL;
  char path[64], *at;

  snprintf (path, sizeof path, "/proc/%d/status", (int)pid);
  assert_int_equal (read_file (path, 65536, &text, NULL), 0);
  at = strstr (text, name);
  assert_non_null (at);
  return strtoull (at + strlen (name) + 1, NULL, base);
}

static void
assert_link (pid_t pid, int fd, const char *expected)
{
  char path[64], target[128] = "";

  snprintf (path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
  assert_true (readlink (path, target, sizeof target - 1) > 0);
  assert_int_equal (strncmp (target, expected, strlen (expected)), 0);
}

static void
the_agent_inherits_its_socket_and_stderr_and_nothing_else (void **state)
{
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  int extra = open ("/dev/null", O_RDONLY), high = fcntl (extra, F_DUPFD, 200);
  struct kms_outcome outcome;
  struct kms_report report;
  sigset_t set, old;
  pid_t pid;

  (void)state;
  sigfillset (&set);
  pthread_sigmask (SIG_BLOCK, &set, &old);
  signal (SIGTERM, SIG_IGN);
  assert_int_equal (kms_client_ensure (client), 0);
  signal (SIGTERM, SIG_DFL);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  close (extra);
  close (high);
  /* An answer says that it is past its start. */
  assert_int_equal (kms_client_inspect (client, &(struct kms_inspection){.key = "file:///x"},
                                        TIMEOUT_MS, &report, &outcome),
                    0);
  pid = kms_client_pid (client);
  assert_has_only_its_own_fds (pid);
  assert_link (pid, 0, "/dev/null");
  assert_link (pid, 1, "/dev/null");
  assert_link (pid, 3, "socket:");
  assert_int_equal (status_value (pid, "SigBlk", 16), 0);
  /* The C library ignores its own two, 32 and 33, in what it spawns. */
  assert_int_equal (status_value (pid, "SigIgn", 16) & ~(UINT64_C (3) << 31), UINT64_C (1)
                                                                                  << (SIGCHLD - 1));
  assert_int_equal (getpgid (pid), pid);
}

/* Whether any 16-byte quarter of the key is in the readable memory of the process. */
static bool
quarter_in (const uint8_t *memory, size_t size, const struct secret *key)
{
  for (size_t i = 0; i < key->size; i += 16)
    if (memmem (memory, size, key->bytes + i, 16))
      return true;
  return false;
}

/* Searches the memory of another process.  Huge mappings are a sanitizer's own. */
static bool
memory_holds (pid_t pid, const struct secret *key)
{
  char path[64], line[512];
  CLEANUP_FCLOSE FILE *maps = NULL;
  CLEANUP_CLOSE int fd = -1;
  bool found = false;

  snprintf (path, sizeof path, "/proc/%d/maps", (int)pid);
  maps = fopen (path, "re");
  snprintf (path, sizeof path, "/proc/%d/mem", (int)pid);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  assert_non_null (maps);
  assert_true (fd >= 0);
  while (fgets (line, sizeof line, maps)) {
    unsigned long start, end;
    CLEANUP_FREE uint8_t *memory = NULL;

    if (sscanf (line, "%lx-%lx r", &start, &end) != 2 || end - start > (256UL << 20))
      continue;
    memory = malloc (end - start);
    assert_non_null (memory);
    if (pread_full (fd, memory, end - start, start) == 0)
      found = found || quarter_in (memory, end - start, key);
  }
  return found;
}

static void
no_volume_key_is_in_the_agent_after_it_has_made_wrapped_and_unwrapped_it (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0}, again = {0};
  struct wrap wrap;

  assert_int_equal (
      kms_client_generate (client, f->uri, UUID, TIMEOUT_MS, &key, &wrap, &f->outcome), 0);
  assert_int_equal (kms_client_unwrap (client, &wrap, UUID, false, TIMEOUT_MS, &again, &f->outcome),
                    0);
  assert_int_equal (kms_client_wrap (client, f->uri, UUID, &key, TIMEOUT_MS, &wrap, &f->outcome),
                    0);
  assert_int_equal (kms_client_check (client, &wrap, UUID, false, TIMEOUT_MS, &f->outcome), 0);
  assert_false (memory_holds (kms_client_pid (client), &key));
}

/* The control: what keeps a key is found, and the real agent's memory can be read. */
static void
a_key_that_an_agent_keeps_is_found_by_the_same_search (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL, *real = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0}, text = {0};

  setenv ("KEYFENCE_TEST_DOUBLE", "give_key", 1);
  client = new_client (TEST_AGENT_DOUBLE);
  assert_int_equal (
      kms_client_unwrap (client, &f->wrap, UUID, false, TIMEOUT_MS, &key, &f->outcome), 0);
  assert_true (memory_holds (kms_client_pid (client), &key));
  secret_clear (&key);
  assert_int_equal (kms_client_unwrap (real, &f->wrap, UUID, false, TIMEOUT_MS, &key, &f->outcome),
                    0);
  assert_int_equal (secret_init (&text, 16, NULL), 0);
  memcpy (text.bytes, UUID, 16); /* of the call that it has received */
  assert_true (memory_holds (kms_client_pid (real), &text));
}

/* ---- nothing is left behind ---- */

/* The last child may still be on its way out; a zombie would stay. */
static void
assert_childless (pid_t pid)
{
  uint64_t deadline_ms = clock_ms () + TIMEOUT_MS;
  char path[64];

  snprintf (path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  for (;;) {
    CLEANUP_FREE char *text = NULL;

    assert_int_equal (read_file (path, 4096, &text, NULL), 0);
    if (text[0] == '\0')
      return;
    assert_true (clock_ms () < deadline_ms);
    usleep (10000);
  }
}

static void
fifty_calls_and_fifty_agents_leave_no_descriptor_and_no_zombie (void **state)
{
  struct fixture *f = *state;
  size_t before = count_fds (getpid ());
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  pid_t pid;

  for (int i = 0; i < 50; i++) {
    CLEANUP_KMS_CLIENT struct kms_client *other = new_client (TEST_AGENT);
    CLEANUP_SECRET struct secret key = {0}, second = {0};

    assert_int_equal (
        kms_client_unwrap (other, &f->wrap, UUID, false, TIMEOUT_MS, &key, &f->outcome), 0);
    assert_int_equal (
        kms_client_unwrap (client, &f->wrap, UUID, false, TIMEOUT_MS, &second, &f->outcome), 0);
  }
  pid = kms_client_pid (client);
  assert_has_only_its_own_fds (pid);
  assert_int_equal (count_fds (getpid ()), before + 1);
  assert_int_equal (waitpid (-1, NULL, WNOHANG), 0); /* the one that runs, and no other */
  assert_childless (pid);
}

/* An answer says that the agent has asked for its parent's death signal. */
static void *
ask_in_thread (void *client)
{
  struct kms_outcome outcome;
  struct kms_report report;

  return kms_client_inspect (client, &(struct kms_inspection){.key = "file:///x"}, TIMEOUT_MS,
                             &report, &outcome)
                 == 0
             ? client
             : NULL;
}

static void
the_agent_outlives_the_thread_that_started_it (void **state)
{
  struct fixture *f = *state;
  CLEANUP_KMS_CLIENT struct kms_client *client = new_client (TEST_AGENT);
  CLEANUP_SECRET struct secret key = {0};
  pthread_t thread;
  void *started;
  pid_t pid;

  assert_int_equal (pthread_create (&thread, NULL, ask_in_thread, client), 0);
  pthread_join (thread, &started);
  assert_non_null (started);
  pid = kms_client_pid (client);
  usleep (100 * 1000); /* time for a wrong death; the right outcome does not depend on it */
  assert_int_equal (
      kms_client_unwrap (client, &f->wrap, UUID, false, TIMEOUT_MS, &key, &f->outcome), 0);
  assert_int_equal (kms_client_pid (client), pid);
}

struct orphans {
  pid_t agent, keeper;
};

/* Starts an agent, leaves a copy of its socket with a process that stays, and ends. */
static _Noreturn void
leave_orphans (int report_fd, int stay_fd)
{
  struct orphans orphans = {0};
  struct kms_client *client = NULL;
  struct kms_outcome outcome;
  struct kms_report report;

  if (kms_client_new (TEST_AGENT, &client, NULL) < 0
      || kms_client_inspect (client, &(struct kms_inspection){.key = "file:///x"}, TIMEOUT_MS,
                             &report, &outcome)
             < 0)
    _exit (1);
  orphans.agent = kms_client_pid (client);
  orphans.keeper = fork ();
  if (orphans.keeper == 0) {
    char byte;

    _exit (read (stay_fd, &byte, 1) != 0);
  }
  _exit (write_full (report_fd, &orphans, sizeof orphans) < 0);
}

static void
the_agent_goes_with_its_parent_also_when_its_socket_stays_open (void **state)
{
  struct orphans orphans;
  int report[2], stay[2], status;
  pid_t parent;

  (void)state;
  prctl (PR_SET_CHILD_SUBREAPER, 1);
  assert_int_equal (pipe (report), 0);
  assert_int_equal (pipe (stay), 0);
  parent = fork ();
  if (parent == 0) {
    close (stay[1]);
    leave_orphans (report[1], stay[0]);
  }
  assert_int_equal (waitpid (parent, &status, 0), parent);
  assert_int_equal (read (report[0], &orphans, sizeof orphans), sizeof orphans);
  assert_int_equal (waitpid (orphans.agent, &status, 0), orphans.agent); /* or hangs here */
  assert_int_equal (waitpid (orphans.keeper, &status, WNOHANG), 0);
  close (stay[1]);
  assert_int_equal (waitpid (orphans.keeper, &status, 0), orphans.keeper);
  close (report[0]);
  close (report[1]);
  close (stay[0]);
  prctl (PR_SET_CHILD_SUBREAPER, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (the_agent_inherits_its_socket_and_stderr_and_nothing_else),
      TEST (no_volume_key_is_in_the_agent_after_it_has_made_wrapped_and_unwrapped_it),
      TEST (a_key_that_an_agent_keeps_is_found_by_the_same_search),
      TEST (fifty_calls_and_fifty_agents_leave_no_descriptor_and_no_zombie),
      TEST (the_agent_outlives_the_thread_that_started_it),
      TEST (the_agent_goes_with_its_parent_also_when_its_socket_stays_open),
  };

  /* The agents must be readable for the search, here and for who is not root. */
  setenv ("KEYFENCE_DEBUG_DUMPABLE", "1", 1);
  secret_harden_process ();
  return cmocka_run_group_tests (tests, NULL, NULL);
}
