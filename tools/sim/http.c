/* http.c owns libmicrohttpd: requests come in whole and bounded, replies go out, or break on
 * command. */
#include "tools/sim/http.h"

#include <string.h>

#include <microhttpd.h>

#define CONNECTIONS_MAX 512
#define IDLE_S 60

struct http {
  struct MHD_Daemon *plain, *tls;
  struct sim *sim;
};

/* One request as it comes in. */
struct incoming {
  char *url;
  bool started, too_large;
  char *body;
  size_t size;
};

/* ---- receiving --------------------------------------------------------------------------------
 */

/* The first that is heard of a request: the URL as it was sent. */
static void *
begin (void *opaque, const char *uri, struct MHD_Connection *connection)
{
  struct incoming *in = calloc (1, sizeof *in);

  (void)opaque;
  (void)connection;
  if (in && strlen (uri) < REQUEST_URL_MAX)
    in->url = strdup (uri);
  return in;
}

static void
end (void *opaque, struct MHD_Connection *connection, void **context,
     enum MHD_RequestTerminationCode why)
{
  struct incoming *in = *context;

  (void)opaque;
  (void)connection;
  (void)why;
  if (!in)
    return;
  free (in->url);
  free (in->body);
  free (in);
  *context = NULL;
}

static void
append (struct incoming *in, const char *data, size_t size)
{
  char *more;

  if (in->too_large || size > REQUEST_BODY_MAX - in->size) {
    in->too_large = true;
    return;
  }
  more = realloc (in->body, in->size + size + 1);
  if (!more)
    abort ();
  memcpy (more + in->size, data, size);
  in->body = more;
  in->size += size;
  in->body[in->size] = '\0';
}

/* The path and query stay as they were sent: signatures are over them. */
static size_t
keep_escapes (void *opaque, struct MHD_Connection *connection, char *text)
{
  (void)opaque;
  (void)connection;
  return strlen (text);
}

static enum MHD_Result
take_header (void *opaque, enum MHD_ValueKind kind, const char *name, const char *value)
{
  struct request *request = opaque;

  (void)kind;
  if (request->header_count == REQUEST_HEADERS_MAX)
    return MHD_NO;
  request->headers[request->header_count++] = (struct request_header){name, value ? value : ""};
  return MHD_YES;
}

/* ---- answering --------------------------------------------------------------------------------
 */

/* Half of a body, and then the end of the connection. */
struct half {
  char *body;
  size_t size;
};

static ssize_t
read_half (void *opaque, uint64_t position, char *buf, size_t max)
{
  struct half *half = opaque;
  size_t left = position < half->size ? half->size - (size_t)position : 0;

  if (left == 0)
    return MHD_CONTENT_READER_END_WITH_ERROR;
  memcpy (buf, half->body + position, left < max ? left : max);
  return (ssize_t)(left < max ? left : max);
}

static void
free_half (void *opaque)
{
  struct half *half = opaque;

  free (half->body);
  free (half);
}

/* Takes the reply's body. */
static struct MHD_Response *
make_response (struct reply *reply)
{
  char *body = reply->body;
  struct half *half;

  reply->body = NULL;
  if (!reply->truncate)
    return MHD_create_response_from_buffer (reply->body_size, body, MHD_RESPMEM_MUST_FREE);
  half = malloc (sizeof *half);
  if (!half)
    abort ();
  *half = (struct half){body, reply->body_size / 2};
  return MHD_create_response_from_callback (reply->body_size + (reply->body_size == 0), 1024,
                                            read_half, half, free_half);
}

/* A TCP socket that is connected to nothing sends a reset; MHD_NO lets go of what remains. */
static enum MHD_Result
reset (struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct sockaddr nothing = {.sa_family = AF_UNSPEC};

  if (info)
    (void)connect (info->connect_fd, &nothing, sizeof nothing);
  return MHD_NO;
}

