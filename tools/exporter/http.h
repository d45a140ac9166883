/* The exporter's web server: libmicrohttpd behind two calls; http.c is the only file of the
 * exporter that includes it.
 */
#ifndef EXPORTER_HTTP_H
#define EXPORTER_HTTP_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "tools/exporter/route.h"

struct http;

/* Takes over the listening socket `fd`, and calls `router` from one thread of its own, which starts
 * here and lasts until http_free.
 */
int http_new (int fd, struct router *router, struct http **ret, struct error *err) MUST_CHECK;
void http_free (struct http *http);

#endif
