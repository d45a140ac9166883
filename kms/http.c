/* http.c owns HTTP exchanges and is the only file that knows libcurl. */
#include "kms/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "common/checked.h"
#include "kms/http-answer.h"
#include "kms/resolve.h"

#define SYSTEM_CA_PATH "/etc/ssl/certs" /* hashed: only what is needed is read into memory */
#define USER_AGENT "keyfence"
#define RESOLVE_MS_MIN 100u

/* ---- memory that is wiped before it is freed ---- */

static void
wiping_free (void *ptr)
{
  if (ptr)
    OPENSSL_cleanse (ptr, malloc_usable_size (ptr));
  free (ptr);
}

static void *
wiping_realloc (void *ptr, size_t size)
{
  void *bigger = malloc (size);

  if (bigger && ptr)
    memcpy (bigger, ptr, MIN (size, malloc_usable_size (ptr)));
  if (bigger)
    wiping_free (ptr);
  return bigger;
}

static bool curl_ready;

static void
init_once (void)
{
  curl_ready = curl_global_init_mem (CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
                                     strdup, calloc)
               == CURLE_OK;
}

/* ---- handles ---- */

/* The handle whose connections stay open, and the process that they are of: a child must not speak
 * on its parent's connections, nor close them with a word.
 */
static CURL *kept;
static pid_t kept_owner;
static CURL *volatile parents; /* what a child has of its parent's, and leaves alone */

static CURL *
handle_for (bool keep)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  pthread_once (&once, init_once);
  if (!curl_ready)
    return NULL;
  if (!keep)
    return curl_easy_init ();
  if (kept && kept_owner != getpid ()) {
    parents = kept;
    kept = NULL;
  }
  if (!kept) {
    kept = curl_easy_init ();
    kept_owner = getpid ();
  }
  return kept;
}

/* What curl copied of credentials and answers goes now, not with the next exchange. */
static void
handle_done (CURL *curl)
{
  if (curl == kept)
    curl_easy_reset (curl);
  else
    curl_easy_cleanup (curl);
}

void
http_close_kept (void)
{
  if (kept && kept_owner != getpid ())
    parents = kept;
  else
    curl_easy_cleanup (kept);
  kept = NULL;
}

/* ---- URLs, by curl's own parser: what is judged here is what will be used ---- */

#define CLEANUP_CURLU CLEANUP (cleanup_curlu)
#define CLEANUP_CURL_STRING CLEANUP (cleanup_curl_string)
#define CLEANUP_SLIST CLEANUP (cleanup_slist)

static void
cleanup_curlu (CURLU **url)
{
  curl_url_cleanup (*url);
}

static void
cleanup_curl_string (char **text)
{
  curl_free (*text);
}

static void
cleanup_slist (struct curl_slist **list)
{
  curl_slist_free_all (*list);
}

