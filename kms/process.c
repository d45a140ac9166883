/* process.c owns the agent's life as a child process of whoever links the client, or as a
 * connection.
 */
#include "kms/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/program.h"
#include "kms/connect.h"
#include "kms/message.h"

#define LEAVE_MS 1000 /* what an agent gets to go at the end, asked or killed */

extern char **environ;

int
agent_process_init (struct agent_process *agent, const char *path, bool connects)
{
  *agent = (struct agent_process){.path = strdup (path), .connects = connects, .fd = -1};
  pthread_mutex_init (&agent->closing, NULL);
  return agent->path ? 0 : -1;
}

/* ---- the end ---- */

/* Whether the child has been reaped, by us or (ECHILD) by someone else. */
static bool
is_gone (pid_t pid)
{
  pid_t r;

  do
    r = waitpid (pid, NULL, WNOHANG);
  while (r < 0 && errno == EINTR);
  return r != 0;
}

static bool
is_gone_within (pid_t pid, uint64_t limit_ms)
{
  uint64_t deadline_ms = clock_ms () + limit_ms;
  long pause_ns = 200 * 1000;

  while (!is_gone (pid)) {
    struct timespec pause = {.tv_nsec = pause_ns};

    if (clock_ms () >= deadline_ms)
      return false;
    nanosleep (&pause, NULL);
    pause_ns = MIN (pause_ns * 2, 20 * 1000 * 1000);
  }
  return true;
}

static void
reap_stuck (struct agent_process *agent)
{
  for (size_t i = 0; i < ARRAY_SIZE (agent->stuck); i++)
    if (agent->stuck[i] && is_gone (agent->stuck[i]))
      agent->stuck[i] = 0;
}

static pid_t *
free_stuck_slot (struct agent_process *agent)
{
  for (size_t i = 0; i < ARRAY_SIZE (agent->stuck); i++)
    if (agent->stuck[i] == 0)
      return &agent->stuck[i];
  return NULL;
}

static void
close_socket (struct agent_process *agent)
{
  LOCK_FOR_SCOPE (&agent->closing);

  if (agent->fd >= 0)
    close (agent->fd);
  agent->fd = -1;
}

/* To be called once for each agent, when it is over: sets the pace of the next start. */
static void
forget (struct agent_process *agent)
{
  bool young = clock_ms () - agent->started_ms < AGENT_BACKOFF_MAX_MS;

  close_socket (agent);
  agent->pid = 0;
  agent->backoff_ms =
      young ? MIN (MAX (agent->backoff_ms * 2, AGENT_BACKOFF_MIN_MS), AGENT_BACKOFF_MAX_MS) : 0;
}

static void
kill_within (struct agent_process *agent, uint64_t limit_ms)
{
  pid_t pid = agent->pid;

  if (pid == 0) {
    if (agent->fd >= 0)
      forget (agent);
    return;
  }
  /* Its process group is its children and itself; not reaped yet, so the number is still its. */
  if (!is_gone (pid)) {
    kill (-pid, SIGKILL);
    if (!is_gone_within (pid, limit_ms)) {
      pid_t *slot = free_stuck_slot (agent);

      if (slot)
        *slot = pid;
    }
  }
  forget (agent);
}

void
agent_process_kill (struct agent_process *agent)
{
  kill_within (agent, AGENT_KILL_MS);
}

void
agent_process_interrupt (struct agent_process *agent)
{
  pid_t pid = agent->pid;
  LOCK_FOR_SCOPE (&agent->closing);

  if (pid > 0)
    kill (pid, SIGKILL);
  else if (agent->fd >= 0)
    shutdown (agent->fd, SHUT_RDWR);
}

void
agent_process_clear (struct agent_process *agent)
{
  bool is_child = agent->pid != 0;

  close_socket (agent);
  if (is_child) {
    if (is_gone_within (agent->pid, LEAVE_MS))
      forget (agent);
    else
      kill_within (agent, LEAVE_MS);
  }
  reap_stuck (agent);
  pthread_mutex_destroy (&agent->closing);
  free (agent->path);
  agent->path = NULL;
}

