/* notify.c owns the notifications: each state change is given to somebody who posts it, since this
 * process has no network: a child, the agent's program in its one-shot mode (kms/notify.h), or the
 * agent that listens elsewhere, over a connection of our own.
 *
 * The URL may hold a token, as those of webhooks do: it lies in secret memory, is given away by a
 * socket, and neither logs nor lists of processes ever show more than its scheme and host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/text.h"
#include "crypto/secret.h"
#include "kms/client.h"
#include "nbd-plugin/tell/child.h"
#include "nbd-plugin/tell/teller.h"
#include "nbd-plugin/tell/tries.h"

extern char **environ;

#define URL_MAX 2048
#define HOST_MAX 260         /* with a port */
#define CHILD_LIMIT_MS 15000 /* the child itself gives up after 10 s */

struct notify {
  char *agent;               /* the program, or NULL for … */
  struct kms_client *client; /* … one that listens */
  struct secret url;         /* with a NUL */
  char to[HOST_MAX + 10];    /* "https://host:port" */
};

/* ---- the URL ---- */

static int
refuse (struct error *err, const char *why)
{
  return error_set (err, ERROR_USAGE, "parameter notify-url: %s", why);
}

static int
take_text (const char *text, size_t length, struct secret *ret_url, struct error *err)
{
  if (length == 0 || length > URL_MAX)
    return refuse (err, "the URL is empty, or longer than 2048 characters");
  if (secret_init (ret_url, length + 1, err) < 0)
    return -1;
  memcpy (ret_url->bytes, text, length);
  return 0;
}

/* The first line of a file, so that the URL is on no command line. */
static int
read_url (const char *path, struct secret *ret_url, struct error *err)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  CLEANUP_SECRET struct secret text = {0};
  ssize_t n;

  if (path[0] != '/')
    return refuse (err, "the path of the file behind + must be absolute");
  if (secret_init (&text, URL_MAX + 2, err) < 0)
    return -1;
  n = fd < 0 ? -1 : read (fd, text.bytes, text.size - 1);
  if (n < 0)
    return error_set_errno (err, errno, "parameter notify-url: %s", path);
  return take_text ((char *)text.bytes, strcspn ((char *)text.bytes, "\r\n"), ret_url, err);
}

/* Whether plain http may be spoken to it.  The agent asks again, of the parser that will be used.
 */
static bool
is_loopback (const char *host)
{
  struct in_addr v4;

  return strcmp (host, "localhost") == 0 || strcmp (host, "[::1]") == 0
         || (inet_pton (AF_INET, host, &v4) == 1 && ntohl (v4.s_addr) >> 24 == 127);
}

/* Strict, so that there is one way to read it: scheme://host[:port][/…], printable ASCII. */
static int
check_url (struct notify *notify, struct error *err)
{
  static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789.-_:[]";
  const char *url = (const char *)notify->url.bytes;
  bool tls = strncmp (url, "https://", 8) == 0;
  const char *start = url + (tls ? 8 : 7);
  size_t length;
  char host[HOST_MAX];

  if (!tls && strncmp (url, "http://", 7) != 0)
    return refuse (err, "it must begin with https:// (or http://, for this machine)");
  for (const char *p = url; *p; p++)
    if (*p <= 0x20 || *p >= 0x7f)
      return refuse (err, "a blank or a character that is not ASCII is in it: write it as %XX");
  length = strcspn (start, "/?#");
  if (length == 0 || length >= sizeof host || strspn (start, host_characters) < length)
    return refuse (err, "there must be a host behind ://, and no user name or password");
  snprintf (notify->to, sizeof notify->to, "%.*s", (int)(start - url + (ptrdiff_t)length), url);
  snprintf (host, sizeof host, "%.*s", (int)length, start);
  if (host[0] == '[')
    host[strcspn (host, "]") + 1] = '\0';
  else
    host[strcspn (host, ":")] = '\0';
  if (!tls && !is_loopback (host))
    return refuse (err, "plain http:// is for this machine only: use https://");
  return 0;
}

/* ---- the child ---- */

/* A socket that holds URL, newline and body, and then ends; the child's end in *ret_theirs, which
 * is out of the way of stdin, stdout and stderr.
 */
