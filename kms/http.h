/* One HTTP exchange with a key service, a token service or a metadata service.
 *
 * http.c is the only file that includes libcurl.  TLS is 1.2 or newer and always verified,
 * redirects are not followed, an answer's body lies in secret memory and is bounded, and everything
 * that libcurl frees is wiped first, since credentials pass through it.
 *
 * Connections of exchanges with `keep` stay open for the next one in the same process.  A forked
 * child starts with no connection: it never touches its parent's.  One thread per process may use
 * this.
 */
#ifndef KMS_HTTP_H
#define KMS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "crypto/secret.h"

#define HTTP_HEADERS_MAX 8
#define HTTP_BODY_MAX ((size_t)64 * 1024) /* a longer answer is HTTP_TOO_LARGE */

/* One header line, "name: scheme value".  All are NUL-terminated; `value` may point into secret
 * memory; `scheme` may be NULL ("Bearer " with its blank where needed).  A value with a control
 * character in it makes the exchange fail (HTTP_REFUSED).
 */
struct http_header {
  const char *name, *scheme, *value;
};

/* Signs as AWS Signature Version 4 wants it (by libcurl): every header of the request takes part.
 * `secret_key` is NUL-terminated.  The session token is an ordinary header.
 */
struct http_sigv4 {
  const char *access_key, *secret_key;
  const char *region, *service; /* "eu-central-1", "kms" */
};

struct http_request {
  const char *method; /* "GET", "POST", "PUT" */
  const char *url;    /* https://…, or http://… where that is allowed */
  struct http_header headers[HTTP_HEADERS_MAX]; /* up to the first without a name */
  const void *body;                             /* not copied; NULL with size 0: none */
  size_t body_size;
  const struct http_sigv4 *sigv4; /* NULL: not signed */
  uint32_t timeout_ms;            /* for everything; 0 is taken for 1 */
  uint32_t connect_timeout_ms;    /* 0: as timeout_ms */
  bool link_local; /* a metadata service: http is allowed, and no proxy is ever used */
  bool
      allow_plain; /* http is allowed: an endpoint that the user gave by the cloud's own variable */
  bool keep;       /* keep the connection for the next exchange */
  const char
      *ca_bundle; /* PEM file instead of the system's; NULL: $SSL_CERT_FILE or the system's */
};

/* http to a loopback host is always allowed, and never goes through a proxy.  Otherwise proxies are
 * those of the environment (https_proxy, no_proxy …).
 */

enum http_failure {
  HTTP_ANSWERED,   /* there is a status */
  HTTP_NXDOMAIN,   /* the name does not exist, says a resolver that works */
  HTTP_RESOLVE,    /* the resolver does not work, or the proxy's name does not resolve */
  HTTP_CONNECT,    /* no connection: refused, unreachable */
  HTTP_TLS,        /* the handshake failed */
  HTTP_TLS_VERIFY, /* the other side is not who it should be, or the CA bundle can't be read */
  HTTP_TIMEOUT,    /* wherever it was */
  HTTP_BROKEN,     /* reset, truncated, or not HTTP */
  HTTP_TOO_LARGE,  /* the body has more than HTTP_BODY_MAX bytes */
  HTTP_REFUSED,    /* by us: not a URL, plain http where TLS is needed, a header with line breaks */
  HTTP_NO_MEMORY,
};
#define HTTP_FAILURE_COUNT 11

/* What came back.  Header values are cut at their size, and empty when they did not come; they are
 * not trusted: print them through kms_text_clean (kms/outcome.h).
 */
struct http_answer {
  enum http_failure failure;
  char detail[256];   /* of a failure, for people: "Connection refused (kms.… port 443)" */
  unsigned status;    /* 200 … */
  struct secret body; /* .size bytes that came and a NUL behind them (not counted); never NULL when
                         answered, though the size may be 0 */
  int64_t date_s;     /* the Date header as Unix time; 0: none or unreadable */
  char request_id[128];        /* x-amzn-RequestId, x-ms-request-id, or x-amz-request-id */
  char error_type[128];        /* x-amzn-ErrorType */
  char keyvault_region[64];    /* x-ms-keyvault-region */
  char retry_after[32];        /* Retry-After */
  char location[512];          /* Location: never followed */
  char www_authenticate[4096]; /* WWW-Authenticate; several are joined by ", " */
};

/* Returns 0 when there is an answer whatever its status, else -1; *ret is filled in either way (it
 * must be zeroed or cleared before).
 */
int http_exchange (const struct http_request *request, struct http_answer *ret) MUST_CHECK;

/* Wipes and frees the body, and zeroes the struct. */
void http_answer_clear (struct http_answer *answer);
#define CLEANUP_HTTP_ANSWER CLEANUP (http_answer_clear)

/* A short word for each failure, for outcome reasons: "nxdomain", "dns", "connect", "tls",
 * "tls_verify", "timeout", "broken", "too_large", "refused", "no_memory".
 */
const char *http_failure_name (enum http_failure failure);

/* Closes connections that were kept, so that credentials are asked for anew over fresh ones. */
void http_close_kept (void);

/* Whether the host of `url` is a loopback address, "localhost" or a name below ".localhost". */
bool http_url_is_loopback (const char *url);

/* The host of `url` without port and brackets, in lower case.  0, or -1 when it is no http or https
 * URL, has user information, or its host is too long.
 */
#define HTTP_HOST_MAX 256
int http_url_host (const char *url, char ret_host[HTTP_HOST_MAX]) MUST_CHECK;

/* Appends `value`, percent-encoded for a form or a query (RFC 3986's unreserved characters stay),
 * to the NUL-terminated text in `buf`.  -1 (and nothing appended) when it doesn't fit.
 */
int http_append_encoded (char *buf, size_t size, const char *value) MUST_CHECK;

#endif