/* ---- the start ---- */

/* The agent has its socket and our stderr, and nothing else of ours. */
static int
set_actions (posix_spawn_file_actions_t *actions, int fd)
{
  int r = posix_spawn_file_actions_adddup2 (actions, fd, MESSAGE_AGENT_FD);

  for (int i = 0; r == 0 && i < 2; i++)
    r = posix_spawn_file_actions_addopen (actions, i, "/dev/null", i ? O_WRONLY : O_RDONLY, 0);
  return r;
}

static int
spawn (const char *path, int fd, pid_t *ret_pid)
{
  char name[] = "keyfence-agent";
  char *words[] = {name, NULL};
  CLEANUP_ACTIONS posix_spawn_file_actions_t actions;
  int r;

  posix_spawn_file_actions_init (&actions);
  r = set_actions (&actions, fd);
  return r == 0 ? program_start (path, words, environ, &actions, MESSAGE_AGENT_FD + 1, ret_pid) : r;
}

/* The agent's end of the pair, moved out of the way of stdin, stdout and stderr: a caller may have
 * closed those.
 */
static int
move_up (int *fd)
{
  int higher = fcntl (*fd, F_DUPFD_CLOEXEC, MESSAGE_AGENT_FD);

  if (higher < 0)
    return -errno;
  close (*fd);
  *fd = higher;
  return 0;
}

static int
start (struct agent_process *agent, struct kms_outcome *outcome)
{
  CLEANUP_CLOSE int theirs = -1;
  int fds[2] = {-1, -1};
  pid_t pid = 0;
  int r;

  agent->started_ms = clock_ms ();
  r = -packet_pair (fds);
  theirs = fds[1];
  if (r == 0)
    r = -move_up (&theirs);
  if (r == 0)
    r = spawn (agent->path, theirs, &pid);
  agent->fd = fds[0];
  if (r != 0) {
    forget (agent);
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_start", "can't start the agent %.250s: %s",
                            agent->path, strerrordesc_np (r));
  }
  agent->pid = pid;
  return 0;
}

/* Why there is no connection, and what to do. */
static const char *
why_not_connected (int r)
{
  switch (r) {
  case -ENOENT:
  case -ECONNREFUSED:
    return "nobody listens there (is the agent's socket unit started?)";
  case -EPROTOTYPE:
    return "it is no agent's socket";
  case -EPERM:
    return "who listens there is neither root nor this user";
  default:
    return strerrordesc_np (-r);
  }
}

static int
join (struct agent_process *agent, struct kms_outcome *outcome)
{
  int fd = -1, r;

  agent->started_ms = clock_ms ();
  r = agent_connect (agent->path, &fd);
  agent->fd = fd;
  if (r == 0)
    return 0;
  forget (agent);
  return kms_outcome_set (outcome, KMS_OUTAGE, "agent_start", "can't reach the agent at %.250s: %s",
                          agent->path, why_not_connected (r));
}

/* The agent never says anything on its socket, so that anything but silence is its end. */
static bool
is_alive (const struct agent_process *agent)
{
  struct pollfd pfd = {.fd = agent->fd, .events = POLLIN};

  return pfd.fd >= 0 && poll (&pfd, 1, 0) == 0;
}

int
agent_process_ensure (struct agent_process *agent, struct kms_outcome *outcome)
{
  uint64_t age_ms;

  reap_stuck (agent);
  if (is_alive (agent))
    return 0;
  agent_process_kill (agent);
  if (!free_stuck_slot (agent))
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_stuck",
                            "%d agents were killed and don't go away: each waits for a disk or a "
                            "network file system that does not answer",
                            AGENT_STUCK_MAX);
  age_ms = clock_ms () - agent->started_ms;
  if (age_ms < agent->backoff_ms)
    return kms_outcome_set (outcome, KMS_OUTAGE, "agent_backoff",
                            "the agent ended soon after its start; it is started again in %u ms",
                            (unsigned)(agent->backoff_ms - age_ms));
  return agent->connects ? join (agent, outcome) : start (agent, outcome);
}
