/* shell.c owns the running of the operator's command lines. */
#include "tools/drill/shell.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/program.h"
#include "kms/outcome.h"

#define KILL_AFTER_MS 2000

int
shell_start (const char *line, uint64_t timeout_ms, struct shell *ret, struct error *err)
{
  char *words[] = {(char *)"sh", (char *)"-c", (char *)line, NULL};
  CLEANUP_CLOSE int fd = memfd_create ("drill-output", MFD_CLOEXEC);
  pid_t pid;
  int r;

  if (fd < 0)
    return error_set_errno (err, errno, "memory for a command's output");
  r = program_start_with_output ("/bin/sh", words, fd, &pid);
  if (r != 0)
    return error_set_errno (err, r, "running /bin/sh");
  *ret = (struct shell){
      .line = line, .pid = pid, .output_fd = fd, .end_by_ms = clock_ms () + timeout_ms};
  fd = -1;
  return 0;
}

/* The last part, without white space at its ends. */
static void
take_output (struct shell *shell)
{
  off_t size = lseek (shell->output_fd, 0, SEEK_END);
  off_t from = size > SHELL_OUTPUT_MAX - 1 ? size - (SHELL_OUTPUT_MAX - 1) : 0;
  ssize_t n = pread (shell->output_fd, shell->output, SHELL_OUTPUT_MAX - 1, from);

  while (n > 0 && strchr (" \t\r\n", shell->output[n - 1]))
    n--;
  shell->output[n > 0 ? n : 0] = '\0';
  for (char *p = shell->output; *p; p++)
    if (*p == '\n' || *p == '\t')
      *p = ' ';
  kms_text_clean (shell->output);
  close (shell->output_fd);
  shell->output_fd = -1;
}

void
shell_stop (struct shell *shell)
{
  if (shell->pid == 0 || shell->kill_by_ms != 0)
    return;
  shell->kill_by_ms = clock_ms () + KILL_AFTER_MS;
  kill (-shell->pid, SIGTERM);
}

bool
shell_ended (struct shell *shell)
{
  int status;

  if (shell->pid == 0)
    return true;
  if (waitpid (shell->pid, &status, WNOHANG) == shell->pid) {
    /* What it has left behind in its group must not revoke or restore anything later on. */
    if (shell->kill_by_ms != 0)
      kill (-shell->pid, SIGKILL);
    shell->pid = 0;
    shell->exit_status = WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
    take_output (shell);
    return true;
  }
  if (shell->kill_by_ms == 0 && clock_ms () >= shell->end_by_ms) {
    shell->timed_out = true;
    shell_stop (shell);
  }
  else if (shell->kill_by_ms != 0 && clock_ms () >= shell->kill_by_ms)
    kill (-shell->pid, SIGKILL);
  return false;
}

bool
shell_succeeded (const struct shell *shell)
{
  return shell->pid == 0 && !shell->timed_out && shell->exit_status == 0;
}
