/* control.c owns the control socket. */
#include "nbd-plugin/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/json.h"
#include "common/paths.h"
#include "common/unix-socket.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/status.h"

#define CLIENTS_MAX 16
#define LINE_MAX_BYTES 1024

struct client {
  int fd;          /* -1: free */
  uint64_t ticket; /* of the command whose result it waits for; 0: of none */
  uint64_t heard;  /* a number that grows each time it connects or sends */
  size_t used;
  char line[LINE_MAX_BYTES];
};

struct control {
  struct volume *volume;
  struct keymon *keymon;
  char *path;
  ino_t inode; /* of the socket that we made: another's is not removed */
  int listen_fd;
  int wake_fd;
  pthread_t thread;
  bool thread_runs;
  uint64_t heard; /* the last number that a client got */
  struct client clients[CLIENTS_MAX];
};

/* ---- commands ---- */

/* What is answered at once; NULL: later, when the client's ticket has its result. */
static struct json *
command_status (struct control *control, struct client *client, const char *rest)
{
  (void)client;
  (void)rest;
  return status_new (control->volume, control->keymon);
}

static struct json *
command_metrics (struct control *control, struct client *client, const char *rest)
{
  (void)client;
  (void)rest;
  return status_metrics_new (control->volume, control->keymon);
}

static struct json *
error_new (const char *text)
{
  struct json *json = json_object_new ();

  if (json)
    json_set_string (json, "error", text);
  return json;
}

static struct json *
operate (struct control *control, struct client *client, enum desk_command command,
         const char *text)
{
  client->ticket = keymon_command (control->keymon, command, text);
  return client->ticket == 0 ? error_new ("the server is ending, or has too many commands to do")
                             : NULL;
}

static struct json *
command_check (struct control *control, struct client *client, const char *rest)
{
  (void)rest;
  return operate (control, client, DESK_CHECK, "");
}

static struct json *
command_fence (struct control *control, struct client *client, const char *rest)
{
  return operate (control, client, DESK_FENCE, rest);
}

static struct json *
command_unfence (struct control *control, struct client *client, const char *rest)
{
  (void)rest;
  return operate (control, client, DESK_UNFENCE, "");
}

static struct json *
command_reload (struct control *control, struct client *client, const char *rest)
{
  (void)rest;
  return operate (control, client, DESK_RELOAD, "");
}

static const struct {
  const char *name;
  bool takes_text; /* the rest of the line */
  struct json *(*run) (struct control *control, struct client *client, const char *rest);
} commands[] = {
    {"status", false, command_status},   {"metrics", false, command_metrics},
    {"check", false, command_check},     {"fence", true, command_fence},
    {"unfence", false, command_unfence}, {"reload", false, command_reload},
};

static struct json *
run_command (struct control *control, struct client *client, char *line)
{
  char *rest = strchr (line, ' ');

  if (rest)
    *rest++ = '\0';
  else
    rest = line + strlen (line);
  kms_text_clean (rest);
  for (size_t i = 0; i < ARRAY_SIZE (commands); i++)
    if (strcmp (line, commands[i].name) == 0 && (commands[i].takes_text || !*rest))
      return commands[i].run (control, client, rest);
  return error_new ("there is no such command: status, metrics, check, fence [REASON], unfence, "
                    "reload");
}

/* ---- clients ---- */

static void
drop (struct control *control, struct client *client)
{
  if (client->ticket != 0)
    keymon_forget (control->keymon, client->ticket);
  client->ticket = 0;
  close (client->fd);
  client->fd = -1;
}

