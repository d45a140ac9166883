/* route.c owns the paths of the exporter, the check of Host, and the snapshot that answers share.
 */
#include "tools/exporter/route.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/exporter/assets.h"
#include "tools/exporter/condition.h"
#include "tools/exporter/metrics.h"
#include "tools/exporter/page.h"
#include "tools/exporter/snapshot.h"

#define HOST_MAX 256

struct router {
  const char *folder, *hosts;
  char self[HOST_MAX]; /* this host's name */
  bool taken;
  struct snapshot snapshot;
  uint64_t taken_ms;
};

const struct route_header route_headers[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
     "require-trusted-types-for 'script'"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {NULL},
};

/* ---- who may ask --------------------------------------------------------------------------------
 */

/* The name in "NAME", "NAME:PORT" or "[IPv6]:PORT", without the dot at its end; -1 when it is none.
 */
static int
host_name (const char *host, char ret[HOST_MAX])
{
  size_t length;

  if (*host == '[') {
    host++;
    length = strcspn (host, "]");
  }
  else
    length = strcspn (host, ":");
  if (length > 0 && host[length - 1] == '.')
    length--;
  if (length == 0 || length >= HOST_MAX)
    return -1;
  memcpy (ret, host, length);
  ret[length] = '\0';
  return 0;
}

static bool
is_ip_address (const char *name)
{
  struct in6_addr address;

  return inet_pton (AF_INET, name, &address) == 1 || inet_pton (AF_INET6, name, &address) == 1;
}

/* Whether `name` is one of those in `list`, which commas separate. */
static bool
is_listed (const char *list, const char *name)
{
  size_t length = strlen (name);

  for (; list && *list; list += strcspn (list, ","), list += *list == ',')
    if (strcspn (list, ",") == length && strncasecmp (list, name, length) == 0)
      return true;
  return false;
}

/* A web page of another site can make its own name mean our address (DNS rebinding), and then its
 * visitor's browser asks us in that name.  It can't do so with an address or a name that is ours.
 */
static bool
may_ask (const struct router *router, const char *host)
{
  char name[HOST_MAX];

  return host_name (host, name) == 0
         && (is_ip_address (name) || strcasecmp (name, "localhost") == 0
             || strcasecmp (name, router->self) == 0 || is_listed (router->hosts, name));
}

/* ---- what is where ------------------------------------------------------------------------------
 */

/* The snapshot, taken anew when it is too old to be shown. */
static const struct snapshot *
fresh_snapshot (struct router *router)
{
  struct snapshot snapshot;

  if (router->taken && clock_ms () - router->taken_ms < ROUTE_FRESH_MS)
    return &router->snapshot;
  if (snapshot_take (router->folder, &snapshot) < 0)
    return NULL;
  snapshot_clear (&router->snapshot);
  router->snapshot = snapshot;
  router->taken = true;
  router->taken_ms = clock_ms ();
  return &router->snapshot;
}

static void
put_page (struct router *router, struct text *text)
{
  const struct snapshot *snapshot = fresh_snapshot (router);

  if (snapshot)
    page_write (snapshot, text);
  text->failed = text->failed || !snapshot;
}

static void
put_metrics (struct router *router, struct text *text)
{
  const struct snapshot *snapshot = fresh_snapshot (router);

  if (snapshot)
    metrics_write (snapshot, text);
  text->failed = text->failed || !snapshot;
}

static void
put_style (struct router *router, struct text *text)
{
  (void)router;
  text_put (text, asset_style);
}

static void
put_script (struct router *router, struct text *text)
{
  (void)router;
  text_put (text, asset_script);
}

static const struct {
  const char *path, *type;
  void (*put) (struct router *router, struct text *text);
} places[] = {
    {"/", "text/html; charset=utf-8", put_page},
    {"/metrics", METRICS_TYPE, put_metrics},
    {"/page.css", "text/css; charset=utf-8", put_style},
    {"/app.js", "text/javascript; charset=utf-8", put_script},
};

/* "/icon-NAME.svg", NAME that of a condition. */
static bool
put_icon (const char *path, struct text *text)
{
  char name[32];

  for (enum condition c = 0; c < CONDITION_COUNT; c++) {
    snprintf (name, sizeof name, "/icon-%s.svg", condition_name (c));
    if (strcmp (path, name) == 0) {
      text_format (text,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">"
                   "<circle cx=\"8\" cy=\"8\" r=\"7\" fill=\"%s\"/></svg>\n",
                   condition_colour (c));
      return true;
    }
  }
  return false;
}

static void
put_answer (struct router *router, const char *path, struct route_answer *ret, struct text *text)
{
  ret->status = 200;
  for (size_t i = 0; i < ARRAY_SIZE (places); i++)
    if (strcmp (path, places[i].path) == 0) {
      ret->type = places[i].type;
      places[i].put (router, text);
      return;
    }
  if (put_icon (path, text)) {
    ret->type = "image/svg+xml";
    return;
  }
  ret->status = 404;
  text_put (text, "There is nothing here: /metrics is for Prometheus, / is for people.\n");
}

/* The sentence with which a request is refused, and its status; NULL when it is not. */
static const char *
refusal (const struct router *router, const char *method, const char *host, unsigned *ret_status)
{
  if (strcmp (method, "GET") != 0 && strcmp (method, "HEAD") != 0) {
    *ret_status = 405;
    return "Only GET and HEAD: nothing can be changed here.\n";
  }
  if (!host) {
    *ret_status = 400;
    return "The header Host is missing.\n";
  }
  if (!may_ask (router, host)) {
    *ret_status = 421;
    return "This name is not known here: use the host's IP address, or start the exporter with "
           "--host NAME.\n";
  }
  return NULL;
}

int
route (struct router *router, const char *method, const char *host, const char *path,
       struct route_answer *ret)
{
  CLEANUP_TEXT struct text text = {0};
  struct route_answer answer = {.type = "text/plain; charset=utf-8"};
  const char *refused = refusal (router, method, host, &answer.status);

  if (refused)
    text_put (&text, refused);
  else
    put_answer (router, path, &answer, &text);
  answer.body = text_take (&text, &answer.size);
  if (!answer.body)
    return -1;
  *ret = answer;
  return 0;
}

struct router *
router_new (const char *folder, const char *hosts)
{
  struct router *router = calloc (1, sizeof *router);

  if (!router)
    return NULL;
  router->folder = folder;
  router->hosts = hosts;
  if (gethostname (router->self, sizeof router->self) < 0)
    router->self[0] = '\0';
  router->self[HOST_MAX - 1] = '\0';
  return router;
}

void
router_free (struct router *router)
{
  if (!router)
    return;
  snapshot_clear (&router->snapshot);
  free (router);
}