/* The host without brackets, and whether it is https. */
static int
url_parts (const char *text, char ret_host[HTTP_HOST_MAX], bool *ret_tls)
{
  CLEANUP_CURLU CURLU *url = curl_url ();
  CLEANUP_CURL_STRING char *scheme = NULL, *host = NULL, *user = NULL;
  size_t length;

  if (!url || curl_url_set (url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK
      || curl_url_get (url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK
      || curl_url_get (url, CURLUPART_HOST, &host, 0) != CURLUE_OK
      || curl_url_get (url, CURLUPART_USER, &user, 0) == CURLUE_OK)
    return -1;
  if (strcasecmp (scheme, "https") != 0 && strcasecmp (scheme, "http") != 0)
    return -1;
  length = strlen (host);
  if (length == 0 || length >= HTTP_HOST_MAX)
    return -1;
  if (host[0] == '[')
    snprintf (ret_host, HTTP_HOST_MAX, "%.*s", (int)(length - 2), host + 1);
  else
    snprintf (ret_host, HTTP_HOST_MAX, "%s", host);
  for (char *p = ret_host; *p; p++)
    *p = (char)tolower ((unsigned char)*p);
  *ret_tls = strcasecmp (scheme, "https") == 0;
  return 0;
}

int
http_url_host (const char *url, char ret_host[HTTP_HOST_MAX])
{
  bool tls;

  return url_parts (url, ret_host, &tls);
}

static bool
host_is_loopback (const char *host)
{
  static const char suffix[] = ".localhost";
  size_t length = strlen (host), tail = sizeof suffix - 1;
  struct in_addr v4;
  struct in6_addr v6;

  if (inet_pton (AF_INET, host, &v4) == 1)
    return (ntohl (v4.s_addr) >> 24) == 127;
  if (inet_pton (AF_INET6, host, &v6) == 1)
    return IN6_IS_ADDR_LOOPBACK (&v6);
  return strcmp (host, "localhost") == 0
         || (length > tail && strcmp (host + length - tail, suffix) == 0);
}

bool
http_url_is_loopback (const char *url)
{
  char host[HTTP_HOST_MAX];

  return http_url_host (url, host) == 0 && host_is_loopback (host);
}

/* ---- what comes back ---- */

struct sink {
  struct http_answer *answer;
  bool too_large;
};

static size_t
on_body (char *data, size_t size, size_t count, void *arg)
{
  struct sink *sink = arg;
  struct secret *body = &sink->answer->body;

  if (size * count > HTTP_BODY_MAX - body->size) {
    sink->too_large = true;
    return 0;
  }
  memcpy (body->bytes + body->size, data, size * count);
  body->size += size * count;
  body->bytes[body->size] = '\0';
  return size * count;
}

static size_t
on_header (char *data, size_t size, size_t count, void *arg)
{
  struct sink *sink = arg;

  http_answer_header (sink->answer, data, size * count);
  return size * count;
}

/* ---- what is sent ---- */

static bool
is_printable (const char *text)
{
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f)
      return false;
  return true;
}

static int
add_header (struct curl_slist **list, const struct http_header *header)
{
  const char *scheme = header->scheme ? header->scheme : "";
  size_t size = strlen (header->name) + 2 + strlen (scheme) + strlen (header->value) + 1;
  CLEANUP_SECRET struct secret line = {0};
  struct curl_slist *longer;

  if (secret_init (&line, size, NULL) < 0)
    return -1;
  snprintf ((char *)line.bytes, size, "%s: %s%s", header->name, scheme, header->value);
  longer = curl_slist_append (*list, (char *)line.bytes);
  if (longer)
    *list = longer;
  return longer ? 0 : -1;
}

static int
set_headers (CURL *curl, const struct http_request *request, struct curl_slist **list,
             struct http_answer *answer)
{
  for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name; i++) {
    if (!is_printable (request->headers[i].value)) {
      answer->failure = HTTP_REFUSED;
      snprintf (answer->detail, sizeof answer->detail,
                "the value for the header %.60s has a line break or control character in it",
                request->headers[i].name);
      return -1;
    }
    if (add_header (list, &request->headers[i]) < 0)
      return -1;
  }
  curl_easy_setopt (curl, CURLOPT_HTTPHEADER, *list);
  return 0;
}

