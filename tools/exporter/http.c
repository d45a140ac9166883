/* http.c owns libmicrohttpd in the exporter: who connects is bounded in number, size and time. */
#include "tools/exporter/http.h"

#include <stdlib.h>

#include <microhttpd.h>

#define CONNECTIONS_MAX 64
#define IDLE_S 15
#define REQUEST_MAX ((size_t)16 * 1024)

struct http {
  struct MHD_Daemon *daemon;
  struct router *router;
};

static enum MHD_Result
send_answer (struct MHD_Connection *connection, struct route_answer *answer)
{
  struct MHD_Response *response =
      MHD_create_response_from_buffer (answer->size, answer->body, MHD_RESPMEM_MUST_FREE);
  enum MHD_Result result;

  if (!response) {
    free (answer->body);
    return MHD_NO;
  }
  MHD_add_response_header (response, "Content-Type", answer->type);
  for (const struct route_header *h = route_headers; h->name; h++)
    MHD_add_response_header (response, h->name, h->value);
  if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
    MHD_add_response_header (response, "Allow", "GET, HEAD");
  result = MHD_queue_response (connection, answer->status, response);
  MHD_destroy_response (response);
  return result;
}

static enum MHD_Result
handle (void *opaque, struct MHD_Connection *connection, const char *path, const char *method,
        const char *version, const char *data, size_t *size, void **context)
{
  static char seen; /* its address marks a request whose header has been seen */
  struct http *http = opaque;
  struct route_answer answer;
  const char *host;

  (void)version;
  (void)data;
  if (!*context) {
    *context = &seen;
    return MHD_YES;
  }
  if (*size > 0) { /* what a request brings along is of no interest */
    *size = 0;
    return MHD_YES;
  }
  host = MHD_lookup_connection_value (connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
  if (route (http->router, method, host, path, &answer) < 0)
    return MHD_NO;
  return send_answer (connection, &answer);
}

int
http_new (int fd, struct router *router, struct http **ret, struct error *err)
{
  struct http *http = calloc (1, sizeof *http);

  if (!http) {
    close (fd);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  http->router = router;
  http->daemon =
      MHD_start_daemon (MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, http,
                        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
                        MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MAX, MHD_OPTION_END);
  if (!http->daemon) {
    free (http);
    close (fd);
    return error_set (err, ERROR_SYSTEM, "the web server does not start");
  }
  *ret = http;
  return 0;
}

void
http_free (struct http *http)
{
  if (!http)
    return;
  MHD_stop_daemon (http->daemon); /* closes the listening socket, too */
  free (http);
}
