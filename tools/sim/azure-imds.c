/* azure-imds.c owns where Azure machines get tokens of managed identities: IMDS, App Service, Arc.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/sim/azure-identity.h"
#include "tools/sim/azure-machine.h"
#include "tools/sim/store.h"

#define JSON_TYPE "application/json; charset=utf-8"
#define IDENTITY_TOKEN_S 86400
#define ARC_FOLDER "tokens" /* clients take nothing but *.key in /var/opt/azcmagent/tokens */
#define ARC_FILE ARC_FOLDER "/challenge.key" /* in the state folder */

/* ---- errors -----------------------------------------------------------------------------------
 */

static int
fail_text (struct exchange *ex, unsigned status, const char *error, const char *text)
{
  CLEANUP_JSON struct json *json = json_object_new ();

  if (!json)
    abort ();
  json_set_string (json, "error", error);
  json_set_string (json, "error_description", text);
  reply_json (ex->reply, status, JSON_TYPE, json);
  snprintf (ex->outcome, sizeof ex->outcome, "%s", error);
  return -1;
}

static bool
fail (struct exchange *ex, const struct fault *fault)
{
  static const struct {
    enum fault_kind kind;
    unsigned status;
    const char *error, *text;
  } table[] = {{FAULT_OUTAGE, 500, "unknown", "Failed to retrieve token from the Active directory"},
               {FAULT_THROTTLE, 429, "too_many_requests", "Too many requests"},
               {FAULT_EXPIRED, 410, "gone", "IMDS is going through updates"},
               {FAULT_FIREWALL, 403, "forbidden", "The request did not come from this machine"},
               {FAULT_DENY, 400, "invalid_request", "Identity not found"}};

  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (table[i].kind == fault->kind) {
      fail_text (ex, table[i].status, table[i].error, table[i].text);
      return true;
    }
  return false;
}

/* ---- whose token ------------------------------------------------------------------------------
 */

static bool
is_system (const struct azure_app *app, const char *what)
{
  (void)what;
  return app->identity && app->system;
}

static bool
has_client_id (const struct azure_app *app, const char *what)
{
  return app->identity && strcasecmp (app->client_id, what) == 0;
}

static bool
has_object_id (const struct azure_app *app, const char *what)
{
  return app->identity && strcasecmp (app->object_id, what) == 0;
}

static bool
has_resource_id (const struct azure_app *app, const char *what)
{
  return app->identity && app->resource_id[0] && strcasecmp (app->resource_id, what) == 0;
}

static int
find_identity (struct exchange *ex, struct azure_app *ret)
{
  static const struct {
    const char *parameter;
    bool (*fits) (const struct azure_app *app, const char *what);
  } selectors[] = {{"client_id", has_client_id},
                   {"object_id", has_object_id},
                   {"principal_id", has_object_id},
                   {"msi_res_id", has_resource_id},
                   {"mi_res_id", has_resource_id}};

  for (size_t i = 0; i < ARRAY_SIZE (selectors); i++) {
    CLEANUP_FREE
    char *what = form_value (ex->request->query, selectors[i].parameter);

    if (what)
      return azure_app_find (ex->sim, selectors[i].fits, what, ret);
  }
  return azure_app_find (ex->sim, is_system, "", ret);
}

