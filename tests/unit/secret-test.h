/* What tests of secret memory share: both kinds of it, children, and the loss of a right. */
#ifndef TESTS_UNIT_SECRET_TEST_H
#define TESTS_UNIT_SECRET_TEST_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Where the kernel has no memfd_secret(2), both turns are the same. */
#define FOR_BOTH_KINDS for (int kind_ = 0; kind_ < 2 && choose_kind (kind_); kind_++)

static inline bool
choose_kind (int kind)
{
  if (kind == 0)
    unsetenv ("KEYFENCE_DEBUG_DUMPABLE");
  else
    setenv ("KEYFENCE_DEBUG_DUMPABLE", "1", 1);
  return true;
}

static inline int
default_kind (void **state)
{
  (void)state;
  unsetenv ("KEYFENCE_DEBUG_DUMPABLE");
  return 0;
}

/* The wait status of a child that runs fn (arg) and exits with its result. */
static inline int
run_child (int (*fn) (void *arg), void *arg)
{
  pid_t pid = fork ();
  int status;

  assert_true (pid >= 0);
  if (pid == 0) {
    const struct rlimit none = {0, 0};

    setrlimit (RLIMIT_CORE, &none);
    signal (SIGSEGV, SIG_DFL);
    signal (SIGBUS, SIG_DFL);
    _exit (fn (arg));
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  return status;
}

static inline void
assert_child_succeeds (int (*fn) (void *arg), void *arg)
{
  int status = run_child (fn, arg);

  assert_true (WIFEXITED (status));
  assert_int_equal (WEXITSTATUS (status), 0);
}

/* For children, where cmocka's own can't be used. */
#define EXPECT(condition)                                              \
  do                                                                   \
    if (!(condition)) {                                                \
      fprintf (stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      return 1;                                                        \
    }                                                                  \
  while (0)

/* Leaves the process nothing to lock.  Root may lock without limit while it has CAP_IPC_LOCK. */
static inline int
forbid_locking (void)
{
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  const struct rlimit none = {0, 0};

  if (syscall (SYS_capget, &header, data) < 0)
    return -1;
  data[0].effective &= ~(1U << CAP_IPC_LOCK);
  if (syscall (SYS_capset, &header, data) < 0)
    return -1;
  return setrlimit (RLIMIT_MEMLOCK, &none);
}

#endif
