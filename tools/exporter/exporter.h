/* The exporter: from where to listen to the signal that ends it. */
#ifndef EXPORTER_EXPORTER_H
#define EXPORTER_EXPORTER_H

#include "common/cleanup.h"
#include "common/error.h"

#define EXPORTER_LISTEN "127.0.0.1:10819"

struct exporter_options {
  const char *listen; /* ADDRESS:PORT, [IPv6]:PORT; port 0: any that is free */
  const char *folder; /* of the control sockets; NULL: the usual one, looked for again each time */
  const char *hosts;  /* names that it may be called by, see route.h; NULL: none of its own */
};

/* Serves until SIGINT or SIGTERM; prints one line, with its URL, when it does. */
int exporter_run (const struct exporter_options *options, struct error *err) MUST_CHECK;

#endif
