/* service.c owns the messages to the service manager: datagrams to the socket of NOTIFY_SOCKET. */
#include "tools/attach/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/unix-socket.h"

static void
send_text (const char *text)
{
  const char *name = getenv ("NOTIFY_SOCKET");
  struct sockaddr_un address;
  socklen_t size;
  CLEANUP_CLOSE int fd = -1;

  if (!name || unix_socket_notify_address (name, &address, &size) < 0)
    return;
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) /* who manages us without listening is none of our business */
    (void)!sendto (fd, text, strlen (text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
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
