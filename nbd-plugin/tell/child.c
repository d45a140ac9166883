/* child.c owns the life of the programs that telling runs. */
#include "nbd-plugin/tell/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/program.h"

#define LOOK_MS_MAX 20 /* how often it is looked at whether it has ended */

/* ---- the start ---- */

/* Our own stdout is never given away: it may be an NBD connection.  stderr is there: nbdkit does
 * not run without.
 */
static int
set_actions (posix_spawn_file_actions_t *actions, int io_fd)
{
  int r;

  if (io_fd < 0) {
    r = posix_spawn_file_actions_addopen (actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0)
      r = posix_spawn_file_actions_adddup2 (actions, STDERR_FILENO, STDOUT_FILENO);
  }
  else {
    r = posix_spawn_file_actions_adddup2 (actions, io_fd, STDIN_FILENO);
    if (r == 0)
      r = posix_spawn_file_actions_adddup2 (actions, io_fd, STDOUT_FILENO);
  }
  return r;
}

static int
spawn (const struct child *child, pid_t *ret_pid)
{
  CLEANUP_ACTIONS posix_spawn_file_actions_t actions;
  int r;

  posix_spawn_file_actions_init (&actions);
  r = set_actions (&actions, child->io_fd);
  return r == 0 ? program_start (child->words[0], child->words, child->environment, &actions,
                                 STDERR_FILENO + 1, ret_pid)
                : r;
}

/* ---- the end ---- */

enum ending { ENDING_OWN, ENDING_TIMEOUT, ENDING_ABANDONED };

/* True when it has been reaped, by us (with its status) or (ECHILD, status -1) by someone else. */
static bool
is_gone (pid_t pid, int *ret_status)
{
  int status = 0;
  pid_t r;

  do
    r = waitpid (pid, &status, WNOHANG);
  while (r < 0 && errno == EINTR);
  if (r != 0)
    *ret_status = r < 0 ? -1 : status;
  return r != 0;
}

/* The group's number is its leader's, which is not reaped yet and so not anybody else's. */
static enum ending
await (pid_t pid, const struct child *child, int *ret_status)
{
  uint64_t deadline_ms = clock_ms () + child->limit_ms;
  enum ending ending = ENDING_OWN;
  struct timespec pause = {.tv_nsec = 1000 * 1000};

  while (!is_gone (pid, ret_status)) {
    if (ending == ENDING_OWN && atomic_load (child->abandoned))
      ending = ENDING_ABANDONED;
    else if (ending == ENDING_OWN && clock_ms () >= deadline_ms)
      ending = ENDING_TIMEOUT;
    if (ending != ENDING_OWN)
      kill (-pid, SIGKILL);
    nanosleep (&pause, NULL);
    pause.tv_nsec = MIN (pause.tv_nsec * 2, LOOK_MS_MAX * 1000L * 1000);
  }
  return ending;
}

static int
judge (enum ending ending, int status, uint32_t limit_ms, char ret_why[CHILD_WHY_MAX])
{
  if (ending == ENDING_TIMEOUT)
    snprintf (ret_why, CHILD_WHY_MAX, "it was killed after %u s", (unsigned)(limit_ms / 1000));
  else if (ending == ENDING_ABANDONED)
    snprintf (ret_why, CHILD_WHY_MAX, "it was killed, since the server ends");
  else if (status == -1)
    snprintf (ret_why, CHILD_WHY_MAX, "its exit status was lost");
  else if (WIFSIGNALED (status))
    snprintf (ret_why, CHILD_WHY_MAX, "it was ended by signal %d (%s)", WTERMSIG (status),
              sigdescr_np (WTERMSIG (status)) ? sigdescr_np (WTERMSIG (status)) : "unknown");
  else if (WEXITSTATUS (status) != 0)
    snprintf (ret_why, CHILD_WHY_MAX, "it ended with status %d", WEXITSTATUS (status));
  else
    return 0;
  return -1;
}

int
child_run (const struct child *child, char ret_why[CHILD_WHY_MAX])
{
  enum ending ending;
  int status = 0, r;
  pid_t pid;

  r = spawn (child, &pid);
  if (r != 0) {
    snprintf (ret_why, CHILD_WHY_MAX, "it can't be started: %s", strerrordesc_np (r));
    return -1;
  }
  ending = await (pid, child, &status);
  return judge (ending, status, child->limit_ms, ret_why);
}
