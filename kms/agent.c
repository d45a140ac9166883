/* keyfence-agent: the process that speaks to key services.
 *
 * agent.c owns its main loop.  Its whole world is the socket on descriptor 3: each packet there is
 * a call with a socket for the answer.  It lives in one thread and goes when that socket closes.
 * Where that is a listening socket, listen.c makes such a process for each connection.
 * What has a volume key in memory is done by a child that answers and exits; the rest is done here,
 * and who asks kills us when that takes too long.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/parse.h"
#include "config.h"
#include "crypto/secret.h"
#include "kms/listen.h"
#include "kms/message.h"
#include "kms/notify.h"
#include "kms/operations.h"
#include "kms/provider.h"
#include "kms/rest.h"

#define REPLY_MS 2000  /* what the other side gets to take an answer */
#define SWITCH_MS 1000 /* a child lives no longer than its time-out and this */

static pid_t client_pid; /* written before the handler is installed */

static const char usage[] =
    "usage: keyfence-agent (started by the nbdkit plugin and by keyfence(1), not by people)\n"
    "\n"
    "Speaks to key services for a program that has put a socket on file descriptor 3; with\n"
    "--listen, for all that connect to the socket that a service manager has put there (see\n"
    "keyfence-agent@.socket); with --notify, posts one message that comes on stdin.\n"
    "To try a key by hand: keyfence check KEY\n";

/* ---- answering ---- */

static void
send_reply (int fd, enum kms_operation operation, const struct kms_reply *reply)
{
  CLEANUP_FREE char *text = message_print_reply (operation, reply);

  /* Who no longer listens has given up; there is nobody else to tell. */
  if (text && packet_send (fd, text, strlen (text), -1, clock_ms () + REPLY_MS) < 0)
    return;
}

/* An answer that has nothing but an outcome. */
static void
send_outcome (int fd, const struct kms_outcome *outcome)
{
  CLEANUP_FREE struct kms_reply *reply = calloc (1, sizeof *reply);

  if (!reply)
    return;
  reply->outcome = *outcome;
  send_reply (fd, KMS_OPERATION_CHECK, reply);
}

static void
send_failure (int fd, enum kms_class class, const char *reason, const char *text)
{
  struct kms_outcome outcome = {0};

  kms_outcome_set (&outcome, class, reason, "%s", text);
  send_outcome (fd, &outcome);
}

