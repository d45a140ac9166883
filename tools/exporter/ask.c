/* ask.c owns the exporter's conversations with servers. */
#include "tools/exporter/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"

#define AT_ONCE 256
#define CONNECT_AGAIN_MS 20 /* a server whose queue of connections is full is tried again */
#define FIRST_ROOM 8192

/* A conversation under way. */
struct talk {
  struct ask *ask; /* NULL: this place is free */
  int fd;
  bool connected;
  uint64_t until_ms;
  char *answer;
  size_t used, room;
};

static void
end (struct talk *talk)
{
  if (talk->fd >= 0)
    close (talk->fd);
  free (talk->answer);
  *talk = (struct talk){.fd = -1};
}

static void
end_with (struct talk *talk, const char *why)
{
  snprintf (talk->ask->error, sizeof talk->ask->error, "%s", why);
  end (talk);
}

/* What people can do about an errno of connect. */
static const char *
why_not_connected (int errnum)
{
  static const struct {
    int errnum;
    const char *why;
  } known[] = {
      {ECONNREFUSED, "nobody listens at its control socket: the server has died"},
      {ENOENT, "its control socket has just gone: the server has ended"},
      {EACCES, "permission denied: run the exporter as the user who serves the volume"},
      {EPERM, "permission denied: run the exporter as the user who serves the volume"},
  };

  for (size_t i = 0; i < ARRAY_SIZE (known); i++)
    if (known[i].errnum == errnum)
      return known[i].why;
  return strerror (errnum);
}

static void
connect_and_send (struct talk *talk, const char *command)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char line[32];
  int length = snprintf (line, sizeof line, "%s\n", command);

  memcpy (address.sun_path, talk->ask->path, strlen (talk->ask->path) + 1);
  if (connect (talk->fd, (struct sockaddr *)&address, sizeof address) < 0) {
    if (errno != EAGAIN && errno != EINTR)
      end_with (talk, why_not_connected (errno));
    return;
  }
  talk->connected = true;
  if (send (talk->fd, line, (size_t)length, MSG_NOSIGNAL) != length)
    end_with (talk, "the server hung up");
}

static void
begin (struct talk *talk, struct ask *ask, const char *command, uint64_t until_ms)
{
  struct sockaddr_un address;

  *talk = (struct talk){.ask = ask, .until_ms = until_ms};
  talk->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (talk->fd < 0)
    end_with (talk, strerror (errno));
  else if (strlen (ask->path) >= sizeof address.sun_path)
    end_with (talk, "the path of its control socket is too long for a socket");
  else
    connect_and_send (talk, command);
}

/* Reads once; the conversation is over at the first newline. */
static void
hear (struct talk *talk)
{
  char *newline, *more;
  ssize_t n;

  if (talk->used == talk->room) {
    size_t room = talk->room ? talk->room * 2 : FIRST_ROOM;

    if (room > ASK_ANSWER_MAX) {
      end_with (talk, "the server's answer is too long: is it another program's socket?");
      return;
    }
    more = realloc (talk->answer, room);
    if (!more) {
      end_with (talk, "out of memory");
      return;
    }
    talk->answer = more;
    talk->room = room;
  }
  n = read (talk->fd, talk->answer + talk->used, talk->room - talk->used);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    end_with (talk, "the server hung up without an answer");
    return;
  }
  newline = memchr (talk->answer + talk->used, '\n', (size_t)n);
  talk->used += (size_t)n;
  if (!newline)
    return;
  *newline = '\0';
  talk->ask->answer = talk->answer;
  talk->answer = NULL;
  end (talk);
}

/* Waits for something to happen, but not beyond the first deadline. */
static void
wait_and_hear (struct talk *talks, const char *command)
{
  struct pollfd fds[AT_ONCE];
  uint64_t now_ms = clock_ms (), until_ms = now_ms + ASK_EACH_MS;

  for (size_t i = 0; i < AT_ONCE; i++) {
    struct talk *talk = &talks[i];
    uint64_t mine_ms = talk->connected ? talk->until_ms : now_ms + CONNECT_AGAIN_MS;

    fds[i] = (struct pollfd){.fd = talk->ask && talk->connected ? talk->fd : -1, .events = POLLIN};
    if (talk->ask)
      until_ms = MIN (until_ms, mine_ms);
  }
  if (poll (fds, AT_ONCE, until_ms > now_ms ? (int)(until_ms - now_ms) : 0) < 0)
    return;
  now_ms = clock_ms ();
  for (size_t i = 0; i < AT_ONCE; i++) {
    struct talk *talk = &talks[i];

    if (talk->ask && !talk->connected)
      connect_and_send (talk, command);
    else if (talk->ask && fds[i].revents)
      hear (talk);
    if (talk->ask && now_ms >= talk->until_ms)
      end_with (talk, "the server gave no answer in time: it hangs, or has too much to do");
  }
}

static bool
any_under_way (const struct talk *talks)
{
  for (size_t i = 0; i < AT_ONCE; i++)
    if (talks[i].ask)
      return true;
  return false;
}

void
ask_all (struct ask *asks, size_t count, const char *command)
{
  struct talk talks[AT_ONCE];
  uint64_t end_ms = clock_ms () + ASK_TOTAL_MS;
  size_t next = 0;

  for (size_t i = 0; i < AT_ONCE; i++)
    talks[i] = (struct talk){.fd = -1};
  for (;;) {
    for (size_t i = 0; i < AT_ONCE; i++)
      while (!talks[i].ask && next < count) /* it may be over at once */
        begin (&talks[i], &asks[next++], command, MIN (clock_ms () + ASK_EACH_MS, end_ms));
    if (!any_under_way (talks))
      return;
    wait_and_hear (talks, command);
  }
}