static int
fill_socket (const struct notify *notify, const char *body, int *ret_ours, int *ret_theirs)
{
  int fds[2];
  CLEANUP_CLOSE int ours = -1, theirs = -1;
  const struct iovec parts[] = {
      {.iov_base = notify->url.bytes, .iov_len = notify->url.size - 1},
      {.iov_base = (char[]){'\n'}, .iov_len = 1},
      {.iov_base = (void *)(uintptr_t)body, .iov_len = strlen (body)},
  };

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    return -1;
  ours = fds[0];
  theirs = fcntl (fds[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  close (fds[1]);
  for (size_t i = 0; i < ARRAY_SIZE (parts); i++)
    if (send (ours, parts[i].iov_base, parts[i].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
        != (ssize_t)parts[i].iov_len)
      return -1;
  if (theirs < 0 || shutdown (ours, SHUT_WR) < 0)
    return -1;
  *ret_ours = ours;
  *ret_theirs = theirs;
  ours = theirs = -1;
  return 0;
}

/* What the child has said of its failure is better than its status. */
static void
read_answer (int fd, char ret_why[TRIES_WHY_MAX])
{
  char text[TRIES_WHY_MAX];
  ssize_t n = recv (fd, text, sizeof text - 1, MSG_DONTWAIT);

  if (n <= 0)
    return;
  text[n] = '\0';
  text[strcspn (text, "\n")] = '\0';
  kms_text_clean (text);
  memcpy (ret_why, text, sizeof text);
}

static int
post_once (struct lane *lane, const struct record *record, char ret_why[TRIES_WHY_MAX])
{
  static char mode[] = "--notify";
  const struct notify *notify = lane->self;
  CLEANUP_FREE char *body = record_print (record, &lane->teller->about);
  CLEANUP_CLOSE int ours = -1, theirs = -1;
  char *words[] = {notify->agent, mode, NULL};
  struct child child = {.words = words,
                        .environment = environ,
                        .limit_ms = CHILD_LIMIT_MS,
                        .abandoned = &lane->abandoned};
  int r;

  if (!body || fill_socket (notify, body, &ours, &theirs) < 0) {
    snprintf (ret_why, TRIES_WHY_MAX, "no memory or no descriptor is free");
    return -1;
  }
  child.io_fd = theirs;
  r = child_run (&child, ret_why);
  if (r < 0)
    read_answer (ours, ret_why);
  return r;
}

/* ---- the agent that listens ---- */

/* URL, newline and body; the body alone is no secret. */
static int
make_message (const struct notify *notify, const char *body, struct secret *ret, struct error *err)
{
  size_t url_size = notify->url.size - 1, body_size = strlen (body);

  if (secret_init (ret, url_size + 1 + body_size, err) < 0)
    return -1;
  memcpy (ret->bytes, notify->url.bytes, url_size);
  ret->bytes[url_size] = '\n';
  memcpy (ret->bytes + url_size + 1, body, body_size);
  return 0;
}

static int
ask_once (struct lane *lane, const struct record *record, char ret_why[TRIES_WHY_MAX])
{
  const struct notify *notify = lane->self;
  CLEANUP_FREE char *body = record_print (record, &lane->teller->about);
  CLEANUP_SECRET struct secret message = {0};
  struct kms_outcome outcome;
  struct error err;

  if (!body || make_message (notify, body, &message, &err) < 0) {
    snprintf (ret_why, TRIES_WHY_MAX, "no memory is free");
    return -1;
  }
  if (kms_client_notify (notify->client, &message, CHILD_LIMIT_MS, &outcome) == 0)
    return 0;
  text_print (ret_why, TRIES_WHY_MAX, "%s", outcome.text);
  return -1;
}

/* ---- its lane ---- */

static void
notify_deliver (struct lane *lane, const struct record *record)
{
  const struct notify *notify = lane->self;

  tries_deliver (lane, record, "notify", notify->to, notify->client ? ask_once : post_once);
}

static void
notify_close (void *self)
{
  struct notify *notify = self;

  if (!notify)
    return;
  secret_clear (&notify->url);
  kms_client_free (notify->client);
  free (notify->agent);
  free (notify);
}

static int
find_agent (struct notify *notify, const struct tell_params *params, struct error *err)
{
  if (params->agent_socket)
    return kms_client_new_at (params->agent_socket, &notify->client, err);
  if (!params->agent)
    return error_set (err, ERROR_SYSTEM, "parameter notify-url: there is no agent's program");
  notify->agent = strdup (params->agent);
  return notify->agent ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}

static int
fill (struct notify *notify, const struct tell_params *params, struct error *err)
{
  const char *url = params->notify_url;

  if (find_agent (notify, params, err) < 0)
    return -1;
  if ((url[0] == '+' ? read_url (url + 1, &notify->url, err)
                     : take_text (url, strlen (url), &notify->url, err))
      < 0)
    return -1;
  return check_url (notify, err);
}

static int
notify_open (const struct tell_params *params, void **ret_self, struct error *err)
{
  struct notify *notify;

  if (!params->notify_url)
    return 0;
  notify = calloc (1, sizeof *notify);
  if (!notify)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (fill (notify, params, err) < 0) {
    notify_close (notify);
    return -1;
  }
  *ret_self = notify;
  return 0;
}

const struct lane_work work_notify = {
    .name = "notify-url",
    .kinds = RECORD_BIT (RECORD_CHANGE),
    .open = notify_open,
    .deliver = notify_deliver,
    .close = notify_close,
};
