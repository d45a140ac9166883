/* What is at which path, and who may ask: the exporter's answers to HTTP requests.
 *
 * One thread at a time.  Servers are asked at most once a ROUTE_FRESH_MS, however many clients ask
 * the exporter.
 */
#ifndef EXPORTER_ROUTE_H
#define EXPORTER_ROUTE_H

#include <stddef.h>

#include "common/cleanup.h"

#define ROUTE_FRESH_MS 1000

struct router;

struct route_answer {
  unsigned status;
  const char *type; /* Content-Type; a string that stays */
  char *body;       /* a new string */
  size_t size;
};

/* A header that every answer has. */
struct route_header {
  const char *name, *value;
};
extern const struct route_header route_headers[]; /* ends with a name NULL */

/* `folder`: of the control sockets, NULL for the usual one.  `hosts`: the names, separated by
 * commas, besides localhost, this host's own and all IP addresses, by which the exporter may be
 * called; NULL: none.  Both stay the caller's and must outlive it.  NULL when out of memory.
 */
struct router *router_new (const char *folder, const char *hosts) MUST_CHECK;
void router_free (struct router *router);

/* `host` is the header Host, NULL where there is none; `path` has no query.  Returns 0, or -1 when
 * out of memory.
 */
int route (struct router *router, const char *method, const char *host, const char *path,
           struct route_answer *ret) MUST_CHECK;

#endif
