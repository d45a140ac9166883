/* run.c owns the running of the system's own programs. */
#include "tools/attach/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/program.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#define OUTPUT_MAX 4096
#define CMDLINE_MAX 65536
#define KILLED_WAIT_MS 3000
#define COMMAND_LINE_TRIES 1000 /* of a millisecond; one that has died has none */

int
run_find (const char *name, const char *package, char **ret_path, struct error *err)
{
  static const char system_folders[] = "/usr/sbin:/usr/bin:/sbin:/bin";
  const char *env = getenv ("PATH");
  CLEANUP_FREE char *folders = NULL;
  char *rest, *folder;

  if (asprintf (&folders, "%s:%s", env ? env : "", system_folders) < 0) {
    folders = NULL;
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  for (rest = folders; (folder = strsep (&rest, ":"));) {
    char *path;

    if (folder[0] != '/')
      continue;
    if (asprintf (&path, "%s/%s", folder, name) < 0)
      return error_set (err, ERROR_SYSTEM, "out of memory");
    if (access (path, X_OK) == 0) {
      *ret_path = path;
      return 0;
    }
    free (path);
  }
  return error_set (err, ERROR_NOT_FOUND, "%s is not installed: install the package %s", name,
                    package);
}

/* Waits for the end of a process by its pidfd; 0, or -ETIMEDOUT. */
static int
await_end (int pidfd, uint64_t timeout_ms)
{
  uint64_t deadline_ms = clock_ms () + timeout_ms, now_ms;

  while ((now_ms = clock_ms ()) < deadline_ms) {
    struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

    if (poll (&pfd, 1, (int)(deadline_ms - now_ms)) > 0)
      return 0;
  }
  return -ETIMEDOUT;
}

static int
take_output (int fd, char **ret_output, struct error *err)
{
  CLEANUP_FREE char *text = calloc (1, OUTPUT_MAX);
  ssize_t n = text ? pread (fd, text, OUTPUT_MAX - 1, 0) : 0;

  if (!text)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  while (n > 0 && strchr (" \t\r\n", text[n - 1]))
    text[--n] = '\0';
  for (char *p = text; *p; p++)
    if (*p == '\n')
      *p = ' ';
  *ret_output = text;
  text = NULL;
  return 0;
}

int
run_program (const char *path, const char *const words[], uint64_t timeout_ms, char **ret_output,
             struct error *err)
{
  CLEANUP_CLOSE int output_fd = memfd_create ("output", MFD_CLOEXEC), pidfd = -1;
  CLEANUP_FREE char *output = NULL;
  int status = 0, r;
  pid_t pid;

  if (output_fd < 0)
    return error_set_errno (err, errno, "memory for the output of %s", words[0]);
  r = program_start_with_output (path, (char *const *)words, output_fd, &pid);
  if (r != 0)
    return error_set_errno (err, r, "running %s", path);
  pidfd = pidfd_open (pid, 0);
  if (pidfd >= 0 && await_end (pidfd, timeout_ms) < 0) {
    kill (pid, SIGKILL);
    if (await_end (pidfd, KILLED_WAIT_MS) == 0)
      waitpid (pid, NULL, 0);
    return error_set (err, ERROR_UNAVAILABLE, "%s was not done within %" PRIu64 " seconds",
                      words[0], timeout_ms / 1000);
  }
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (take_output (output_fd, &output, err) < 0)
    return -1;
  if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
    return error_set (err, ERROR_SYSTEM, "%s", *output ? output : words[0]);
  if (ret_output) {
    *ret_output = output;
    output = NULL;
  }
  return 0;
}

/* The command line with its NULs turned into newlines; NULL when there is none (a zombie's is
 * empty).
 */
static char *
command_line (pid_t pid)
{
  char path[64], *text;
  size_t size;

  snprintf (path, sizeof path, "/proc/%jd/cmdline", (intmax_t)pid);
  if (read_file (path, CMDLINE_MAX, &text, &size) < 0)
    return NULL;
  for (size_t i = 0; i < size; i++)
    if (text[i] == '\0')
      text[i] = '\n';
  return text;
}

/* vfork's parent goes on a moment before the new program has its command line, by which run_is
 * knows it.
 */
static void
await_command_line (pid_t pid)
{
  for (int i = 0; i < COMMAND_LINE_TRIES; i++) {
    CLEANUP_FREE char *text = command_line (pid);

    if (!text || *text)
      return;
    nanosleep (&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}

int
run_start (const char *path, const char *const words[], int output_fd, pid_t *ret_pid,
           struct error *err)
{
  int r;

  (void)prctl (PR_SET_IO_FLUSHER, 1, 0, 0, 0); /* it is inherited, where we may do it */
  r = program_start_with_output (path, (char *const *)words, output_fd, ret_pid);
  (void)prctl (PR_SET_IO_FLUSHER, 0, 0, 0, 0);
  if (r != 0)
    return error_set_errno (err, r, "running %s", path);
  await_command_line (*ret_pid);
  return 0;
}

bool
run_is (pid_t pid, const char *mark)
{
  CLEANUP_FREE char *text = pid > 0 ? command_line (pid) : NULL;

  return text && strstr (text, mark);
}

int
run_stop (pid_t pid, const char *mark, uint64_t patience_ms, struct error *err)
{
  CLEANUP_CLOSE int pidfd = pid > 0 ? pidfd_open (pid, 0) : -1;

  if (pidfd < 0 || !run_is (pid, mark))
    return 0;
  pidfd_send_signal (pidfd, SIGTERM, NULL, 0);
  if (patience_ms == 0 || await_end (pidfd, patience_ms) < 0) {
    pidfd_send_signal (pidfd, SIGKILL, NULL, 0);
    if (await_end (pidfd, KILLED_WAIT_MS) < 0)
      return error_set (err, ERROR_BUSY, "process %jd does not end", (intmax_t)pid);
  }
  waitpid (pid, NULL, WNOHANG);
  return 0;
}
