/* listen.c owns the agent's listening socket and the workers behind it. */
#include "kms/listen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/activation.h"
#include "kms/connect.h"
#include "kms/message.h"

struct worker {
  pid_t pid; /* also of its process group */
  int fd;    /* our copy of its connection: shows when the client goes; then -1 */
  int pidfd; /* shows when it goes itself */
};

struct listener {
  struct worker workers[LISTEN_WORKERS_MAX];
  size_t count;
};

enum { POLL_LISTEN, POLL_WORKERS, POLL_A_WORKER = 2 }; /* how many, for a worker */

static void
complain (const char *what)
{
  fprintf (stderr, "keyfence-agent: %s: %s\n", what, strerrordesc_np (errno));
}

/* ---- the start ---- */

static bool
socket_option_is (int option, int wanted)
{
  int value = 0;
  socklen_t size = sizeof value;

  return getsockopt (MESSAGE_AGENT_FD, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static int
check_socket (void)
{
  if (activation_count () == 1 && socket_option_is (SO_ACCEPTCONN, 1)
      && socket_option_is (SO_TYPE, SOCK_SEQPACKET))
    return 0;
  fprintf (stderr,
           "keyfence-agent: --listen: there is no listening socket on file descriptor 3 (one, "
           "with ListenSequentialPacket=): a service manager puts it there, see "
           "keyfence-agent@.socket\n");
  return -1;
}

/* ---- a worker's life ---- */

/* In the new process: the connection takes the listening socket's place, and nothing else of ours
 * stays.  It goes with us.
 */
static void
become_worker (int fd, pid_t listener_pid)
{
  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != listener_pid || dup2 (fd, MESSAGE_AGENT_FD) < 0)
    _exit (1);
  close_range (MESSAGE_AGENT_FD + 1, ~0U, 0);
}

/* 1 in the new process, else 0, or -1 when there is none. */
static int
start_worker (struct listener *listener, int fd)
{
  pid_t listener_pid = getpid (), pid = fork ();
  struct worker worker = {.pid = pid, .fd = fd};

  if (pid == 0) {
    become_worker (fd, listener_pid);
    return 1;
  }
  if (pid < 0)
    return -1;
  setpgid (pid, pid); /* whoever of the two is first */
  worker.pidfd = pidfd_open (pid, 0);
  if (worker.pidfd < 0) {
    kill (pid, SIGKILL);
    waitpid (pid, NULL, 0);
    return -1;
  }
  listener->workers[listener->count++] = worker;
  return 0;
}

/* Takes the next connection: 1 in its worker. */
static int
take_connection (struct listener *listener)
{
  CLEANUP_CLOSE int fd = accept4 (MESSAGE_AGENT_FD, NULL, NULL, SOCK_CLOEXEC);
  int r;

  if (fd < 0)
    return 0; /* who has connected has gone, or has to wait for a descriptor */
  if (!peer_is_trusted (fd)) {
    fprintf (stderr, "keyfence-agent: a connection was refused: its user is neither root nor the "
                     "agent's own\n");
    return 0;
  }
  if (listener->count == LISTEN_WORKERS_MAX) {
    fprintf (stderr, "keyfence-agent: a connection was refused: there are %d already\n",
             LISTEN_WORKERS_MAX);
    return 0;
  }
  r = start_worker (listener, fd);
  if (r < 0)
    complain ("a connection was refused");
  else if (r == 0)
    fd = -1; /* the worker's entry has it */
  return r > 0;
}

static void
close_connection (struct worker *worker)
{
  if (worker->fd >= 0)
    close (worker->fd);
  worker->fd = -1;
}

/* Whether it has gone; closing its connection then is how its client learns of it. */
static bool
end_worker (struct worker *worker, const struct pollfd pfds[POLL_A_WORKER])
{
  bool has_ended = pfds[1].revents != 0;

  if (!has_ended && pfds[0].revents == 0)
    return false;
  kill (-worker->pid, SIGKILL); /* not reaped yet, so the number is still its group's */
  close_connection (worker);
  if (!has_ended)
    return false;
  waitpid (worker->pid, NULL, 0);
  close (worker->pidfd);
  return true;
}

/* `pfds` as fill_poll made them. */
static void
end_workers (struct listener *listener, const struct pollfd *pfds)
{
  size_t kept = 0;

  for (size_t i = 0; i < listener->count; i++)
    if (!end_worker (&listener->workers[i], pfds + POLL_WORKERS + i * POLL_A_WORKER))
      listener->workers[kept++] = listener->workers[i];
  listener->count = kept;
}

/* ---- the loop ---- */

static nfds_t
fill_poll (const struct listener *listener, struct pollfd *ret)
{
  ret[POLL_LISTEN] = (struct pollfd){.fd = MESSAGE_AGENT_FD, .events = POLLIN};
  for (size_t i = 0; i < listener->count; i++) {
    struct pollfd *pfds = ret + POLL_WORKERS + i * POLL_A_WORKER;

    pfds[0] = (struct pollfd){.fd = listener->workers[i].fd};
    pfds[1] = (struct pollfd){.fd = listener->workers[i].pidfd, .events = POLLIN};
  }
  return POLL_WORKERS + listener->count * POLL_A_WORKER;
}

enum listen_end
listen_serve (uint32_t idle_ms)
{
  struct listener listener = {.count = 0};
  struct pollfd pfds[POLL_WORKERS + LISTEN_WORKERS_MAX * POLL_A_WORKER];

  if (check_socket () < 0)
    return LISTEN_FAILED;
  activation_forget ();
  signal (SIGCHLD, SIG_DFL); /* or nobody would be left to wait for */
  for (;;) {
    int n = poll (pfds, fill_poll (&listener, pfds), listener.count > 0 ? -1 : (int)idle_ms);

    if (n == 0)
      return LISTEN_OVER;
    if (n < 0 && errno != EINTR) {
      complain ("waiting for connections");
      return LISTEN_FAILED;
    }
    if (n < 0)
      continue;
    end_workers (&listener, pfds);
    if ((pfds[POLL_LISTEN].revents & POLLIN) && take_connection (&listener) > 0)
      return LISTEN_WORKER;
  }
}
