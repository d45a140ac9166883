/* ctl.c owns the control socket, both ends of it. */
#include "tools/sim/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"

#define SOCKET_NAME "ctl.sock"
#define LINE_MAX_BYTES (256 * 1024)
#define ANSWER_MAX_BYTES (64 * 1024 * 1024)

static const struct ctl_command *const tables[] = {ctl_general, ctl_keys, ctl_aws, ctl_azure};

/* ---- words ------------------------------------------------------------------------------------
 */

const char *
ctl_word (const struct json *words, size_t i)
{
  return json_string_value (json_at (words, i));
}

const char *
ctl_option (const struct json *words, const char *option)
{
  for (size_t i = 0; i < json_size (words); i++)
    if (strcmp (ctl_word (words, i), option) == 0)
      return i + 1 < json_size (words) ? ctl_word (words, i + 1) : "";
  return NULL;
}

bool
ctl_switch (const struct json *words, const char *option)
{
  return ctl_option (words, option) != NULL;
}

char *
ctl_text (const char *fmt, ...)
{
  char *text;
  va_list args;

  va_start (args, fmt);
  if (vasprintf (&text, fmt, args) < 0)
    abort ();
  va_end (args);
  return text;
}

void
ctl_print_commands (FILE *f)
{
  for (size_t t = 0; t < ARRAY_SIZE (tables); t++)
    for (const struct ctl_command *c = tables[t]; c->name; c++)
      if (c->summary)
        fprintf (f, "  %s %s\n      %s\n", c->name, c->arguments, c->summary);
}

/* ---- serving ----------------------------------------------------------------------------------
 */

/* The address of the socket, short whatever the folder's path is. */
static void
set_address (int dir_fd, struct sockaddr_un *address)
{
  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  snprintf (address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", dir_fd,
            SOCKET_NAME);
}

int
ctl_listen (struct sim *sim, struct error *err)
{
  struct sockaddr_un address;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  mode_t mask;
  int r;

  if (fd < 0)
    return error_set_errno (err, errno, "can't make the control socket");
  set_address (sim->dir_fd, &address);
  if (connect (fd, (struct sockaddr *)&address, sizeof address) == 0) {
    close (fd);
    return error_set (err, ERROR_BUSY, "another keyfence-kms-sim runs on this state folder");
  }
  unlinkat (sim->dir_fd, SOCKET_NAME, 0);
  mask = umask (0177);
  r = bind (fd, (struct sockaddr *)&address, sizeof address);
  umask (mask);
  if (r < 0 || listen (fd, 16) < 0) {
    error_set_errno (err, errno, "can't make the control socket %s in the state folder",
                     SOCKET_NAME);
    close (fd);
    return -1;
  }
  return fd;
}

void
ctl_unlink (struct sim *sim)
{
  unlinkat (sim->dir_fd, SOCKET_NAME, 0);
}

/* Up to a newline or the end; a new string, or NULL. */
static char *
read_line (int fd, size_t max)
{
  char *line = NULL;
  size_t size = 0;

  for (;;) {
    char *more = realloc (line, size + 4096 + 1);
    ssize_t n;

    if (!more)
      abort ();
    line = more;
    n = read (fd, line + size, 4096);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 || size + (size_t)n > max) {
      free (line);
      return NULL;
    }
    size += (size_t)n;
    line[size] = '\0';
    if (n == 0 || line[size - 1] == '\n')
      return line;
  }
}

static bool
all_strings (const struct json *words)
{
  for (size_t i = 0; i < json_size (words); i++)
    if (!ctl_word (words, i))
      return false;
  return json_is_array (words) && json_size (words) > 0;
}

/* The words behind the first one, as a new array. */
static struct json *
behind_first (const struct json *words)
{
  struct json *rest = json_array_new ();

  if (!rest)
    abort ();
  for (size_t i = 1; i < json_size (words); i++)
    json_append_string (rest, ctl_word (words, i));
  return rest;
}