static void
set_method (CURL *curl, const struct http_request *request)
{
  if (strcmp (request->method, "GET") == 0) {
    curl_easy_setopt (curl, CURLOPT_HTTPGET, 1L);
    return;
  }
  /* Never a read callback: libcurl signs the hash of what POSTFIELDS points to. */
  curl_easy_setopt (curl, CURLOPT_POST, 1L);
  curl_easy_setopt (curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
  curl_easy_setopt (curl, CURLOPT_POSTFIELDSIZE, (long)request->body_size);
  if (strcmp (request->method, "POST") != 0)
    curl_easy_setopt (curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Region and service are always said: libcurl would guess them from the host's name. */
static void
set_signature (CURL *curl, const struct http_sigv4 *sigv4)
{
  char provider[256];

  if (!sigv4)
    return;
  snprintf (provider, sizeof provider, "aws:amz:%s:%s", sigv4->region, sigv4->service);
  curl_easy_setopt (curl, CURLOPT_AWS_SIGV4, provider);
  curl_easy_setopt (curl, CURLOPT_USERNAME, sigv4->access_key);
  curl_easy_setopt (curl, CURLOPT_PASSWORD, sigv4->secret_key);
}

static CURLcode
on_ssl_context (CURL *curl, void *context, void *arg)
{
  (void)curl;
  (void)arg;
  SSL_CTX_set_options (context, SSL_OP_CLEANSE_PLAINTEXT);
  return CURLE_OK;
}

static void
set_tls (CURL *curl, const struct http_request *request)
{
  const char *bundle = request->ca_bundle ? request->ca_bundle : getenv ("SSL_CERT_FILE");
  const char *folder = getenv ("SSL_CERT_DIR");

  curl_easy_setopt (curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt (curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt (curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt (curl, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
  if (bundle && bundle[0]) {
    curl_easy_setopt (curl, CURLOPT_CAINFO, bundle);
    curl_easy_setopt (curl, CURLOPT_CAPATH, NULL);
  }
  else if ((folder && folder[0]) || access (SYSTEM_CA_PATH "/ca-certificates.crt", R_OK) == 0) {
    curl_easy_setopt (curl, CURLOPT_CAINFO, NULL);
    curl_easy_setopt (curl, CURLOPT_CAPATH, folder && folder[0] ? folder : SYSTEM_CA_PATH);
  }
}

/* Whether the URL may be asked, and with or without a proxy. */
static int
set_url (CURL *curl, const struct http_request *request, char host[HTTP_HOST_MAX],
         struct http_answer *answer)
{
  bool tls = false, loopback;

  answer->failure = HTTP_REFUSED;
  if (url_parts (request->url, host, &tls) < 0) {
    snprintf (answer->detail, sizeof answer->detail, "%.150s is not an http or https URL",
              request->url);
    return -1;
  }
  loopback = host_is_loopback (host);
  if (!tls && !loopback && !request->link_local && !request->allow_plain) {
    snprintf (answer->detail, sizeof answer->detail, "%.150s is not https", request->url);
    return -1;
  }
  curl_easy_setopt (curl, CURLOPT_URL, request->url);
  curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
  if (loopback || request->link_local)
    curl_easy_setopt (curl, CURLOPT_PROXY, "");
  return 0;
}

static void
set_manners (CURL *curl, const struct http_request *request)
{
  long total_ms = MAX (1L, (long)request->timeout_ms);
  long connect_ms = request->connect_timeout_ms ? (long)request->connect_timeout_ms : total_ms;

  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_QUICK_EXIT, 1L); /* a hanging resolver is not waited for */
  curl_easy_setopt (curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt (curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* of a proxy */
  curl_easy_setopt (curl, CURLOPT_USERAGENT, USER_AGENT);
  curl_easy_setopt (curl, CURLOPT_TIMEOUT_MS, total_ms);
  curl_easy_setopt (curl, CURLOPT_CONNECTTIMEOUT_MS, MIN (connect_ms, total_ms));
}

/* ---- the exchange ---- */

static const struct {
  CURLcode code;
  enum http_failure failure;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, HTTP_RESOLVE},
    {CURLE_COULDNT_RESOLVE_PROXY, HTTP_RESOLVE},
    {CURLE_COULDNT_CONNECT, HTTP_CONNECT},
    {CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT},
    {CURLE_SSL_CONNECT_ERROR, HTTP_TLS},
    {CURLE_SSL_CIPHER, HTTP_TLS},
    {CURLE_USE_SSL_FAILED, HTTP_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS_VERIFY},
    {CURLE_SSL_CACERT_BADFILE, HTTP_TLS_VERIFY},
    {CURLE_SSL_ISSUER_ERROR, HTTP_TLS_VERIFY},
    {CURLE_SSL_INVALIDCERTSTATUS, HTTP_TLS_VERIFY},
    {CURLE_OUT_OF_MEMORY, HTTP_NO_MEMORY},
    {CURLE_URL_MALFORMAT, HTTP_REFUSED},
};

static enum http_failure
failure_of (CURLcode code)
{
  for (size_t i = 0; i < ARRAY_SIZE (failures); i++)
    if (failures[i].code == code)
      return failures[i].failure;
  return HTTP_BROKEN;
}

static void
judge (CURL *curl, CURLcode code, const struct http_request *request, const char *host,
       struct http_answer *answer)
{
  double took_s = 0;
  uint32_t left_ms;

  answer->failure = failure_of (code);
  if (answer->detail[0] == '\0')
    snprintf (answer->detail, sizeof answer->detail, "%s", curl_easy_strerror (code));
  if (code != CURLE_COULDNT_RESOLVE_HOST)
    return;
  curl_easy_getinfo (curl, CURLINFO_TOTAL_TIME, &took_s);
  left_ms = (uint32_t)MAX (0.0, (double)request->timeout_ms - took_s * 1000);
  if (resolve_why (host, MAX (left_ms, RESOLVE_MS_MIN)) == RESOLVE_NXDOMAIN)
    answer->failure = HTTP_NXDOMAIN;
}

static void
perform (CURL *curl, const struct http_request *request, const char *host,
         struct http_answer *answer)
{
  struct sink sink = {.answer = answer};
  char text[CURL_ERROR_SIZE] = "";
  CURLcode code;
  long status = 0;

  static_assert (sizeof answer->detail >= sizeof text, "curl's words must fit");
  curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt (curl, CURLOPT_WRITEDATA, &sink);
  curl_easy_setopt (curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt (curl, CURLOPT_HEADERDATA, &sink);
  curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, text);
  code = curl_easy_perform (curl);
  curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK && status > 0) {
    answer->failure = HTTP_ANSWERED;
    answer->status = (unsigned)status;
    return;
  }
  memcpy (answer->detail, text, sizeof text);
  judge (curl, code, request, host, answer);
  if (sink.too_large) {
    answer->failure = HTTP_TOO_LARGE;
    snprintf (answer->detail, sizeof answer->detail, "the answer has more than %zu bytes",
              HTTP_BODY_MAX);
  }
}

/* One NUL more than the largest body, so that every body is a string. */
static int
prepare_body (struct http_answer *answer)
{
  if (secret_init (&answer->body, HTTP_BODY_MAX + 1, NULL) < 0)
    return -1;
  answer->body.size = 0;
  return 0;
}

int
http_exchange (const struct http_request *request, struct http_answer *ret)
{
  CLEANUP_SLIST struct curl_slist *list = NULL;
  CURL *curl = handle_for (request->keep);
  char host[HTTP_HOST_MAX] = "";

  *ret = (struct http_answer){.failure = HTTP_NO_MEMORY, .detail = "out of memory"};
  if (!curl)
    return -1;
  if (prepare_body (ret) == 0) {
    ret->detail[0] = '\0';
    if (set_url (curl, request, host, ret) == 0) {
      ret->failure = HTTP_NO_MEMORY;
      set_manners (curl, request);
      set_method (curl, request);
      set_signature (curl, request->sigv4);
      set_tls (curl, request);
      if (set_headers (curl, request, &list, ret) == 0)
        perform (curl, request, host, ret);
    }
  }
  handle_done (curl);
  if (ret->failure != HTTP_ANSWERED)
    secret_clear (&ret->body);
  return ret->failure == HTTP_ANSWERED ? 0 : -1;
}
