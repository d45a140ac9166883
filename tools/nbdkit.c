/* nbdkit.c owns the running of nbdkit. */
#include "tools/nbdkit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/paths.h"
#include "tools/progress.h"
#include "tools/words.h"

#define LOOPBACK "127.0.0.1"
#define LINE_MAX_BYTES 65536

/* An argument vector under construction. */
struct words {
  char **list; /* NULL-terminated */
  size_t count;
};

static void
words_clear (struct words *words)
{
  for (size_t i = 0; i < words->count; i++)
    free (words->list[i]);
  free (words->list);
}

#define CLEANUP_WORDS CLEANUP (words_clear)

static void
words_add (struct words *words, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/* Aborts when out of memory: a command line with a word missing would be another one. */
static void
words_add (struct words *words, const char *fmt, ...)
{
  char **list = reallocarray (words->list, words->count + 2, sizeof *list);
  va_list args;
  int n;

  if (!list)
    abort ();
  words->list = list;
  va_start (args, fmt);
  n = vasprintf (&list[words->count], fmt, args);
  va_end (args);
  if (n < 0)
    abort ();
  list[++words->count] = NULL;
}

/* ready_fd -1: none. */
static int
build (const struct nbdkit_plan *plan, int ready_fd, struct words *words, struct error *err)
{
  CLEANUP_FREE char *plugin = path_plugin (NULL);

  if (!plugin)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  words_add (words, "nbdkit");
  if (plan->foreground)
    words_add (words, "--foreground");
  if (plan->socket)
    words_add (words, "--unix=%s", plan->socket);
  else if (plan->port) {
    words_add (words, "--ipaddr=%s", LOOPBACK);
    words_add (words, "--port=%s", plan->port);
  }
  if (plan->pidfile)
    words_add (words, "--pidfile=%s", plan->pidfile);
  for (size_t i = 0; plan->options[i]; i++)
    words_add (words, "%s", plan->options[i]);
  words_add (words, "%s", plugin);
  words_add (words, "path=%s", plan->path);
  if (plan->read_only)
    words_add (words, "read-only=yes");
  for (size_t i = 0; i < plan->parameter_count; i++)
    words_add (words, "%s", plan->parameters[i]);
  if (ready_fd >= 0)
    words_add (words, "ready-fd=%d", ready_fd);
  return 0;
}

static void
print_quoted (FILE *f, const char *word)
{
  static const char plain[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_";

  if (*word && strspn (word, plain) == strlen (word)) {
    fputs (word, f);
    return;
  }
  words_quote (f, word);
}

int
nbdkit_dry_run (const struct nbdkit_plan *plan, char **ret_text, struct error *err)
{
  CLEANUP_WORDS struct words words = {0};
  size_t size;
  char *text = NULL;
  FILE *f;

  if (build (plan, -1, &words, err) < 0)
    return -1;
  f = open_memstream (&text, &size);
  for (size_t i = 0; f && i < words.count; i++) {
    if (i > 0)
      fputc (' ', f);
    print_quoted (f, words.list[i]);
  }
  if (!f || fclose (f) != 0) {
    free (text);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  *ret_text = text;
  return 0;
}

static int
exec_failed (int errnum, struct error *err)
{
  if (errnum == ENOENT)
    return error_set (err, ERROR_SYSTEM,
                      "nbdkit is not installed (or not in PATH): install the package nbdkit");
  return error_set_errno (err, errnum, "running nbdkit");
}

int
nbdkit_exec (const struct nbdkit_plan *plan, struct error *err)
{
  CLEANUP_WORDS struct words words = {0};

  if (build (plan, -1, &words, err) < 0)
    return -1;
  execvp (words.list[0], words.list);
  return exec_failed (errno, err);
}

/* In the child: stderr (unless -1) and the ready descriptor are handed on, nothing else. */
static void
become (char **argv, int stderr_fd, int ready_fd, int failed_fd)
{
  int r = 0;

  /* Out of the terminal's reach, and of signals to the group of whoever called us. */
  setsid ();
  if (stderr_fd >= 0)
    r = dup2 (stderr_fd, STDERR_FILENO);
  if (r >= 0 && fcntl (ready_fd, F_SETFD, 0) == 0)
    execvp (argv[0], argv);
  r = errno;
  (void)!write (failed_fd, &r, sizeof r);
  _exit (127);
}

/* Starts it; the failure of exec itself comes back through a pipe that a successful one closes. */
static int
spawn (char **argv, int stderr_fd, int ready_fd, pid_t *ret_pid, struct error *err)
{
  int fds[2], errnum = 0;
  pid_t pid = -1;
  ssize_t n;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return error_set_errno (err, errno, "a pipe");
  pid = fork ();
  if (pid == 0)
    become (argv, stderr_fd, ready_fd, fds[1]);
  close (fds[1]);
  if (pid < 0) {
    close (fds[0]);
    return error_set_errno (err, errno, "starting nbdkit");
  }
  do
    n = read (fds[0], &errnum, sizeof errnum);
  while (n < 0 && errno == EINTR);
  close (fds[0]);
  if (n == sizeof errnum) {
    waitpid (pid, NULL, 0);
    return exec_failed (errnum, err);
  }
  *ret_pid = pid;
  return 0;
}

/* One line from the plugin, or an empty one when it is gone without. */
static int
read_ready (int fd, char **ret_line, struct error *err)
{
  CLEANUP_FREE char *line = calloc (1, LINE_MAX_BYTES);
  size_t used = 0;

  if (!line)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  while (used < LINE_MAX_BYTES - 1) {
    ssize_t n = read (fd, line + used, LINE_MAX_BYTES - 1 - used);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    used += (size_t)n;
    if (memchr (line, '\n', used))
      break;
  }
  line[strcspn (line, "\n")] = '\0';
  *ret_line = line;
  line = NULL;
  return 0;
}

/* What nbdkit said, line by line: to our stderr, but the first error, which is taken into *err.
 * Whether there was anything.
 */
static bool
relay (int stderr_fd, bool failed, struct error *err)
{
  CLEANUP_FREE char *text = calloc (1, LINE_MAX_BYTES);
  const char *message = NULL;
  char *rest = text, *line;

  if (!text || stderr_fd < 0 || pread (stderr_fd, text, LINE_MAX_BYTES - 1, 0) < 0)
    return false;
  while ((line = strsep (&rest, "\n"))) {
    const char *mark = failed ? strstr (line, "error: ") : NULL;

    if (mark && !message)
      message = mark + strlen ("error: ");
    else if (*line)
      fprintf (stderr, "%s\n", line);
  }
  if (message && !*err->text)
    error_set (err, ERROR_SYSTEM, "%s", message);
  return text[0] != '\0' || message;
}

/* The status object, or an error from the ready line. */
static int
judge (const char *line, struct json **ret_status, struct error *err)
{
  CLEANUP_JSON struct json *json = *line ? json_parse (line, strlen (line)) : NULL;
  const char *error = json_get_string (json, "error");

  if (error)
    return error_set (err, error_class_from_name (json_get_string (json, "class")), "%s", error);
  if (!json_is_object (json))
    return -1;
  *ret_status = json;
  json = NULL;
  return 0;
}

static bool
is_verbose (char *const *options)
{
  for (; *options; options++)
    if (strcmp (*options, "-v") == 0 || strcmp (*options, "--verbose") == 0)
      return true;
  return false;
}

/* nbdkit forks into the background, and its first process ends.  That end must be waited for: that
 * process asks to be sent SIGTERM when its parent, which we are, is gone; meanwhile its handler
 * would write to the pipe that it shares with the server, which then never accepts a connection.
 */
static int
wait_forked (pid_t pid, const struct json *status, struct error *err)
{
  uint64_t server_pid;

  if (json_get_uint64 (status, "pid", &server_pid) == 0 && (pid_t)server_pid != pid) {
    waitpid (pid, NULL, 0);
    return 0;
  }
  kill (pid, SIGTERM);
  waitpid (pid, NULL, 0);
  return error_set (err, ERROR_USAGE,
                    "one of nbdkit's options keeps it in the foreground: give keyfence serve "
                    "--foreground too");
}

/* A process that has failed is waited for, so that all of its messages are there. */
static int
wait_ready (pid_t pid, int ready_fd, int stderr_fd, struct json **ret_status, struct error *err)
{
  CLEANUP_FREE char *line = NULL;
  CLEANUP_JSON struct json *status = NULL;
  bool said;
  int r;

  err->text[0] = '\0';
  if (read_ready (ready_fd, &line, err) < 0)
    return -1;
  r = judge (line, &status, err);
  if (r < 0)
    waitpid (pid, NULL, 0);
  else
    r = wait_forked (pid, status, err);
  said = relay (stderr_fd, r < 0, err);
  if (r < 0)
    return *err->text
               ? -1
               : error_set (err, ERROR_SYSTEM, "nbdkit did not start: %s",
                            said ? "see what it says above"
                                 : "it ended without saying why; --foreground may show more");
  *ret_status = status;
  status = NULL;
  return 0;
}

int
nbdkit_start (const struct nbdkit_plan *plan, struct json **ret_status, struct error *err)
{
  CLEANUP_WORDS struct words words = {0};
  CLEANUP_PROGRESS struct progress *progress = NULL;
  CLEANUP_CLOSE int ready_read = -1, ready_write = -1, stderr_fd = -1;
  int fds[2];
  pid_t pid = -1;

  if (pipe2 (fds, O_CLOEXEC) < 0)
    return error_set_errno (err, errno, "a pipe");
  ready_read = fds[0];
  ready_write = fds[1];
  /* A file and not a pipe, so that a server that outlives us never meets a closed one.  With -v
   * nbdkit keeps its stderr, so it gets the real one. */
  if (!is_verbose (plan->options)) {
    stderr_fd = memfd_create ("nbdkit-stderr", MFD_CLOEXEC);
    if (stderr_fd < 0)
      return error_set_errno (err, errno, "memory for nbdkit's messages");
  }
  if (build (plan, ready_write, &words, err) < 0
      || spawn (words.list, stderr_fd, ready_write, &pid, err) < 0)
    return -1;
  close (ready_write);
  ready_write = -1;
  progress = progress_start ("starting", 0);
  return wait_ready (pid, ready_read, stderr_fd, ret_status, err);
}
