/* server.c owns the listening sockets: which new connection speaks TLS, who gets it. */
#include "tools/sim/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/sim/ctl.h"
#include "tools/sim/http.h"
#include "tools/sim/tls.h"

#define LISTEN_MAX 2
#define WAITING_MAX 128           /* connections that have not sent a byte yet */
#define FIRST_BYTE_MS (30 * 1000) /* how long they may take */
#define TLS_HANDSHAKE 0x16        /* RFC 8446, section 5.1 */
#define PEM_MAX (64 * 1024)

struct waiting {
  int fd;
  uint64_t until_ms;
  struct sockaddr_storage address;
  socklen_t size;
};

struct server {
  struct sim *sim;
  char *cert_pem, *key_pem;
  int listen_fds[LISTEN_MAX];
  size_t listen_count;
  int ctl_fd;
  struct http *http;
  struct waiting waiting[WAITING_MAX];
  size_t waiting_count;
};

/* ---- listening --------------------------------------------------------------------------------
 */

static int
listen_on (const char *address, uint16_t port, struct error *err)
{
  struct addrinfo hints = {.ai_family = AF_UNSPEC,
                           .ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
  struct addrinfo *info;
  char service[8];
  int fd, one = 1;

  snprintf (service, sizeof service, "%u", port);
  if (getaddrinfo (address, service, &hints, &info) != 0)
    return error_set (err, ERROR_USAGE, "'%s' is not a numeric IP address", address);
  fd = socket (info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (info->ai_family == AF_INET6)
      setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind (fd, info->ai_addr, info->ai_addrlen) == 0 && listen (fd, 128) == 0) {
      freeaddrinfo (info);
      return fd;
    }
  }
  error_set_errno (err, errno, "can't listen on %s port %u", address, port);
  if (fd >= 0)
    close (fd);
  freeaddrinfo (info);
  return -1;
}

static uint16_t
port_of (int fd)
{
  struct sockaddr_storage address;
  socklen_t size = sizeof address;

  if (getsockname (fd, (struct sockaddr *)&address, &size) < 0)
    return 0;
  if (address.ss_family == AF_INET6)
    return ntohs (((struct sockaddr_in6 *)&address)->sin6_port);
  return ntohs (((struct sockaddr_in *)&address)->sin_port);
}

static int
open_sockets (struct server *server, const struct server_options *options, struct error *err)
{
  const char *address = options->address ? options->address : "127.0.0.1";
  int fd = listen_on (address, options->port, err);

  if (fd < 0)
    return -1;
  server->listen_fds[server->listen_count++] = fd;
  server->sim->port = port_of (fd);
  if (!options->address) {
    fd = listen_on ("::1", server->sim->port, NULL);
    if (fd >= 0)
      server->listen_fds[server->listen_count++] = fd;
  }
  server->ctl_fd = ctl_listen (server->sim, err);
  return server->ctl_fd < 0 ? -1 : 0;
}

static int
load_certificate (struct server *server, const struct server_options *options, struct error *err)
{
  int r;

  if (!options->tls_cert)
    return tls_load (server->sim->dir_fd, &server->cert_pem, &server->key_pem, err);
  r = read_file (options->tls_cert, PEM_MAX, &server->cert_pem, NULL);
  if (r < 0)
    return error_set_errno (err, -r, "can't read %s", options->tls_cert);
  r = read_file (options->tls_key, PEM_MAX, &server->key_pem, NULL);
  if (r < 0)
    return error_set_errno (err, -r, "can't read %s", options->tls_key);
  return 0;
}

int
server_new (struct sim *sim, const struct server_options *options, struct server **ret,
            struct error *err)
{
  struct server *server = calloc (1, sizeof *server);

  if (!server)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  server->sim = sim;
  server->ctl_fd = -1;
  if (load_certificate (server, options, err) < 0 || open_sockets (server, options, err) < 0) {
    server_free (server);
    return -1;
  }
  *ret = server;
  return 0;
}

void
server_free (struct server *server)
{
  if (!server)
    return;
  sim_stop (server->sim);
  http_free (server->http);
  for (size_t i = 0; i < server->waiting_count; i++)
    close (server->waiting[i].fd);
  for (size_t i = 0; i < server->listen_count; i++)
    close (server->listen_fds[i]);
  if (server->ctl_fd >= 0) {
    ctl_unlink (server->sim);
    close (server->ctl_fd);
  }
  free (server->cert_pem);
  free (server->key_pem);
  free (server);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void
accept_one (struct server *server, int listen_fd)
{
  struct waiting *one = &server->waiting[server->waiting_count];

  one->size = sizeof one->address;
  one->fd = accept4 (listen_fd, (struct sockaddr *)&one->address, &one->size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (one->fd < 0)
    return;
  one->until_ms = clock_ms () + FIRST_BYTE_MS;
  server->waiting_count++;
}

/* The first byte tells TLS from HTTP.  Returns false when there is none yet. */
static bool
hand_over (struct server *server, struct waiting *one, bool readable)
{
  uint8_t byte;
  ssize_t r = readable ? recv (one->fd, &byte, 1, MSG_PEEK) : -1;

  if (r == 1)
    http_serve (server->http, one->fd, byte == TLS_HANDSHAKE, (struct sockaddr *)&one->address,
                one->size);
  else if (r == 0 || (readable && errno != EAGAIN && errno != EINTR)
           || clock_ms () >= one->until_ms)
    close (one->fd);
  else
    return false;
  return true;
}

static void
hand_over_all (struct server *server, const struct pollfd *fds)
{
  size_t kept = 0;

  for (size_t i = 0; i < server->waiting_count; i++)
    if (!hand_over (server, &server->waiting[i], fds[i].revents != 0))
      server->waiting[kept++] = server->waiting[i];
  server->waiting_count = kept;
}

int
server_run (struct server *server, int stop_fd, struct error *err)
{
  if (http_new (server->sim, server->cert_pem, server->key_pem, &server->http, err) < 0)
    return -1;
  for (;;) {
    struct pollfd fds[WAITING_MAX + LISTEN_MAX + 2];
    size_t waiting = server->waiting_count, n = 0;
    bool room = waiting + LISTEN_MAX <= WAITING_MAX;

    for (size_t i = 0; i < waiting; i++)
      fds[n++] = (struct pollfd){.fd = server->waiting[i].fd, .events = POLLIN};
    for (size_t i = 0; i < server->listen_count; i++)
      fds[n++] = (struct pollfd){.fd = room ? server->listen_fds[i] : -1, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = server->ctl_fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
    if (poll (fds, n, waiting > 0 ? 1000 : -1) < 0) {
      if (errno == EINTR)
        continue;
      return error_set_errno (err, errno, "poll");
    }
    if (fds[n - 1].revents)
      return 0;
    hand_over_all (server, fds);
    for (size_t i = 0; i < server->listen_count; i++)
      if (fds[waiting + i].revents)
        accept_one (server, server->listen_fds[i]);
    if (fds[n - 2].revents)
      ctl_accept (server->sim, server->ctl_fd);
  }
}