/* Sends the whole answer or drops the client: an answer fits into a socket's buffer. */
static void
send_answer (struct control *control, struct client *client, struct json *answer)
{
  CLEANUP_JSON struct json *json = answer;
  CLEANUP_FREE char *text = json ? json_print (json, false) : NULL;
  size_t length;

  if (!text) {
    drop (control, client);
    return;
  }
  length = strlen (text);
  text[length] = '\n'; /* in the place of the NUL */
  if (send (client->fd, text, length + 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length + 1)
    drop (control, client);
}

/* Answers every whole line that has come, up to one whose answer comes later. */
static void
answer_lines (struct control *control, struct client *client)
{
  char *newline;

  while (client->fd >= 0 && client->ticket == 0
         && (newline = memchr (client->line, '\n', client->used)) != NULL) {
    size_t length = (size_t)(newline - client->line) + 1;
    struct json *json;

    *newline = '\0';
    json = run_command (control, client, client->line);
    if (json || client->ticket == 0)
      send_answer (control, client, json);
    client->used -= length;
    memmove (client->line, client->line + length, client->used);
  }
  if (client->fd >= 0 && client->ticket == 0 && client->used == sizeof client->line)
    drop (control, client);
}

static void
send_result (struct control *control, struct client *client, const struct desk_result *result)
{
  struct json *json = status_new (control->volume, control->keymon), *member;

  if (json) {
    member = json_set_object (json, "result");
    json_set_string (member, "command", desk_command_name (result->command));
    json_set_string (member, "class", result->class);
    json_set_string (member, "reason", result->reason);
    json_set_string (member, "detail", result->detail);
    json_set_string (member, "request_id", result->request_id);
  }
  send_answer (control, client, json);
}

/* Tells those who wait what has come of their commands. */
static void
answer_results (struct control *control)
{
  struct desk_result result;

  for (size_t i = 0; i < CLIENTS_MAX; i++) {
    struct client *client = &control->clients[i];

    if (client->fd < 0 || client->ticket == 0
        || !keymon_result (control->keymon, client->ticket, &result))
      continue;
    client->ticket = 0;
    send_result (control, client, &result);
    answer_lines (control, client);
  }
}

static void
serve_client (struct control *control, struct client *client)
{
  ssize_t n = recv (client->fd, client->line + client->used, sizeof client->line - client->used,
                    MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    drop (control, client);
    return;
  }
  client->heard = ++control->heard;
  client->used += (size_t)n;
  answer_lines (control, client);
}

/* A free place, or that of the client that has been silent for longest: connections that nobody
 * uses keep no operator out.  NULL when all wait for results.
 */
static struct client *
place_for_client (struct control *control)
{
  struct client *oldest = NULL;

  for (size_t i = 0; i < CLIENTS_MAX; i++) {
    struct client *client = &control->clients[i];

    if (client->fd < 0)
      return client;
    if (client->ticket == 0 && (!oldest || client->heard < oldest->heard))
      oldest = client;
  }
  if (oldest)
    drop (control, oldest);
  return oldest;
}

static void
accept_client (struct control *control)
{
  int fd = accept4 (control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
  struct client *client;

  if (fd < 0)
    return;
  client = place_for_client (control);
  if (!client) {
    close (fd);
    return;
  }
  client->fd = fd;
  client->ticket = 0;
  client->used = 0;
  client->heard = ++control->heard;
}

enum { POLL_WAKE, POLL_LISTEN, POLL_RESULT, POLL_CLIENTS };

/* A client that waits for a result is not listened to, but for its going. */
static void
fill_pollfds (const struct control *control, struct pollfd *pfds)
{
  pfds[POLL_WAKE] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
  pfds[POLL_LISTEN] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
  pfds[POLL_RESULT] = (struct pollfd){.fd = keymon_result_fd (control->keymon), .events = POLLIN};
  for (size_t i = 0; i < CLIENTS_MAX; i++) {
    const struct client *client = &control->clients[i];

    pfds[POLL_CLIENTS + i] =
        (struct pollfd){.fd = client->fd, .events = client->ticket == 0 ? POLLIN : 0};
  }
}

static void
take_results (struct control *control)
{
  uint64_t count;
  ssize_t n = read (keymon_result_fd (control->keymon), &count, sizeof count);

  (void)n;
  answer_results (control);
}

static void *
run (void *opaque)
{
  struct control *control = opaque;
  struct pollfd pfds[POLL_CLIENTS + CLIENTS_MAX];

  for (;;) {
    fill_pollfds (control, pfds);
    if (poll (pfds, ARRAY_SIZE (pfds), -1) < 0)
      continue;
    if (pfds[POLL_WAKE].revents)
      return NULL;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
      if (pfds[POLL_CLIENTS + i].revents == 0)
        continue;
      if (control->clients[i].ticket != 0)
        drop (control, &control->clients[i]);
      else
        serve_client (control, &control->clients[i]);
    }
    if (pfds[POLL_RESULT].revents)
      take_results (control);
    if (pfds[POLL_LISTEN].revents)
      accept_client (control);
  }
}

/* ---- the socket ---- */

/* Removes a socket that nobody listens to any more. */
static int
remove_stale (const char *path, struct error *err)
{
  int r = unix_socket_remove_stale (path);

  if (r == -ENOTSOCK)
    return error_set (err, ERROR_USAGE, "control socket %s: something else is in its place", path);
  if (r == -EADDRINUSE)
    return error_set (
        err, ERROR_BUSY,
        "control socket %s is in use by another server: choose another place with control=", path);
  return r < 0 ? error_set_errno (err, -r, "control socket %s", path) : 0;
}

static int
listen_at (struct control *control, struct error *err)
{
  struct sockaddr_un address;
  struct stat st;

  if (unix_socket_address (control->path, &address) < 0)
    return error_set (err, ERROR_USAGE, "control socket %s: the path is longer than %zu bytes",
                      control->path, UNIX_SOCKET_PATH_MAX);
  if (remove_stale (control->path, err) < 0)
    return -1;
  control->listen_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (control->listen_fd < 0)
    return error_set_errno (err, errno, "control socket");
  /* Linux gives the socket's file the mode that the socket has, so it is never open to others. */
  if (fchmod (control->listen_fd, 0600) < 0
      || bind (control->listen_fd, (struct sockaddr *)&address, sizeof address) < 0
      || listen (control->listen_fd, CLIENTS_MAX) < 0 || lstat (control->path, &st) < 0)
    return error_set_errno (err, errno, "control socket %s", control->path);
  control->inode = st.st_ino;
  return 0;
}

static int
start_thread (struct control *control, struct error *err)
{
  int r;

  control->wake_fd = eventfd (0, EFD_CLOEXEC);
  if (control->wake_fd < 0)
    return error_set_errno (err, errno, "making an eventfd");
  r = pthread_create (&control->thread, NULL, run, control);
  if (r != 0)
    return error_set_errno (err, r, "starting a thread");
  control->thread_runs = true;
  return 0;
}

static char *
choose_path (const struct volume *volume)
{
  if (!volume->params.control)
    return path_socket (volume->info.uuid, "sock", true);
  return strcmp (volume->params.control, "none") == 0 ? NULL : strdup (volume->params.control);
}

int
control_start (struct volume *volume, struct keymon *keymon, struct control **ret_control,
               struct error *err)
{
  CLEANUP_FREE char *path = choose_path (volume);
  struct control *control;

  *ret_control = NULL;
  if (!path)
    return 0;
  control = calloc (1, sizeof *control);
  if (!control)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  control->volume = volume;
  control->keymon = keymon;
  control->path = path;
  path = NULL;
  control->listen_fd = control->wake_fd = -1;
  for (size_t i = 0; i < CLIENTS_MAX; i++)
    control->clients[i].fd = -1;
  if (listen_at (control, err) < 0 || start_thread (control, err) < 0) {
    control_stop (control);
    return -1;
  }
  *ret_control = control;
  return 0;
}

static void
remove_socket (const struct control *control)
{
  struct stat st;

  if (control->inode != 0 && lstat (control->path, &st) == 0 && st.st_ino == control->inode)
    unlink (control->path);
}

void
control_stop (struct control *control)
{
  if (!control)
    return;
  if (control->thread_runs) {
    eventfd_signal (control->wake_fd);
    pthread_join (control->thread, NULL);
  }
  remove_socket (control);
  for (size_t i = 0; i < CLIENTS_MAX; i++)
    if (control->clients[i].fd >= 0)
      close (control->clients[i].fd);
  if (control->listen_fd >= 0)
    close (control->listen_fd);
  if (control->wake_fd >= 0)
    close (control->wake_fd);
  free (control->path);
  free (control);
}