static enum MHD_Result
send_reply (struct MHD_Connection *connection, struct reply *reply)
{
  struct MHD_Response *response;
  enum MHD_Result result;

  if (reply->reset)
    return reset (connection);
  response = make_response (reply);
  if (!response)
    return MHD_NO;
  for (size_t i = 0; i < reply->header_count; i++)
    MHD_add_response_header (response, reply->headers[i].name, reply->headers[i].value);
  result = MHD_queue_response (connection, reply->status, response);
  MHD_destroy_response (response);
  return result;
}

static enum MHD_Result
send_refusal (struct MHD_Connection *connection, unsigned status)
{
  struct reply reply = {0};
  enum MHD_Result result;

  reply_empty (&reply, status);
  reply_header (&reply, "Connection", "close");
  result = send_reply (connection, &reply);
  reply_clear (&reply);
  return result;
}

static enum MHD_Result
answer (struct http *http, struct MHD_Connection *connection, const char *method,
        struct incoming *in)
{
  const union MHD_ConnectionInfo *tls =
      MHD_get_connection_info (connection, MHD_CONNECTION_INFO_PROTOCOL);
  char *query = strchr (in->url, '?');
  struct request request = {.method = method,
                            .path = in->url,
                            .query = query ? query + 1 : "",
                            .body = in->body ? in->body : "",
                            .body_size = in->size,
                            .tls = tls != NULL};
  struct reply reply = {0};
  enum MHD_Result result;

  if (query)
    *query = '\0';
  MHD_get_connection_values (connection, MHD_HEADER_KIND, take_header, &request);
  sim_answer (http->sim, &request, &reply);
  result = send_reply (connection, &reply);
  reply_clear (&reply);
  return result;
}

static enum MHD_Result
handle (void *opaque, struct MHD_Connection *connection, const char *url, const char *method,
        const char *version, const char *data, size_t *size, void **context)
{
  struct incoming *in = *context;

  (void)url;
  (void)version;
  if (!in)
    return MHD_NO;
  if (!in->started) {
    in->started = true;
    return MHD_YES;
  }
  if (*size > 0) {
    append (in, data, *size);
    *size = 0;
    return MHD_YES;
  }
  if (!in->url)
    return send_refusal (connection, MHD_HTTP_URI_TOO_LONG);
  if (in->too_large)
    return send_refusal (connection, MHD_HTTP_CONTENT_TOO_LARGE);
  return answer (opaque, connection, method, in);
}

/* ---- the two daemons --------------------------------------------------------------------------
 */

static struct MHD_Daemon *
start (struct http *http, const char *cert_pem, const char *key_pem)
{
  unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD
                   | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
  struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert_pem},
                                 {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key_pem},
                                 {MHD_OPTION_HTTPS_PRIORITIES, 0,
                                  (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
                                 {MHD_OPTION_END, 0, NULL}};
  struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

  return MHD_start_daemon (
      flags | (cert_pem ? MHD_USE_TLS : 0), 0, NULL, NULL, handle, http, MHD_OPTION_ARRAY,
      cert_pem ? tls : none, MHD_OPTION_URI_LOG_CALLBACK, begin, NULL, MHD_OPTION_NOTIFY_COMPLETED,
      end, NULL, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(64 * 1024), MHD_OPTION_END);
}

int
http_new (struct sim *sim, const char *cert_pem, const char *key_pem, struct http **ret,
          struct error *err)
{
  struct http *http = calloc (1, sizeof *http);

  if (!http)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  http->sim = sim;
  http->plain = start (http, NULL, NULL);
  http->tls = start (http, cert_pem, key_pem);
  if (!http->plain || !http->tls) {
    http_free (http);
    return error_set (err, ERROR_SYSTEM,
                      "the web server does not start: are the certificate and its key a pair in "
                      "PEM?");
  }
  *ret = http;
  return 0;
}

void
http_free (struct http *http)
{
  if (!http)
    return;
  if (http->plain)
    MHD_stop_daemon (http->plain);
  if (http->tls)
    MHD_stop_daemon (http->tls);
  free (http);
}

void
http_serve (struct http *http, int fd, bool tls, const struct sockaddr *address, socklen_t size)
{
  MHD_add_connection (tls ? http->tls : http->plain, fd, address, size);
}
