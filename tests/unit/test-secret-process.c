/* What crypto/secret.h promises about the process: its limits, its debuggers, its dumps. */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "tests/unit/secret-test.h"

/* Linux's own proof of what memfd_secret is for; the debug kind is there to be read. */
static void
only_the_debug_kind_can_be_read_through_proc_mem (void **state)
{
  (void)state;
  FOR_BOTH_KINDS
  {
    CLEANUP_SECRET struct secret s = {0};
    CLEANUP_CLOSE int mem = open ("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    uint8_t byte = 0;
    ssize_t n;

    assert_true (mem >= 0);
    assert_int_equal (secret_init (&s, 64, NULL), 0);
    s.bytes[0] = 99;
    n = pread (mem, &byte, 1, (off_t)(uintptr_t)s.bytes);
    if (strcmp (secret_kind (), "memfd_secret") == 0)
      assert_int_equal (n, -1);
    else {
      assert_int_equal (n, 1);
      assert_int_equal (byte, 99);
    }
  }
}

static void
the_debug_variable_turns_memfd_secret_off (void **state)
{
  (void)state;
  choose_kind (1);
  assert_string_equal (secret_kind (), "mmap");
}

static int
use_secrets_without_locked_memory (void *arg)
{
  struct secret s = {0};

  (void)arg;
  EXPECT (forbid_locking () == 0);
  EXPECT (strcmp (secret_kind (), "mmap") == 0);
  EXPECT (secret_random (&s, 64, NULL) == 0);
  EXPECT (!secret_all_locked ());
  secret_clear (&s);
  EXPECT (!secret_all_locked ());
  return 0;
}

static void
without_a_right_to_lock_memory_secrets_work_and_say_so (void **state)
{
  (void)state;
  FOR_BOTH_KINDS assert_child_succeeds (use_secrets_without_locked_memory, NULL);
}

static int
report_unlocked (void *arg)
{
  (void)arg;
  secret_report_unlocked ();
  EXPECT (!secret_all_locked ());
  return 0;
}

static void
memory_that_a_library_could_not_lock_is_reported (void **state)
{
  (void)state;
  assert_child_succeeds (report_unlocked, NULL);
}

static int
harden (void *arg)
{
  struct rlimit core = {1, 1};

  (void)arg;
  secret_harden_process ();
  EXPECT (prctl (PR_GET_DUMPABLE) == 0);
  EXPECT (getrlimit (RLIMIT_CORE, &core) == 0);
  EXPECT (core.rlim_cur == 0 && core.rlim_max == 0);
  return 0;
}

static void
a_hardened_process_is_not_dumpable (void **state)
{
  (void)state;
  assert_child_succeeds (harden, NULL);
}

/* `arg` is a pipe. */
static int
harden_for_debugging (void *arg)
{
  int *fds = arg;

  dup2 (fds[1], STDERR_FILENO);
  prctl (PR_SET_DUMPABLE, 1);
  secret_harden_process ();
  return prctl (PR_GET_DUMPABLE) == 1 ? 0 : 1;
}

static void
the_debug_variable_leaves_a_process_dumpable_and_says_so (void **state)
{
  char text[512] = "";
  int fds[2];

  (void)state;
  choose_kind (1);
  assert_int_equal (pipe (fds), 0);
  assert_child_succeeds (harden_for_debugging, fds);
  assert_true (read (fds[0], text, sizeof text - 1) > 0);
  assert_non_null (strstr (text, "KEYFENCE_DEBUG_DUMPABLE=1"));
  close (fds[0]);
  close (fds[1]);
}

#define TEST(name) cmocka_unit_test_setup (name, default_kind)

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (only_the_debug_kind_can_be_read_through_proc_mem),
      TEST (the_debug_variable_turns_memfd_secret_off),
      TEST (without_a_right_to_lock_memory_secrets_work_and_say_so),
      TEST (memory_that_a_library_could_not_lock_is_reported),
      TEST (a_hardened_process_is_not_dumpable),
      TEST (the_debug_variable_leaves_a_process_dumpable_and_says_so),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
