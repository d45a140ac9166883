/* control.c owns the control socket. */
#include "nbd-plugin/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/json.h"
#include "common/paths.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/status.h"

#define CLIENTS_MAX 16
#define LINE_MAX_BYTES 1024

struct client {
  int fd; /* -1: free */
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
  struct client clients[CLIENTS_MAX];
};

/* ---- commands ---- */

static struct json *
command_status (struct control *control)
{
  return status_new (control->volume, control->keymon);
}

static const struct {
  const char *name;
  struct json *(*run) (struct control *control);
} commands[] = {
    {"status", command_status},
};

static struct json *
run_command (struct control *control, const char *line)
{
  struct json *json;

  for (size_t i = 0; i < ARRAY_SIZE (commands); i++)
    if (strcmp (line, commands[i].name) == 0)
      return commands[i].run (control);
  json = json_object_new ();
  if (json)
    json_set_string (json, "error", "there is no such command");
  return json;
}

/* ---- clients ---- */

static void
drop (struct client *client)
{
  close (client->fd);
  client->fd = -1;
}

/* Sends the whole answer or drops the client: an answer fits into a socket's buffer. */
static void
answer (struct control *control, struct client *client, const char *line)
{
  CLEANUP_JSON struct json *json = run_command (control, line);
  CLEANUP_FREE char *text = json ? json_print (json, false) : NULL;
  size_t length;

  if (!text) {
    drop (client);
    return;
  }
  length = strlen (text);
  text[length] = '\n'; /* in the place of the NUL */
  if (send (client->fd, text, length + 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length + 1)
    drop (client);
}

/* Answers every whole line that has come. */
static void
answer_lines (struct control *control, struct client *client)
{
  char *newline;

  while (client->fd >= 0 && (newline = memchr (client->line, '\n', client->used)) != NULL) {
    size_t length = (size_t)(newline - client->line) + 1;

    *newline = '\0';
    answer (control, client, client->line);
    client->used -= length;
    memmove (client->line, client->line + length, client->used);
  }
  if (client->fd >= 0 && client->used == sizeof client->line)
    drop (client);
}

static void
serve_client (struct control *control, struct client *client)
{
  ssize_t n = recv (client->fd, client->line + client->used, sizeof client->line - client->used,
                    MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    drop (client);
    return;
  }
  client->used += (size_t)n;
  answer_lines (control, client);
}

static void
accept_client (struct control *control)
{
  int fd = accept4 (control->listen_fd, NULL, NULL, SOCK_CLOEXEC);

  if (fd < 0)
    return;
  for (size_t i = 0; i < CLIENTS_MAX; i++) {
    struct client *client = &control->clients[i];

    if (client->fd < 0) {
      client->fd = fd;
      client->used = 0;
      return;
    }
  }
  close (fd);
}

static void *
run (void *opaque)
{
  struct control *control = opaque;
  struct pollfd pfds[2 + CLIENTS_MAX];

  for (;;) {
    pfds[0] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
    pfds[1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
    for (size_t i = 0; i < CLIENTS_MAX; i++)
      pfds[2 + i] = (struct pollfd){.fd = control->clients[i].fd, .events = POLLIN};
    if (poll (pfds, ARRAY_SIZE (pfds), -1) < 0)
      continue;
    if (pfds[0].revents)
      return NULL;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
      if (pfds[2 + i].revents)
        serve_client (control, &control->clients[i]);
    if (pfds[1].revents)
      accept_client (control);
  }
}

/* ---- the socket ---- */

/* Removes a socket that nobody listens to any more. */
static int
remove_stale (const struct sockaddr_un *address, struct error *err)
{
  CLEANUP_CLOSE int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct stat st;

  if (lstat (address->sun_path, &st) < 0)
    return errno == ENOENT ? 0
                           : error_set_errno (err, errno, "control socket %s", address->sun_path);
  if (!S_ISSOCK (st.st_mode))
    return error_set (err, ERROR_USAGE, "control socket %s: something else is in its place",
                      address->sun_path);
  if (fd >= 0 && connect (fd, (const struct sockaddr *)address, sizeof *address) < 0
      && errno == ECONNREFUSED && unlink (address->sun_path) == 0)
    return 0;
  return error_set (
      err, ERROR_BUSY,
      "control socket %s is in use by another server: choose another place with control=",
      address->sun_path);
}

static int
listen_at (struct control *control, struct error *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat st;

  if (strlen (control->path) >= sizeof address.sun_path)
    return error_set (err, ERROR_USAGE, "control socket %s: the path is longer than %zu bytes",
                      control->path, sizeof address.sun_path - 1);
  memcpy (address.sun_path, control->path, strlen (control->path) + 1);
  if (remove_stale (&address, err) < 0)
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
  uint64_t one = 1;

  if (!control)
    return;
  if (control->thread_runs && write_full (control->wake_fd, &one, sizeof one) == 0)
    pthread_join (control->thread, NULL);
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
