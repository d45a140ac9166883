/* machines.c owns the processes that talk to machines. */
#include "tools/machines/machines.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"

#define AT_ONCE 64
#define KILL_AFTER_MS 1000

struct child {
  pid_t pid;
  int fd; /* its report comes through here */
};

/* In the child.  The timer ends it also where it does not look at the clock. */
static void
talk (const char *socket_path, const struct machine_wish *wish, int fd)
{
  uint64_t limit_ms = wish->timeout_ms + KILL_AFTER_MS;
  struct itimerval limit = {.it_value = {.tv_sec = (time_t)(limit_ms / 1000),
                                         .tv_usec = (suseconds_t)(limit_ms % 1000 * 1000)}};
  struct machine_report report;
  sigset_t alarm_only;

  signal (SIGALRM, SIG_DFL);
  sigemptyset (&alarm_only);
  sigaddset (&alarm_only, SIGALRM);
  sigprocmask (SIG_UNBLOCK, &alarm_only, NULL);
  setitimer (ITIMER_REAL, &limit, NULL);
  machine_resume (socket_path, wish, &report);
  _exit (write_full (fd, &report, sizeof report) < 0);
}

static int
start (const char *socket_path, const struct machine_wish *wish, struct child *ret_child,
       struct error *err)
{
  int fds[2];
  pid_t pid;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return error_set_errno (err, errno, "%s: a pipe", socket_path);
  pid = fork ();
  if (pid == 0)
    talk (socket_path, wish, fds[1]);
  close (fds[1]);
  if (pid < 0) {
    close (fds[0]);
    return error_set_errno (err, errno, "%s: a process to talk to it", socket_path);
  }
  *ret_child = (struct child){.pid = pid, .fd = fds[0]};
  return 0;
}

/* False when it ended without a whole report. */
static bool
read_report (int fd, struct machine_report *ret)
{
  struct machine_report report;
  char *to = (char *)&report;
  size_t used = 0;

  while (used < sizeof report) {
    ssize_t n = read (fd, to + used, sizeof report - used);

    if (n == 0 || (n < 0 && errno != EINTR))
      return false;
    if (n > 0)
      used += (size_t)n;
  }
  *ret = report;
  return true;
}

static void
finish (const struct child *child, const char *socket_path, struct machine_report *ret)
{
  if (!read_report (child->fd, ret)) {
    *ret = (struct machine_report){.result = MACHINE_FAILED};
    error_set (&ret->error, ERROR_UNAVAILABLE,
               "%s: talking to it took too long, or ended before its time", socket_path);
  }
  close (child->fd);
  while (waitpid (child->pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* At most AT_ONCE of them. */
static void
resume_some (const char *const *socket_paths, size_t count, const struct machine_wish *wish,
             struct machine_report *ret_reports)
{
  struct child children[AT_ONCE];

  for (size_t i = 0; i < count; i++) {
    ret_reports[i] = (struct machine_report){.result = MACHINE_FAILED};
    children[i].fd = -1;
    (void)!start (socket_paths[i], wish, &children[i], &ret_reports[i].error);
  }
  for (size_t i = 0; i < count; i++)
    if (children[i].fd >= 0)
      finish (&children[i], socket_paths[i], &ret_reports[i]);
}

void
machines_resume (const char *const *socket_paths, size_t count, const struct machine_wish *wish,
                 struct machine_report *ret_reports)
{
  for (size_t i = 0; i < count; i += AT_ONCE)
    resume_some (socket_paths + i, MIN (AT_ONCE, count - i), wish, ret_reports + i);
}
