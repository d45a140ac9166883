/* service.c owns the messages to the service manager: datagrams to the socket of NOTIFY_SOCKET. */
#include "tools/attach/service.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"

static void
send_text (const char *text)
{
  const char *name = getenv ("NOTIFY_SOCKET");
  size_t length = name ? strlen (name) : 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  CLEANUP_CLOSE int fd = -1;

  if (length < 2 || length >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@'))
    return;
  memcpy (address.sun_path, name, length);
  if (name[0] == '@')
    address.sun_path[0] = '\0';
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) /* who manages us without listening is none of our business */
    (void)!sendto (fd, text, strlen (text), MSG_NOSIGNAL, (struct sockaddr *)&address,
                   (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length));
}

static void
send_status (const char *before, const char *status)
{
  char text[1024];

  snprintf (text, sizeof text, "%sSTATUS=%s", before, status);
  send_text (text);
}

void
service_ready (const char *status)
{
  send_status ("READY=1\n", status);
}

void
service_status (const char *status)
{
  send_status ("", status);
}
