/* resident.c owns the life of the process that stays with an attached volume. */
#include "tools/attach/resident.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <syslog.h>

#include "common/io.h"
#include "tools/attach/way.h"

#define ANSWER_MAX 65536

static void (*log_to) (bool trouble, const char *text); /* set once, before it is used */

void
resident_log (bool trouble, const char *fmt, ...)
{
  CLEANUP_FREE char *text = NULL;
  va_list args;
  int n;

  va_start (args, fmt);
  n = vasprintf (&text, fmt, args);
  va_end (args);
  if (n < 0)
    text = NULL;
  else if (log_to)
    log_to (trouble, text);
}

/* ---- staying ---- */

static int
open_signals (struct error *err)
{
  sigset_t set;
  int fd;

  sigemptyset (&set);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGINT);
  sigprocmask (SIG_BLOCK, &set, NULL);
  signal (SIGPIPE, SIG_IGN); /* who no longer reads what we say does not end us */
  fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0)
    error_set_errno (err, errno, "a file descriptor for signals");
  return fd;
}

static void
drain (int signal_fd)
{
  struct signalfd_siginfo info;

  while (read (signal_fd, &info, sizeof info) > 0)
    ;
}

/* Whether it is detached, by another process.  That one may just be at it. */
static bool
is_detached (struct attachment *a)
{
  struct error err = {0};

  while (attachment_resume (a, &err) < 0 && err.class == ERROR_BUSY)
    ;
  if (attachment_load (a, &err) > 0) {
    attachment_settle (a);
    return false;
  }
  return true;
}

/* Asked to go: 0 when it is detached, -1 when it is in use, and stays. */
static int
obey (struct attachment *a)
{
  struct error err = {0};

  if (is_detached (a))
    return 0;
  if (attachment_resume (a, &err) == 0 && attach_end (a, false, &err) == 0)
    return 0;
  attachment_settle (a);
  resident_log (true, "asked to end, but %s", err.text);
  return -1;
}

/* By a child, as any other process would: what it writes out may need a server that is just being
 * started again, and the connection that we make to it.
 */
static int
obey_while_staying (struct attachment *a)
{
  CLEANUP_CLOSE int pid_fd = -1;
  struct error err;
  int status = -1;
  pid_t pid = fork ();

  if (pid == 0)
    _exit (obey (a) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
  pid_fd = pid > 0 ? pidfd_open (pid, 0) : -1;
  if (pid_fd >= 0)
    (void)!a->way->stay (a, pid_fd, &err);
  if (pid > 0)
    waitpid (pid, &status, 0);
  return status == 0 ? 0 : -1;
}

static int
stay (struct attachment *a, int signal_fd, struct error *err)
{
  for (;;) {
    if (a->way->stay (a, signal_fd, err) < 0)
      return is_detached (a) ? 0 : error_prefix (err, "%s is broken", a->device);
    drain (signal_fd);
    if (obey_while_staying (a) == 0)
      return 0;
  }
}

int
resident_run (const struct attach_plan *plan, const struct resident_face *face, struct error *err)
{
  CLEANUP_ATTACHMENT struct attachment a = ATTACHMENT_INIT;
  CLEANUP_CLOSE int signal_fd = -1;
  bool fenced = false;

  log_to = face->log;
  signal_fd = open_signals (err);
  if (signal_fd < 0 || attach_begin (plan, &a, &fenced, err) < 0)
    return -1;
  face->ready (face->opaque, &a, fenced);
  return stay (&a, signal_fd, err);
}

/* ---- in the background ---- */

static void
log_to_syslog (bool trouble, const char *text)
{
  syslog (trouble ? LOG_ERR : LOG_NOTICE, "%s", text);
}

static void
send_json (int fd, const struct json *json)
{
  CLEANUP_FREE char *text = json ? json_print (json, false) : NULL;

  if (text)
    (void)!write_full (fd, text, strlen (text));
}

/* The process that started us goes on; nobody listens to us from now on. */
static void
tell_ready (void *opaque, const struct attachment *a, bool fenced)
{
  int *fd = opaque, null = open ("/dev/null", O_RDWR | O_CLOEXEC);
  CLEANUP_JSON struct json *json = attachment_facts (a);

  if (json) {
    json_set_number (json, "pid", getpid ());
    json_set_bool (json, "fenced", fenced);
  }
  send_json (*fd, json);
  close (*fd);
  *fd = -1;
  for (int i = STDIN_FILENO; null >= 0 && i <= STDERR_FILENO; i++)
    dup2 (null, i);
  cleanup_close (&null);
}

static void
be_background (const struct attach_plan *plan, int fd)
{
  const struct resident_face face = {tell_ready, log_to_syslog, &fd};
  CLEANUP_JSON struct json *json = NULL;
  struct error err = {0};
  int r;

  setsid ();
  openlog ("keyfence-attach", LOG_PID, LOG_DAEMON);
  signal (SIGHUP, SIG_IGN);
  r = resident_run (plan, &face, &err);
  if (r < 0 && fd < 0)
    log_to_syslog (true, err.text);
  json = r < 0 && fd >= 0 ? json_object_new () : NULL;
  if (json) {
    json_set_string (json, "error", err.text);
    json_set_string (json, "class", error_class_name (err.class));
    send_json (fd, json);
  }
}

static int
read_answer (int fd, struct json **ret_facts, struct error *err)
{
  CLEANUP_FREE char *text = malloc (ANSWER_MAX);
  CLEANUP_JSON struct json *json = NULL;
  size_t used;

  if (text && read_full (fd, text, ANSWER_MAX, &used) == 0)
    json = json_parse (text, used);
  if (json_get_string (json, "error"))
    return error_set (err, error_class_from_name (json_get_string (json, "class")), "%s",
                      json_get_string (json, "error"));
  if (!json_is_object (json))
    return error_set (err, ERROR_SYSTEM, "the process in the background ended without a word");
  *ret_facts = json;
  json = NULL;
  return 0;
}

int
resident_start (const struct attach_plan *plan, struct json **ret_facts, struct error *err)
{
  CLEANUP_CLOSE int from = -1, to = -1;
  int fds[2];
  pid_t pid;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return error_set_errno (err, errno, "a pipe");
  from = fds[0];
  to = fds[1];
  pid = fork ();
  if (pid < 0)
    return error_set_errno (err, errno, "starting a process");
  if (pid == 0) {
    close (from);
    be_background (plan, to);
    _exit (0);
  }
  close (to);
  to = -1;
  return read_answer (from, ret_facts, err);
}
