/* command.c owns the running of other programs for their output. */
#include "kms/command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"

#define WAIT_STEP_MS 5

/* ---- words ---- */

/* One character of a word to *out; the new place in the line, or NULL at a quote left open. */
static const char *
take_char (const char *p, char *quote, char **out)
{
  if (*quote == '\0' && (*p == '"' || *p == '\'')) {
    *quote = *p;
    return p + 1;
  }
  if (*quote && *p == *quote) {
    *quote = '\0';
    return p + 1;
  }
  if (*p == '\\' && *quote != '\'' && (*quote == '\0' || p[1] == '"' || p[1] == '\\')) {
    if (p[1] == '\0')
      return NULL;
    p++;
  }
  *(*out)++ = *p;
  return p + 1;
}

static const char *
take_word (const char *p, char **out)
{
  char quote = '\0';

  while (p && *p && (quote || (*p != ' ' && *p != '\t')))
    p = take_char (p, &quote, out);
  *(*out)++ = '\0';
  return quote ? NULL : p;
}

int
command_split (const char *line, char *buf, size_t size, char *words[COMMAND_WORDS_MAX + 1])
{
  size_t count = 0;
  char *out = buf;

  if (strlen (line) + COMMAND_WORDS_MAX + 1 > size)
    return -1;
  for (;;) {
    line += strspn (line, " \t");
    if (*line == '\0')
      break;
    if (count == COMMAND_WORDS_MAX)
      return -1;
    words[count++] = out;
    line = take_word (line, &out);
    if (!line)
      return -1;
  }
  words[count] = NULL;
  return count ? 0 : -1;
}

/* ---- the process ---- */

/* Children must leave a status while we wait for one, whatever the program does with SIGCHLD; those
 * that were not ours to wait for are reaped as it would have been.
 */
static void
keep_statuses (struct sigaction *old)
{
  const struct sigaction keep = {.sa_handler = SIG_DFL};

  sigaction (SIGCHLD, &keep, old);
}

static void
restore_statuses (const struct sigaction *old)
{
  sigaction (SIGCHLD, old, NULL);
  if (old->sa_handler == SIG_IGN)
    while (waitpid (-1, NULL, WNOHANG) > 0)
      ;
}

/* In the child.  It dies with us, however we die; and has a group of its own, so that a time-out
 * reaches what it has started itself.
 */
static _Noreturn void
become (char *const words[], int out_fd, int failed_fd, pid_t parent)
{
  struct sigaction act = {.sa_handler = SIG_DFL};
  sigset_t none;
  int in = open ("/dev/null", O_RDONLY), err = open ("/dev/null", O_WRONLY), e;

  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != parent)
    _exit (127); /* it has died already */
  for (int sig = 1; sig < NSIG; sig++)
    sigaction (sig, &act, NULL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  if (in >= 0 && err >= 0 && dup2 (in, 0) == 0 && dup2 (out_fd, 1) == 1 && dup2 (err, 2) == 2) {
    /* All else is close-on-exec, but what we were started with; nothing there is its business. */
    close_range (3, ~0U, CLOSE_RANGE_CLOEXEC);
    execvp (words[0], words);
  }
  e = errno;
  (void)!write (failed_fd, &e, sizeof e);
  _exit (127);
}

/* 0, or the errno of what failed, exec included.  We are single-threaded, so fork is safe. */
static int
spawn (char *const words[], int out_fd, pid_t *ret_pid)
{
  CLEANUP_CLOSE int failed = -1;
  int fds[2], e = 0;
  pid_t parent = getpid (), pid;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return errno;
  failed = fds[0];
  pid = fork ();
  if (pid == 0)
    become (words, out_fd, fds[1], parent);
  e = pid < 0 ? errno : 0;
  close (fds[1]);
  if (pid < 0)
    return e;
  /* A successful exec closes the pipe with nothing in it. */
  if (read (failed, &e, sizeof e) == sizeof e) {
    waitpid (pid, NULL, 0);
    return e;
  }
  *ret_pid = pid;
  return 0;
}

