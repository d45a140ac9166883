/* control-ask.c owns the client's end of control sockets. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/io.h"
#include "common/unix-socket.h"
#include "tools/control.h"

#define REPLY_MAX 262144

static int
connect_to (const char *path, int *ret_fd, struct error *err)
{
  int r = unix_socket_connect (path, SOCK_STREAM, ret_fd);

  if (r == -ENOENT || r == -ECONNREFUSED)
    return error_set (err, ERROR_NOT_FOUND, "no server listens at %s", path);
  return r < 0 ? unix_socket_error (path, r, err) : 0;
}

/* Reads up to the first newline, which becomes a NUL. */
static int
read_line (int fd, const char *path, uint64_t timeout_ms, char reply[REPLY_MAX], struct error *err)
{
  uint64_t deadline_ms = clock_ms () + timeout_ms, now_ms;
  size_t used = 0;

  while (used < REPLY_MAX && (now_ms = clock_ms ()) < deadline_ms) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    char *newline;
    ssize_t n;

    if (poll (&pollfd, 1, (int)(deadline_ms - now_ms)) <= 0)
      continue;
    n = read (fd, reply + used, REPLY_MAX - used);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n <= 0)
      return error_set (err, ERROR_UNAVAILABLE,
                        "%s: the server hung up: is it keyfence's control socket, and not the NBD "
                        "one?",
                        path);
    newline = memchr (reply + used, '\n', (size_t)n);
    used += (size_t)n;
    if (newline) {
      *newline = '\0';
      return 0;
    }
  }
  return error_set (err, ERROR_UNAVAILABLE, "%s: the server gave no answer within %g seconds", path,
                    (double)timeout_ms / 1000);
}

int
control_ask (const char *socket_path, const char *command, struct json **ret_reply,
             struct error *err)
{
  return control_ask_within (socket_path, command, CONTROL_TIMEOUT_MS, ret_reply, err);
}

int
control_ask_within (const char *socket_path, const char *command, uint64_t timeout_ms,
                    struct json **ret_reply, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  CLEANUP_FREE char *reply = malloc (REPLY_MAX);
  CLEANUP_FREE char *line = NULL;
  CLEANUP_JSON struct json *json = NULL;
  int length = asprintf (&line, "%s\n", command);

  if (length < 0)
    line = NULL;
  if (!reply || !line)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (connect_to (socket_path, &fd, err) < 0)
    return -1;
  if (send (fd, line, (size_t)length, MSG_NOSIGNAL) != length)
    return error_set_errno (err, errno, "%s", socket_path);
  if (read_line (fd, socket_path, timeout_ms, reply, err) < 0)
    return -1;
  json = json_parse (reply, strlen (reply));
  if (!json_is_object (json))
    return error_set (err, ERROR_UNAVAILABLE, "%s is not a control socket of keyfence",
                      socket_path);
  if (json_get_string (json, "error"))
    return error_set (err, ERROR_UNAVAILABLE, "%s: %s", socket_path,
                      json_get_string (json, "error"));
  *ret_reply = json;
  json = NULL;
  return 0;
}

int
control_check_volume (const char *socket_path, const char *uuid, uint64_t timeout_ms,
                      struct error *err)
{
  CLEANUP_JSON struct json *status = NULL;
  const char *volume;

  if (control_ask_within (socket_path, "status", timeout_ms, &status, err) < 0)
    return -1;
  volume = json_get_string (status, "volume");
  if (volume && strcmp (volume, uuid) == 0)
    return 0;
  return error_set (err, ERROR_FOREIGN, "%s serves another volume now", socket_path);
}
