/* libmicrohttpd behind two calls: http.c is the only file that includes it. */
#ifndef SIM_HTTP_H
#define SIM_HTTP_H

#include <sys/socket.h>

#include "tools/sim/sim.h"

struct http;

/* `cert_pem` and `key_pem`: for those connections that speak TLS.  Threads start here. */
int http_new (struct sim *sim, const char *cert_pem, const char *key_pem, struct http **ret,
              struct error *err) MUST_CHECK;
void http_free (struct http *http);

/* Takes over an accepted connection (and closes it when it can't be served). */
void
http_serve (struct http *http, int fd, bool tls, const struct sockaddr *address, socklen_t size);

#endif