static int
left_ms (uint64_t deadline_ms)
{
  uint64_t now_ms = clock_ms ();

  return now_ms < deadline_ms ? (int)MIN (deadline_ms - now_ms, 60000u) : 0;
}

/* Until its stdout is closed.  Returns 0, -ETIMEDOUT, -EMSGSIZE or another negative errno. */
static int
read_output (int fd, struct secret *out, uint64_t deadline_ms)
{
  struct pollfd pfd = {.fd = fd, .events = POLLIN};
  size_t used = 0;

  for (;;) {
    ssize_t n;

    if (left_ms (deadline_ms) == 0)
      return -ETIMEDOUT;
    if (poll (&pfd, 1, left_ms (deadline_ms)) <= 0)
      continue;
    if (used + 1 == out->size)
      return -EMSGSIZE;
    n = read (fd, out->bytes + used, out->size - 1 - used);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return -errno;
    if (n == 0)
      break;
    if (n > 0)
      used += (size_t)n;
  }
  out->bytes[used] = '\0';
  out->size = used + 1;
  return 0;
}

/* Its status, or -ETIMEDOUT after which it is killed; it is gone either way. */
static int
finish (pid_t pid, uint64_t deadline_ms, int *ret_status)
{
  bool killed = false;
  pid_t r;

  while ((r = waitpid (pid, ret_status, killed ? 0 : WNOHANG)) == 0) {
    if (left_ms (deadline_ms) > 0)
      poll (NULL, 0, WAIT_STEP_MS);
    else {
      kill (-pid, SIGKILL);
      killed = true;
    }
  }
  if (r < 0)
    return -errno;
  return killed ? -ETIMEDOUT : 0;
}

static int
judge (const char *name, int r, int status, uint32_t timeout_ms, struct error *err)
{
  if (r == -ETIMEDOUT)
    return error_set (err, ERROR_UNAVAILABLE, "%.200s gave no answer within %u ms", name,
                      (unsigned)timeout_ms);
  if (r == -EMSGSIZE)
    return error_set (err, ERROR_SYSTEM, "%.200s wrote more than %zu bytes", name,
                      COMMAND_OUTPUT_MAX);
  if (r < 0)
    return error_set_errno (err, -r, "%.200s can't be read from", name);
  if (!WIFEXITED (status))
    return error_set (err, ERROR_SYSTEM, "%.200s was ended by signal %d", name, WTERMSIG (status));
  if (WEXITSTATUS (status) != 0)
    return error_set (err, ERROR_SYSTEM, "%.200s ended with status %d: run it by hand to see why",
                      name, WEXITSTATUS (status));
  return 0;
}

static int
run_child (char *const words[], uint32_t timeout_ms, struct secret *out, struct error *err)
{
  uint64_t deadline_ms = clock_ms () + timeout_ms;
  CLEANUP_CLOSE int in = -1;
  int fds[2], status = 0, r, waited;
  pid_t pid = -1;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return error_set_errno (err, errno, "no pipe for %.200s", words[0]);
  in = fds[0];
  r = spawn (words, fds[1], &pid);
  close (fds[1]);
  if (r != 0)
    return error_set_errno (err, r, "can't start %.200s", words[0]);
  r = read_output (in, out, deadline_ms);
  if (r < 0)
    kill (-pid, SIGKILL);
  waited = finish (pid, deadline_ms, &status);
  return judge (words[0], r < 0 ? r : waited, status, timeout_ms, err);
}

int
command_run (char *const words[], uint32_t timeout_ms, struct secret *ret_output, struct error *err)
{
  CLEANUP_SECRET struct secret out = {0};
  struct sigaction old;
  int r;

  if (secret_init (&out, COMMAND_OUTPUT_MAX + 2, err) < 0)
    return -1;
  keep_statuses (&old);
  r = run_child (words, timeout_ms, &out, err);
  restore_statuses (&old);
  if (r == 0)
    secret_take (ret_output, &out);
  return r;
}