static int
receive_key (int fd, uint32_t timeout_ms, struct secret *ret_key, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret key = {0};
  struct error err;

  if (secret_init (&key, VOLUME_KEY_SIZE, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  if (packet_recv (fd, key.bytes, key.size, NULL, clock_ms () + timeout_ms) != (ssize_t)key.size)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_request", "no volume key came with the call");
  secret_take (ret_key, &key);
  return 0;
}

static int
post (int fd, uint32_t timeout_ms, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret message = {0};
  char why[NOTIFY_WHY_MAX];
  struct error err;
  ssize_t n;

  if (secret_init (&message, NOTIFY_MESSAGE_MAX, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  n = packet_recv (fd, message.bytes, message.size, NULL, clock_ms () + timeout_ms);
  if (n <= 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_request", "no message came with the call");
  if (notify_post (&message, (size_t)n, why) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "notify", "%s", why);
  return 0;
}

static int
run (const struct kms_call *call, int fd, struct secret *key, struct kms_reply *reply)
{
  const struct kms_request request = {
      .key = call->key,
      .volume = call->volume,
      .region = call->region[0] ? call->region : NULL,
      .timeout_ms = call->timeout_ms,
      .fresh = call->fresh,
      .run_only = call->run_only,
  };
  struct kms_outcome *outcome = &reply->outcome;

  switch (call->operation) {
  case KMS_OPERATION_UNWRAP:
    return operation_unwrap (&request, &call->wrap, key, outcome);
  case KMS_OPERATION_CHECK:
    return operation_check (&request, &call->wrap, outcome);
  case KMS_OPERATION_EXPIRY:
    return operation_expiry (&request, &call->wrap, &reply->expires_unix_s, outcome);
  case KMS_OPERATION_GENERATE:
    return operation_generate (&request, key, &reply->wrap, outcome);
  case KMS_OPERATION_WRAP:
    if (receive_key (fd, call->timeout_ms, key, outcome) < 0)
      return -1;
    return operation_wrap (&request, key, &reply->wrap, outcome);
  case KMS_OPERATION_INSPECT:
    return operation_inspect (&request, NULL, &reply->report, outcome);
  case KMS_OPERATION_INSPECT_WRAP:
    return operation_inspect (&request, &call->wrap, &reply->report, outcome);
  case KMS_OPERATION_NOTIFY:
    return post (fd, call->timeout_ms, outcome);
  }
  return kms_outcome_set (outcome, KMS_CONFIG, "bad_request", "no such operation");
}

static void
answer (const struct kms_call *call, int fd)
{
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_FREE struct kms_reply *reply = calloc (1, sizeof *reply);
  int r;

  if (!reply)
    return;
  r = run (call, fd, &key, reply);
  send_reply (fd, call->operation, reply);
  if (r == 0 && operation_traits (call->operation)->reply_sends_key
      && packet_send (fd, key.bytes, key.size, -1, clock_ms () + REPLY_MS) < 0)
    return;
}

/* ---- the child ---- */

/* Whatever hangs in a provider: SIGALRM ends the child and with it the volume key. */
static void
arm_switch (uint32_t timeout_ms)
{
  uint64_t ms = (uint64_t)timeout_ms + SWITCH_MS;
  struct itimerval timer = {
      .it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};

  setitimer (ITIMER_REAL, &timer, NULL);
}

/* What a provider needs for a call, as this process has it or, in a child, as its parent had. */
struct provisions {
  const struct kms_provider *provider; /* NULL: none is needed */
  struct kms_request request;
  int fd; /* a handover, or -1 */
};

static void
cleanup_provisions (struct provisions *p)
{
  cleanup_close (&p->fd);
}

/* Credentials and the like are got here, where they are kept, and not in each child anew. */
static int
prepare (struct kms_call *call, struct provisions *p, struct kms_outcome *outcome)
{
  uint64_t start_ms = clock_ms (), took_ms;

  if (operation_traits (call->operation)->call_sends_message)
    return 0; /* no key service has to do with it */
  p->request = (struct kms_request){.key = call->key,
                                    .volume = call->volume,
                                    .timeout_ms = call->timeout_ms,
                                    .stored = operation_traits (call->operation)->call_has_wrap,
                                    .fresh = call->fresh};
  p->provider = kms_provider_for (call->key, outcome);
  if (!p->provider)
    return -1;
  if (!p->provider->prepare)
    return 0;
  if (p->provider->prepare (&p->request, &p->fd, outcome) < 0)
    return -1;
  call->fresh = false; /* what the child is given is */
  took_ms = clock_ms () - start_ms;
  call->timeout_ms = took_ms < call->timeout_ms ? (uint32_t)(call->timeout_ms - took_ms) : 1;
  return 0;
}

/* A key that came behind the call is taken first, and only in a child: a socket that is closed with
 * something unread in it takes the answer with it.
 */
static void
answer_failure (const struct kms_call *call, int fd, const struct kms_outcome *failure)
{
  CLEANUP_SECRET struct secret key = {0};
  struct kms_outcome ignored = {0};

  if (operation_traits (call->operation)->call_sends_key)
    (void)!receive_key (fd, call->timeout_ms, &key, &ignored);
  send_outcome (fd, failure);
}

/* `failure`: of preparing; NULL when there was none. */
static _Noreturn void
child (const struct kms_call *call, const struct provisions *p, const struct kms_outcome *failure,
       int fd, pid_t agent_pid)
{
  /* While we hold the agent's socket, its death would not be seen. */
  close (MESSAGE_AGENT_FD);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != agent_pid)
    _exit (1);
  arm_switch (call->timeout_ms);
  if (p->fd >= 0)
    p->provider->inherit (&p->request, p->fd);
  if (failure)
    answer_failure (call, fd, failure);
  else
    answer (call, fd);
  _exit (0);
}

static void
answer_in_child (struct kms_call *call, int fd)
{
  CLEANUP (cleanup_provisions) struct provisions p = {.fd = -1};
  struct kms_outcome outcome = {0};
  pid_t agent_pid = getpid (), pid;
  int r = prepare (call, &p, &outcome);

  pid = fork ();
  if (pid == 0)
    child (call, &p, r < 0 ? &outcome : NULL, fd, agent_pid);
  if (pid < 0)
    send_failure (fd, KMS_OUTAGE, "agent_fork",
                  "the agent can't start a child: no memory, or too "
                  "many processes");
}

/* ---- the loop ---- */

static void
serve (const char *packet, size_t size, int fd)
{
  CLEANUP_FREE struct kms_call *call = calloc (1, sizeof *call);

  if (!call || message_parse_call (packet, size, call) < 0)
    send_failure (
        fd, KMS_CONFIG, "bad_request",
        "the agent doesn't understand the call: program and agent must be of one version");
  else if (operation_traits (call->operation)->in_child)
    answer_in_child (call, fd);
  else
    answer (call, fd);
}

/* Rests when there is nothing to do at once. */
static void
rest_if_idle (void)
{
  struct pollfd pfd = {.fd = MESSAGE_AGENT_FD, .events = POLLIN};

  if (poll (&pfd, 1, 0) == 0)
    agent_rest ();
}

/* One call: 1; 0 when the other side has gone; -1 when the socket fails. */
static int
serve_next (void)
{
  static char packet[MESSAGE_MAX];
  CLEANUP_CLOSE int fd = -1;
  ssize_t n = packet_recv (MESSAGE_AGENT_FD, packet, sizeof packet, &fd, UINT64_MAX);

  if (n == 0)
    return 0;
  if (n < 0 && n != -EMSGSIZE)
    return -1;
  if (n > 0 && fd >= 0)
    serve (packet, (size_t)n, fd);
  return 1;
}

static int
serve_all (void)
{
  int r;

  while ((r = serve_next ()) > 0)
    rest_if_idle ();
  return r;
}

/* ---- the start ---- */

/* The kernel sends this when the *thread* that started us ends, which may be no reason to go. */
static void
on_parent_death (int signum)
{
  (void)signum;
  if (getppid () != client_pid)
    _exit (0);
}

/* A second belt, for a client that has started us: for the case that a copy of the client's socket
 * lives on in some other process. */
static void
follow_parent (void)
{
  struct sigaction action = {.sa_handler = on_parent_death, .sa_flags = SA_RESTART};

  sigaction (SIGUSR1, &action, NULL);
  prctl (PR_SET_PDEATHSIG, SIGUSR1);
  on_parent_death (SIGUSR1); /* in case it is dead already */
}

/* Whether descriptor 3 is what a client gives us; and who that is. */
static int
find_client (pid_t *ret_pid)
{
  struct ucred peer;
  socklen_t size = sizeof peer;
  int type = 0;

  if (getsockopt (MESSAGE_AGENT_FD, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
    return -1;
  size = sizeof type;
  if (getsockopt (MESSAGE_AGENT_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0
      || type != SOCK_SEQPACKET)
    return -1;
  *ret_pid = peer.pid;
  return 0;
}

static int
refuse (void)
{
  fprintf (
      stderr,
      "keyfence-agent: there is no socket on file descriptor 3: this program is started by "
      "the nbdkit plugin and by keyfence(1), not by people; to try a key: keyfence check KEY\n");
  return 2;
}

/* Up to the point where calls come from descriptor 3: 0; else -1 with the exit status. */
static int
become_child (int *ret_status)
{
  if (find_client (&client_pid) < 0) {
    *ret_status = refuse ();
    return -1;
  }
  secret_harden_process ();
  follow_parent ();
  return 0;
}

static int
become_listener (const char *idle, int *ret_status)
{
  uint64_t idle_ms = LISTEN_IDLE_MS;
  struct error err;
  enum listen_end end;

  if (idle && (parse_duration (idle, &idle_ms, &err) < 0 || idle_ms == 0 || idle_ms > INT_MAX)) {
    fprintf (stderr, "keyfence-agent: --listen=%s: expected a time, as 60s\n", idle);
    *ret_status = 2;
    return -1;
  }
  secret_harden_process ();
  end = listen_serve ((uint32_t)idle_ms);
  *ret_status = end == LISTEN_FAILED ? 2 : 0;
  return end == LISTEN_WORKER ? 0 : -1;
}

/* The ways to be started with a socket: by a client, or, with --listen[=IDLE], by a service
 * manager.
 */
static int
start (int argc, char *argv[], int *ret_status)
{
  static const char listen[] = "--listen";
  size_t length = sizeof listen - 1;

  if (argc == 1)
    return become_child (ret_status);
  if (argc == 2 && strncmp (argv[1], listen, length) == 0
      && (argv[1][length] == '\0' || argv[1][length] == '='))
    return become_listener (argv[1][length] ? argv[1] + length + 1 : NULL, ret_status);
  fputs (usage, stderr);
  *ret_status = 2;
  return -1;
}

int
main (int argc, char *argv[])
{
  int status;

  if (argc == 2 && strcmp (argv[1], "--help") == 0)
    return fputs (usage, stdout) < 0;
  if (argc == 2 && strcmp (argv[1], "--version") == 0)
    return printf ("keyfence-agent %s\n", KEYFENCE_VERSION) < 0;
  unsetenv ("SSLKEYLOGFILE"); /* libcurl would write there what decrypts our connections */
  if (argc == 2 && strcmp (argv[1], "--notify") == 0) {
    secret_harden_process ();
    return notify_main ();
  }
  if (start (argc, argv, &status) < 0)
    return status;
  signal (SIGCHLD, SIG_IGN); /* children leave nothing behind: their answer was on the socket */
  return serve_all () < 0;
}
