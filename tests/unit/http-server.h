/* A web server in a thread, for tests: one canned answer a path, and what was asked is kept. */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_REQUEST_MAX 8192

/* `answer` is sent as it is; NULL: nothing, and the connection is held. */
struct canned {
  const char *path;
  const char *answer;
  size_t filler; /* so many 'x' behind it */
};

static struct server {
  int fd;
  unsigned port;
  pthread_t thread;
  const struct canned *table; /* ends with a path NULL */
  atomic_int connections;
  pthread_mutex_t lock; /* guards the request */
  char request[SERVER_REQUEST_MAX];
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void
server_send (int fd, const char *data, size_t size)
{
  while (size > 0) {
    ssize_t n = send (fd, data, size, MSG_NOSIGNAL);

    if (n <= 0)
      return;
    data += n;
    size -= (size_t)n;
  }
}

/* One whole request (with the body that Content-Length tells of), or 0. */
static inline size_t
server_receive (int fd, char *buf, size_t max)
{
  size_t used = 0, wanted = 0;

  while (used < max - 1) {
    ssize_t n = recv (fd, buf + used, max - 1 - used, 0);
    char *end, *length;

    if (n <= 0 || buf[0] == 0x16) /* a TLS handshake */
      return 0;
    used += (size_t)n;
    buf[used] = '\0';
    end = strstr (buf, "\r\n\r\n");
    if (!end)
      continue;
    length = strcasestr (buf, "content-length: ");
    wanted = (size_t)(end + 4 - buf) + (length ? strtoul (length + 16, NULL, 10) : 0);
    if (used >= wanted)
      return used;
  }
  return used;
}

static inline bool
server_answer (int fd, const char *request)
{
  for (const struct canned *c = server.table; c->path; c++) {
    char target[128];

    snprintf (target, sizeof target, " %s ", c->path);
    if (!strstr (request, target))
      continue;
    if (!c->answer)
      return true;
    server_send (fd, c->answer, strlen (c->answer));
    for (size_t i = 0; i < c->filler; i++)
      server_send (fd, "x", 1);
    return strstr (c->answer, "Connection: close") == NULL;
  }
  return false;
}

static inline void *
server_serve (void *arg)
{
  int fd = (int)(intptr_t)arg;
  char request[SERVER_REQUEST_MAX];

  while (server_receive (fd, request, sizeof request) > 0) {
    pthread_mutex_lock (&server.lock);
    memcpy (server.request, request, sizeof request);
    pthread_mutex_unlock (&server.lock);
    if (!server_answer (fd, request))
      break;
  }
  close (fd);
  return NULL;
}

static inline void *
server_accept (void *arg)
{
  int fd;

  (void)arg;
  while ((fd = accept4 (server.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
    pthread_t thread;

    atomic_fetch_add (&server.connections, 1);
    if (pthread_create (&thread, NULL, server_serve, (void *)(intptr_t)fd) == 0)
      pthread_detach (thread);
    else
      close (fd);
  }
  return NULL;
}

static inline int
server_start (const struct canned *table)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  socklen_t size = sizeof address;

  server.table = table;
  server.fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server.fd < 0 || bind (server.fd, (struct sockaddr *)&address, size) < 0
      || listen (server.fd, 16) < 0
      || getsockname (server.fd, (struct sockaddr *)&address, &size) < 0)
    return -1;
  server.port = ntohs (address.sin_port);
  return pthread_create (&server.thread, NULL, server_accept, NULL) == 0 ? 0 : -1;
}

static inline void
server_stop (void)
{
  shutdown (server.fd, SHUT_RDWR);
  pthread_join (server.thread, NULL);
  close (server.fd);
}

#endif