static int
run_command (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *name = all_strings (words) ? ctl_word (words, 0) : NULL;
  CLEANUP_JSON struct json *rest = name ? behind_first (words) : NULL;

  if (!name)
    return error_set (err, ERROR_USAGE, "a command is a JSON array of words");
  for (size_t t = 0; t < ARRAY_SIZE (tables); t++)
    for (const struct ctl_command *c = tables[t]; c->name; c++)
      if (c->run && strcmp (c->name, name) == 0) {
        LOCK_FOR_SCOPE (&sim->lock);
        return c->run (sim, rest, ret_text, err);
      }
  return error_set (err, ERROR_USAGE,
                    "no command is called '%.40s': see keyfence-kms-sim ctl "
                    "--help",
                    name);
}

static void
serve_line (struct sim *sim, int fd, const char *line)
{
  CLEANUP_JSON struct json *words = json_parse (line, strlen (line));
  CLEANUP_JSON struct json *answer = json_object_new ();
  CLEANUP_FREE
  char *text = NULL;
  CLEANUP_FREE
  char *printed = NULL;
  struct error err;

  if (!answer)
    abort ();
  if (run_command (sim, words, &text, &err) < 0)
    json_set_string (answer, "error", err.text);
  json_set_string (answer, "text", text ? text : "");
  printed = json_print (answer, false);
  if (printed && write_full (fd, printed, strlen (printed)) == 0 && write_full (fd, "\n", 1) == 0)
    return;
}

struct visitor {
  struct sim *sim;
  int fd;
};

static void *
serve_visitor (void *opaque)
{
  struct visitor *visitor = opaque;
  struct timeval patience = {.tv_sec = 10};
  CLEANUP_FREE
  char *line = NULL;

  setsockopt (visitor->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  line = read_line (visitor->fd, LINE_MAX_BYTES);
  if (line)
    serve_line (visitor->sim, visitor->fd, line);
  close (visitor->fd);
  free (visitor);
  return NULL;
}

void
ctl_accept (struct sim *sim, int ctl_fd)
{
  struct visitor *visitor = malloc (sizeof *visitor);
  pthread_attr_t attributes;
  pthread_t thread;

  if (!visitor)
    abort ();
  visitor->sim = sim;
  visitor->fd = accept4 (ctl_fd, NULL, NULL, SOCK_CLOEXEC);
  pthread_attr_init (&attributes);
  pthread_attr_setdetachstate (&attributes, PTHREAD_CREATE_DETACHED);
  if (visitor->fd < 0 || pthread_create (&thread, &attributes, serve_visitor, visitor) != 0) {
    if (visitor->fd >= 0)
      close (visitor->fd);
    free (visitor);
  }
  pthread_attr_destroy (&attributes);
}

/* ---- calling ----------------------------------------------------------------------------------
 */

static int
connect_to (const char *dir, struct error *err)
{
  CLEANUP_CLOSE int dir_fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct sockaddr_un address;
  int fd;

  if (dir_fd < 0)
    return error_set_errno (err, errno, "can't open the state folder %s", dir);
  set_address (dir_fd, &address);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *)&address, sizeof address) < 0) {
    if (fd >= 0)
      close (fd);
    return error_set (err, ERROR_NOT_FOUND,
                      "no keyfence-kms-sim runs on the state folder %s: start it with --dir %s",
                      dir, dir);
  }
  return fd;
}

static char *
words_line (char **words)
{
  CLEANUP_JSON struct json *array = json_array_new ();

  if (!array)
    abort ();
  for (; *words; words++)
    json_append_string (array, *words);
  return json_print (array, false);
}

int
ctl_call (const char *dir, char **words, char **ret_text, struct error *err)
{
  CLEANUP_CLOSE int fd = connect_to (dir, err);
  CLEANUP_FREE
  char *line = words_line (words);
  CLEANUP_FREE
  char *answer = NULL;
  CLEANUP_JSON struct json *json = NULL;
  const char *text;

  if (fd < 0)
    return -1;
  if (!line || write_full (fd, line, strlen (line)) < 0 || write_full (fd, "\n", 1) < 0
      || !(answer = read_line (fd, ANSWER_MAX_BYTES)))
    return error_set (err, ERROR_UNAVAILABLE, "the simulator does not answer");
  json = json_parse (answer, strlen (answer));
  text = json_get_string (json, "text");
  if (!text)
    return error_set (err, ERROR_UNAVAILABLE, "the simulator's answer makes no sense");
  *ret_text = strdup (text);
  if (json_get_string (json, "error"))
    return error_set (err, ERROR_USAGE, "%s", json_get_string (json, "error"));
  return *ret_text ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}
