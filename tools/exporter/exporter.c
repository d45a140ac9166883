/* exporter.c owns the exporter's life: its listening socket, and its end. */
#include "tools/exporter/exporter.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/parse.h"
#include "tools/exporter/http.h"

#define BACKLOG 64
#define ADDRESS_MAX 128

static void
free_info (struct addrinfo **info)
{
  if (*info)
    freeaddrinfo (*info);
}

/* Takes ADDRESS:PORT apart; *ret is for freeaddrinfo. */
static int
resolve (const char *listen_on, struct addrinfo **ret, struct error *err)
{
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
  const char *colon = strrchr (listen_on, ':');
  char address[ADDRESS_MAX], *name = address;
  size_t length = colon ? (size_t)(colon - listen_on) : 0;
  uint64_t port;

  if (length == 0 || length >= sizeof address || parse_uint (colon + 1, 0, 65535, &port, NULL) < 0)
    return error_set (err, ERROR_USAGE, "--listen %s: expected ADDRESS:PORT, as %s", listen_on,
                      EXPORTER_LISTEN);
  memcpy (address, listen_on, length);
  address[length] = '\0';
  if (address[0] == '[' && address[length - 1] == ']') {
    address[length - 1] = '\0';
    name++;
  }
  if (getaddrinfo (name, colon + 1, &hints, ret) != 0)
    return error_set (err, ERROR_USAGE,
                      "--listen %s: expected a numeric IP address and a port, as %s or [::1]:10819",
                      listen_on, EXPORTER_LISTEN);
  return 0;
}

static int
listen_at (const char *listen_on, int *ret_fd, struct error *err)
{
  CLEANUP (free_info) struct addrinfo *info = NULL;
  CLEANUP_CLOSE int fd = -1;
  int one = 1;

  if (resolve (listen_on, &info, err) < 0)
    return -1;
  fd = socket (info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return error_set_errno (err, errno, "a socket");
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind (fd, info->ai_addr, info->ai_addrlen) == 0 && listen (fd, BACKLOG) == 0) {
    *ret_fd = fd;
    fd = -1;
    return 0;
  }
  if (errno == EADDRINUSE)
    return error_set (err, ERROR_BUSY,
                      "--listen %s: something else listens there: choose another port", listen_on);
  return error_set_errno (err, errno, "--listen %s", listen_on);
}

/* Says where it listens: the port may have been chosen by the system. */
static void
print_url (int fd)
{
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char name[ADDRESS_MAX], port[16];

  if (getsockname (fd, (struct sockaddr *)&address, &size) < 0
      || getnameinfo ((struct sockaddr *)&address, size, name, sizeof name, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV)
             != 0)
    return;
  printf (strchr (name, ':') ? "http://[%s]:%s/\n" : "http://%s:%s/\n", name, port);
  fflush (stdout);
}

/* Signals are for the thread that waits for them: they are blocked before any other starts. */
static void
block_signals (sigset_t *ret_end)
{
  signal (SIGPIPE, SIG_IGN);
  sigemptyset (ret_end);
  sigaddset (ret_end, SIGINT);
  sigaddset (ret_end, SIGTERM);
  pthread_sigmask (SIG_BLOCK, ret_end, NULL);
}

int
exporter_run (const struct exporter_options *options, struct error *err)
{
  struct router *router = NULL;
  struct http *http = NULL;
  sigset_t end;
  int fd = -1, got, r;

  block_signals (&end);
  if (listen_at (options->listen ? options->listen : EXPORTER_LISTEN, &fd, err) < 0)
    return -1;
  print_url (fd);
  router = router_new (options->folder, options->hosts);
  if (!router) {
    close (fd);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  r = http_new (fd, router, &http, err);
  while (r == 0 && sigwait (&end, &got) != 0)
    ;
  http_free (http);
  router_free (router);
  return r;
}
