/* without-uring.c owns a process that may not use io_uring: "without-uring ERRNO COMMAND...", as a
 * container's seccomp filter forbids it (EPERM), or as a kernel without it answers (ENOSYS).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"

static int
forbid (int errnum)
{
  struct sock_filter filter[] = {
      BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
      BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)errnum),
      BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = ARRAY_SIZE (filter), .filter = filter};

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
                 || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0
             ? -1
             : 0;
}

int
main (int argc, char **argv)
{
  int errnum = argc > 2 && strcmp (argv[1], "ENOSYS") == 0 ? ENOSYS : EPERM;

  if (argc < 3) {
    fprintf (stderr, "usage: without-uring EPERM|ENOSYS COMMAND...\n");
    return 2;
  }
  if (forbid (errnum) < 0) {
    perror ("seccomp");
    return 77;
  }
  execvp (argv[2], argv + 2);
  perror (argv[2]);
  return 127;
}