static int
reply_token (struct exchange *ex)
{
  CLEANUP_FREE
  char *resource = form_value (ex->request->query, "resource");
  CLEANUP_AZURE_APP struct azure_app app = {0};
  CLEANUP_JSON struct json *json = json_object_new ();
  CLEANUP_FREE
  char *token = NULL;
  char text[32];

  if (!resource || strncmp (resource, "https://", 8) != 0 || strlen (resource) >= AZURE_NAME_MAX)
    return fail_text (ex, 400, "invalid_resource",
                      "AADSTS500011: The resource principal was not found in the tenant.");
  if (find_identity (ex, &app) < 0)
    return fail_text (ex, 400, "invalid_request", "Identity not found");
  snprintf (ex->principal, sizeof ex->principal, "%s (%s)", app.name, app.client_id);
  while (resource[strlen (resource) - 1] == '/')
    resource[strlen (resource) - 1] = '\0';
  token = azure_access_token (ex->sim, &app, resource, false, ex->now_s, IDENTITY_TOKEN_S);
  json_set_string (json, "access_token", token);
  json_set_string (json, "client_id", app.client_id);
  snprintf (text, sizeof text, "%d", IDENTITY_TOKEN_S - 1);
  json_set_string (json, "expires_in", text);
  json_set_string (json, "ext_expires_in", text);
  snprintf (text, sizeof text, "%lld", (long long)ex->now_s + IDENTITY_TOKEN_S);
  json_set_string (json, "expires_on", text);
  snprintf (text, sizeof text, "%lld", (long long)ex->now_s);
  json_set_string (json, "not_before", text);
  json_set_string (json, "resource", resource);
  json_set_string (json, "token_type", "Bearer");
  reply_json (ex->reply, 200, JSON_TYPE, json);
  return 0;
}

static bool
query_is (struct exchange *ex, const char *name, const char *expected)
{
  CLEANUP_FREE
  char *value = form_value (ex->request->query, name);

  return value && strcmp (value, expected) == 0;
}

static bool
same_text (const char *a, const char *b)
{
  return strlen (a) == strlen (b) && CRYPTO_memcmp (a, b, strlen (a)) == 0;
}

/* ---- IMDS -------------------------------------------------------------------------------------
 */

/* "Metadata: true", and nothing that a proxy adds. */
static int
check_imds (struct exchange *ex)
{
  const char *metadata = request_header (ex->request, "Metadata");

  if (!metadata || strcasecmp (metadata, "true") != 0
      || request_header (ex->request, "X-Forwarded-For"))
    return fail_text (ex, 400, "bad_request_102", "Required metadata header not specified");
  return 0;
}

static void
answer_imds (struct exchange *ex)
{
  if (check_imds (ex) < 0)
    return;
  if (query_is (ex, "api-version", "2018-02-01"))
    reply_token (ex);
  else
    fail_text (ex, 400, "invalid_request", "api-version is missing or not supported");
}

static void
answer_instance (struct exchange *ex)
{
  if (check_imds (ex) < 0)
    return;
  reply_text (ex->reply, 200, JSON_TYPE,
              "{\"compute\":{\"location\":\"eastus\",\"azEnvironment\":\"AzurePublicCloud\"}}");
}

/* ---- App Service ------------------------------------------------------------------------------
 */

void
azure_machine_header (struct sim *sim, char ret[AZURE_MACHINE_HEADER_SIZE])
{
  CLEANUP_JSON struct json *stored = store_load (sim->dir_fd, "azure", "app-service");
  CLEANUP_JSON struct json *fresh = NULL;
  const char *header = json_get_string (stored, "header");

  if (header && strlen (header) == AZURE_MACHINE_HEADER_SIZE - 1) {
    memcpy (ret, header, AZURE_MACHINE_HEADER_SIZE);
    return;
  }
  sim_secret_text (AZURE_MACHINE_HEADER_SIZE - 1, ret);
  fresh = json_object_new ();
  if (!fresh)
    abort ();
  json_set_string (fresh, "header", ret);
  store_save (sim->dir_fd, "azure", "app-service", fresh);
}

static void
answer_app_service (struct exchange *ex)
{
  const char *header = request_header (ex->request, "X-IDENTITY-HEADER");
  char expected[AZURE_MACHINE_HEADER_SIZE];

  azure_machine_header (ex->sim, expected);
  if (!header || !same_text (header, expected))
    fail_text (ex, 401, "unauthorized", "X-IDENTITY-HEADER is missing or wrong");
  else if (!query_is (ex, "api-version", "2019-08-01"))
    fail_text (ex, 400, "invalid_request", "api-version is missing or not supported");
  else
    reply_token (ex);
}

