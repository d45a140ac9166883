/* qmp.c owns the client's side of QMP. */
#include "tools/machines/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io.h"
#include "common/unix-socket.h"

#define COMMAND_MAX 256

struct qmp {
  const char *path;
  uint64_t deadline_ms;
  unsigned last_id;
  int fd;
  struct qmp_scanner scanner;
  size_t used;
  char buffer[QMP_MESSAGE_MAX];
};

/* ---- messages in a stream ---- */

/* Braces and brackets, outside of strings.  Whether they match is the parser's to find out. */
static void
scan_byte (struct qmp_scanner *scanner, char c)
{
  if (scanner->escaped)
    scanner->escaped = false;
  else if (scanner->in_string && c == '\\')
    scanner->escaped = true;
  else if (c == '"')
    scanner->in_string = !scanner->in_string;
  else if (!scanner->in_string && (c == '{' || c == '['))
    scanner->depth++;
  else if (!scanner->in_string && (c == '}' || c == ']'))
    scanner->depth--;
}

static bool
is_white_space (char c)
{
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

ssize_t
qmp_scan (struct qmp_scanner *scanner, const char *text, size_t used)
{
  while (scanner->scanned < used) {
    char c = text[scanner->scanned];

    if (scanner->depth == 0 && c != '{' && !is_white_space (c))
      return -1;
    scanner->scanned++;
    if (scanner->depth == 0 && c != '{')
      continue;
    scan_byte (scanner, c);
    if (scanner->depth == 0)
      return (ssize_t)scanner->scanned;
  }
  return 0;
}

/* ---- the socket ---- */

/* Waits until the socket is ready; false at the deadline. */
static bool
wait_ready (const struct qmp *qmp, short events)
{
  struct pollfd pollfd = {.fd = qmp->fd, .events = events};
  uint64_t now_ms;

  while ((now_ms = clock_ms ()) < qmp->deadline_ms)
    if (poll (&pollfd, 1, (int)(qmp->deadline_ms - now_ms)) > 0)
      return true;
  return false;
}

static int
no_answer (const struct qmp *qmp, struct error *err)
{
  return error_set (err, ERROR_UNAVAILABLE,
                    "%s: no answer in time: QMP serves one client at a time, is another program "
                    "connected?",
                    qmp->path);
}

static int
not_qmp (const struct qmp *qmp, struct error *err)
{
  return error_set (err, ERROR_UNAVAILABLE,
                    "%s: what answers there does not speak QMP: name the socket of QEMU's option "
                    "-qmp",
                    qmp->path);
}

static int
send_all (struct qmp *qmp, const char *text, size_t length, struct error *err)
{
  while (length > 0) {
    ssize_t n = send (qmp->fd, text, length, MSG_NOSIGNAL);

    if (n > 0) {
      text += n;
      length -= (size_t)n;
    }
    else if (n < 0 && errno == EAGAIN && !wait_ready (qmp, POLLOUT))
      return no_answer (qmp, err);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
      return error_set_errno (err, errno, "%s", qmp->path);
  }
  return 0;
}

/* More bytes into the buffer, which has room. */
static int
receive_some (struct qmp *qmp, struct error *err)
{
  ssize_t n;

  do {
    if (!wait_ready (qmp, POLLIN))
      return no_answer (qmp, err);
    n = read (qmp->fd, qmp->buffer + qmp->used, sizeof qmp->buffer - qmp->used);
  } while (n < 0 && (errno == EAGAIN || errno == EINTR));
  if (n < 0)
    return error_set_errno (err, errno, "%s", qmp->path);
  if (n == 0)
    return error_set (err, ERROR_UNAVAILABLE, "%s: the machine hung up", qmp->path);
  qmp->used += (size_t)n;
  return 0;
}

/* The first `length` bytes of the buffer are a message: takes it out. */
static int
take_message (struct qmp *qmp, size_t length, struct json **ret_message, struct error *err)
{
  struct json *message = json_parse (qmp->buffer, length);

  memmove (qmp->buffer, qmp->buffer + length, qmp->used - length);
  qmp->used -= length;
  qmp->scanner = (struct qmp_scanner){0};
  if (!message)
    return not_qmp (qmp, err);
  *ret_message = message;
  return 0;
}

static int
receive_message (struct qmp *qmp, struct json **ret_message, struct error *err)
{
  for (;;) {
    ssize_t length = qmp_scan (&qmp->scanner, qmp->buffer, qmp->used);

    if (length > 0)
      return take_message (qmp, (size_t)length, ret_message, err);
    if (length < 0)
      return not_qmp (qmp, err);
    if (qmp->used == sizeof qmp->buffer)
      return error_set (err, ERROR_UNAVAILABLE, "%s: a message of more than %d bytes came",
                        qmp->path, QMP_MESSAGE_MAX);
    if (receive_some (qmp, err) < 0)
      return -1;
  }
}

/* ---- conversation ---- */

static int
refused (const struct qmp *qmp, const char *command, const struct json *error, struct error *err)
{
  const char *text = json_get_string (error, "desc");

  return error_set (err, ERROR_UNAVAILABLE, "%s: %s was refused: %s", qmp->path, command,
                    text ? text : "no reason was given");
}

static bool
is_reply (const struct qmp *qmp, const struct json *message)
{
  uint64_t id;

  return !json_get (message, "event") && json_get_uint64 (message, "id", &id) == 0
         && id == qmp->last_id;
}

int
qmp_ask (struct qmp *qmp, const char *command, const char *arguments, struct json **ret_reply,
         struct error *err)
{
  char text[COMMAND_MAX];
  int length =
      snprintf (text, sizeof text, "{\"execute\": \"%s\", \"arguments\": %s, \"id\": %u}\n",
                command, arguments ? arguments : "{}", ++qmp->last_id);

  if (length < 0 || (size_t)length >= sizeof text)
    return error_set (err, ERROR_SYSTEM, "%s: the command is too long", command);
  if (send_all (qmp, text, (size_t)length, err) < 0)
    return -1;
  for (;;) {
    CLEANUP_JSON struct json *message = NULL;

    if (receive_message (qmp, &message, err) < 0)
      return -1;
    if (!is_reply (qmp, message))
      continue;
    if (json_get (message, "error"))
      return refused (qmp, command, json_get (message, "error"), err);
    if (!json_get (message, "return"))
      return not_qmp (qmp, err);
    *ret_reply = message;
    message = NULL;
    return 0;
  }
}

static int
negotiate (struct qmp *qmp, struct error *err)
{
  CLEANUP_JSON struct json *greeting = NULL, *reply = NULL;

  if (receive_message (qmp, &greeting, err) < 0)
    return -1;
  if (!json_is_object (json_get (greeting, "QMP")))
    return not_qmp (qmp, err);
  return qmp_ask (qmp, "qmp_capabilities", NULL, &reply, err);
}

static int
connect_to (const char *path, int *ret_fd, struct error *err)
{
  int r = unix_socket_connect (path, SOCK_STREAM, ret_fd);

  if (r == -ENOENT || r == -ECONNREFUSED)
    return error_set (err, ERROR_NOT_FOUND, "%s: no machine listens there", path);
  return r < 0 ? unix_socket_error (path, r, err) : 0;
}

int
qmp_open (const char *socket_path, uint64_t deadline_ms, struct qmp **ret, struct error *err)
{
  CLEANUP_QMP struct qmp *qmp = calloc (1, sizeof *qmp);

  if (!qmp)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  qmp->path = socket_path;
  qmp->deadline_ms = deadline_ms;
  qmp->fd = -1;
  if (connect_to (socket_path, &qmp->fd, err) < 0 || negotiate (qmp, err) < 0)
    return -1;
  *ret = qmp;
  qmp = NULL;
  return 0;
}

void
qmp_close (struct qmp *qmp)
{
  if (!qmp)
    return;
  if (qmp->fd >= 0)
    close (qmp->fd);
  free (qmp);
}

void
cleanup_qmp (struct qmp **qmp)
{
  qmp_close (*qmp);
}
