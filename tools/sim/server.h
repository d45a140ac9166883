/* The web server around sim_answer: one port that takes both TLS and plain HTTP. */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "tools/sim/sim.h"

struct server_options {
  const char *address;            /* numeric; NULL: 127.0.0.1 and, where there is one, ::1 */
  uint16_t port;                  /* 0: any */
  const char *tls_cert, *tls_key; /* PEM files; NULL: made in the state folder */
};

struct server;

/* Listens; sim->port has the port afterwards.  Starts no thread. */
int server_new (struct sim *sim, const struct server_options *options, struct server **ret,
                struct error *err) MUST_CHECK;

/* Serves until `stop_fd` is readable.  Also takes commands from the control socket. */
int server_run (struct server *server, int stop_fd, struct error *err) MUST_CHECK;

void server_free (struct server *server);

#endif