/* ---- Arc --------------------------------------------------------------------------------------
 */

/* The agent's proof that the caller may read its files: a secret in one that only root reads. */
static int
write_challenge (struct exchange *ex, char ret_path[PATH_MAX])
{
  char secret[65], link[32];
  CLEANUP_CLOSE int fd = -1;
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", ex->sim->dir_fd);
  n = readlink (link, ret_path, PATH_MAX - 64);
  if (n < 0 || (mkdirat (ex->sim->dir_fd, ARC_FOLDER, 0700) < 0 && errno != EEXIST))
    return -1;
  snprintf (ret_path + n, 64, "/%s", ARC_FILE);
  sim_secret_text (64, secret);
  fd = openat (ex->sim->dir_fd, ARC_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
               0600);
  return fd < 0 || write_full (fd, secret, 64) < 0 ? -1 : 0;
}

static bool
answers_challenge (struct exchange *ex)
{
  const char *header = request_header (ex->request, "Authorization");
  CLEANUP_FREE
  char *secret = NULL;
  char path[64];

  snprintf (path, sizeof path, "/proc/self/fd/%d/%s", ex->sim->dir_fd, ARC_FILE);
  if (!header || strncmp (header, "Basic ", 6) != 0 || read_file (path, 128, &secret, NULL) < 0
      || !same_text (header + 6, secret))
    return false;
  unlinkat (ex->sim->dir_fd, ARC_FILE, 0); /* good once */
  return true;
}

static void
answer_arc (struct exchange *ex)
{
  char path[PATH_MAX];

  if (check_imds (ex) < 0)
    return;
  if (answers_challenge (ex)) {
    reply_token (ex);
    return;
  }
  if (write_challenge (ex, path) < 0) {
    fail_text (ex, 500, "unknown", "can't write the challenge");
    return;
  }
  reply_header (ex->reply, "WWW-Authenticate", "Basic realm=%s", path);
  fail_text (ex, 401, "unauthorized", "Read the file that the challenge names");
}

/* ---- the service ------------------------------------------------------------------------------
 */

static const struct {
  const char *path;
  const char *api_version; /* NULL: any */
  const char *operation;
  void (*run) (struct exchange *ex);
} paths[] = {
    {"/metadata/identity/oauth2/token", "2019-11-01", "arc-token", answer_arc},
    {"/metadata/identity/oauth2/token", "2020-06-01", "arc-token", answer_arc},
    {"/metadata/identity/oauth2/token", NULL, "imds-token", answer_imds},
    {"/msi/token", NULL, "app-service-token", answer_app_service},
    {"/metadata/instance", NULL, "instance", answer_instance},
};

/* MSAL puts a slash behind the path. */
static bool
path_is (const char *path, const char *expected)
{
  size_t length = strlen (expected);

  return strncmp (path, expected, length) == 0
         && (!path[length] || strcmp (path + length, "/") == 0);
}

static int
find_path (struct exchange *ex)
{
  for (size_t i = 0; i < ARRAY_SIZE (paths); i++)
    if (path_is (ex->request->path, paths[i].path)
        && (!paths[i].api_version || query_is (ex, "api-version", paths[i].api_version)))
      return (int)i;
  return -1;
}

static const char *
operation (size_t i)
{
  return i < ARRAY_SIZE (paths) ? paths[i].operation : NULL;
}

static bool
claims (struct exchange *ex)
{
  int i = find_path (ex);

  if (i < 0)
    return false;
  snprintf (ex->operation, sizeof ex->operation, "%s", paths[i].operation);
  return true;
}

static void
answer (struct exchange *ex)
{
  int i = find_path (ex);

  if (strcmp (ex->request->method, "GET") != 0)
    fail_text (ex, 405, "bad_request", "Only GET is supported");
  else if (i >= 0)
    paths[i].run (ex);
}

const struct service azure_imds_service = {
    .name = "azure-imds", .claims = claims, .operation = operation, .answer = answer, .fail = fail};
