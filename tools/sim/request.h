/* One HTTP request as it came, and the small parsers for what is in it.
 *
 * Everything in a request belongs to the web server's buffers and lives until the reply is sent.
 * Nothing here is trusted; every string ends in NUL.
 */
#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define REQUEST_HEADERS_MAX 64
#define REQUEST_BODY_MAX (256 * 1024) /* a longer body is answered with 413 */
#define REQUEST_URL_MAX 8192          /* a longer path with query is answered with 414 */

struct request_header {
  const char *name, *value;
};

struct request {
  const char *method;
  const char *path;  /* as sent: not decoded, without the query */
  const char *query; /* as sent, behind the '?'; "" when there is none */
  size_t header_count;
  struct request_header headers[REQUEST_HEADERS_MAX];
  const char *body; /* body_size bytes and a NUL */
  size_t body_size;
  bool tls;
};

/* The first header of that name (in any case), or NULL. */
const char *request_header (const struct request *request, const char *name);

/* The value of Host, or "". */
const char *request_host (const struct request *request);

/* The value of a field in an application/x-www-form-urlencoded text (a query too), decoded; a new
 * string, or NULL when it is not there, is there twice, or is badly encoded.
 */
char *form_value (const char *form, const char *name) MUST_CHECK;

/* Decodes %XX (and '+' where `plus`); a new string, or NULL when badly encoded or holding NULs. */
char *percent_decode (const char *text, size_t size, bool plus) MUST_CHECK;

#endif
