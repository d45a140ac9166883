/* agent-double: an agent that misbehaves in the way that KEYFENCE_TEST_DOUBLE names.  Each start
 * adds a byte to the file that KEYFENCE_TEST_STARTS names.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/message.h"

#define DENIED                                                       \
  "{\"class\":\"denied\",\"reason\":\"disabled\",\"text\":\"by the " \
  "double\",\"request_id\":\"r1\","                                  \
  "\"duration_ms\":7}"
#define OK "{\"class\":\"ok\",\"reason\":\"\",\"text\":\"\",\"request_id\":\"\",\"duration_ms\":1}"
#define PURPLE \
  "{\"class\":\"purple\",\"reason\":\"a\",\"text\":\"b\",\"request_id\":\"\",\"duration_ms\":1}"
#define MORE                                                                                     \
  "{\"class\":\"denied\",\"reason\":\"a\",\"text\":\"b\",\"request_id\":\"\",\"duration_ms\":1," \
  "\"volume_key\":\"\"}"

static uint8_t key[VOLUME_KEY_SIZE + 1]; /* kept: what a search of our memory must find */

static void
say (int fd, const void *data, size_t size)
{
  if (packet_send (fd, data, size, -1, clock_ms () + 10000) < 0)
    _exit (3);
}

static void
die (int fd)
{
  (void)fd;
  _exit (1);
}

static void
hang (int fd)
{
  (void)fd;
  for (;;)
    pause ();
}

static void
hang_up (int fd)
{
  (void)fd;
}

static void
say_garbage (int fd)
{
  say (fd, "}{", 2);
}

static void
say_too_much (int fd)
{
  static char much[MESSAGE_MAX + 1];

  memset (much, ' ', sizeof much);
  memcpy (much, DENIED, strlen (DENIED));
  say (fd, much, sizeof much);
}

static void
say_denied (int fd)
{
  say (fd, DENIED, strlen (DENIED));
}

static void
say_purple (int fd)
{
  say (fd, PURPLE, strlen (PURPLE));
}

static void
say_more (int fd)
{
  say (fd, MORE, strlen (MORE));
}

/* An ok and then no key. */
static void
say_ok (int fd)
{
  say (fd, OK, strlen (OK));
}

static void
say_ok_and_hang (int fd)
{
  say_ok (fd);
  hang (fd);
}

static void
give_key (int fd)
{
  say_ok (fd);
  say (fd, key, VOLUME_KEY_SIZE);
}

static void
give_short_key (int fd)
{
  say_ok (fd);
  say (fd, key, VOLUME_KEY_SIZE - 1);
}

static void
give_long_key (int fd)
{
  say_ok (fd);
  say (fd, key, VOLUME_KEY_SIZE + 1);
}

/* A word on the socket for calls, which is not for answers. */
static void
speak_up (int fd)
{
  say_denied (fd);
  say (MESSAGE_AGENT_FD, "hello", 5);
}

static const struct {
  const char *name;
  void (*answer) (int fd);
} ways[] = {
    {"die", die},
    {"hang", hang},
    {"hang_up", hang_up},
    {"say_garbage", say_garbage},
    {"say_too_much", say_too_much},
    {"say_denied", say_denied},
    {"say_purple", say_purple},
    {"say_more", say_more},
    {"say_ok", say_ok},
    {"say_ok_and_hang", say_ok_and_hang},
    {"give_key", give_key},
    {"give_short_key", give_short_key},
    {"give_long_key", give_long_key},
    {"speak_up", speak_up},
    {"stay", say_denied},
};

static void
note_start (void)
{
  const char *path = getenv ("KEYFENCE_TEST_STARTS");
  CLEANUP_CLOSE int fd = path ? open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

  if (fd >= 0 && write_full (fd, "x", 1) < 0)
    _exit (4);
}

int
main (void)
{
  static char packet[MESSAGE_MAX];
  const char *name = getenv ("KEYFENCE_TEST_DOUBLE");
  size_t way = 0;

  note_start ();
  if (!name || strcmp (name, "die_at_start") == 0)
    return 1;
  while (way < ARRAY_SIZE (ways) && strcmp (ways[way].name, name) != 0)
    way++;
  if (way == ARRAY_SIZE (ways))
    return 5;
  for (size_t i = 0; i < sizeof key; i++)
    key[i] = (uint8_t)(i * 5 + 3);
  for (;;) {
    CLEANUP_CLOSE int fd = -1;

    if (packet_recv (MESSAGE_AGENT_FD, packet, sizeof packet, &fd, UINT64_MAX) <= 0)
      break;
    ways[way].answer (fd);
  }
  if (strcmp (name, "stay") == 0)
    hang (-1);
  return 0;
}
