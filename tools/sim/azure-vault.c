/* azure-vault.c owns the protocol of Key Vault: hosts, tokens and challenges, routes, errors. */
#include "tools/sim/azure-vault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"

/* ---- errors -----------------------------------------------------------------------------------
 */

int
azure_fail (struct azure_call *call, unsigned status, const char *code, const char *inner,
            const char *fmt, ...)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  CLEANUP_FREE
  char *text = NULL;
  struct json *error;
  va_list args;

  va_start (args, fmt);
  if (!json || vasprintf (&text, fmt, args) < 0)
    abort ();
  va_end (args);
  error = json_set_object (json, "error");
  json_set_string (error, "code", code);
  json_set_string (error, "message", text);
  if (inner)
    json_set_string (json_set_object (error, "innererror"), "code", inner);
  reply_json (call->ex->reply, status, AZURE_JSON, json);
  snprintf (call->ex->outcome, sizeof call->ex->outcome, "%s", inner ? inner : code);
  return -1;
}

int
azure_fail_not_found (struct azure_call *call)
{
  return azure_fail (call, 404, "KeyNotFound", NULL,
                     "A key with (name/id) %s%s%s was not found in this key vault. If you recently "
                     "deleted this key you may be able to recover it using the correct recovery "
                     "command. For help resolving this issue, please see "
                     "https://go.microsoft.com/fwlink/?linkid=2125182",
                     call->name, *call->version ? "/" : "", call->version);
}

int
azure_find_key (struct azure_call *call, struct azure_key **ret)
{
  struct azure_key *key = azure_key_load (call->ex->sim, &call->vault, call->name, call->ex->now_s);

  if (!key || key->deleted_s != 0) {
    azure_key_free (key);
    return azure_fail_not_found (call);
  }
  *ret = key;
  return 0;
}

/* ---- hosts ------------------------------------------------------------------------------------
 */

static const struct {
  const char *suffix;
  bool hsm;
} suffixes[] = {
    {".vault.localhost", false},         {".managedhsm.localhost", true},
    {".vault.azure.net", false},         {".managedhsm.azure.net", true},
    {".vault.usgovcloudapi.net", false}, {".managedhsm.usgovcloudapi.net", true},
    {".vault.azure.cn", false},          {".managedhsm.azure.cn", true},
};

/* NAME and the rest of the host: 0, or -1 when it is not that of a vault. */
static int
parse_host (struct azure_call *call)
{
  const char *host = request_host (call->ex->request);
  size_t length = strcspn (host, ":"), name = strcspn (host, ".");

  for (size_t i = 0; i < ARRAY_SIZE (suffixes); i++)
    if (strlen (suffixes[i].suffix) == length - MIN (name, length)
        && strncasecmp (host + name, suffixes[i].suffix, length - name) == 0
        && name < sizeof call->vault_name && strlen (host) < 200) {
      snprintf (call->vault_name, sizeof call->vault_name, "%.*s", (int)name, host);
      snprintf (call->base, sizeof call->base, "%s://%s", call->ex->request->tls ? "https" : "http",
                host);
      snprintf (call->resource, sizeof call->resource, "https://%s", suffixes[i].suffix + 1);
      call->hsm = suffixes[i].hsm;
      return 0;
    }
  return -1;
}

/* ---- routes -----------------------------------------------------------------------------------
 */

/* {n}: the key's name, {v}: a version; everything else as it is.  `action` is the right. */
static const struct route {
  const char *method, *path, *operation, *action;
  azure_operation *run;
} routes[] = {
    {"GET", "/keys", "ListKeys", "list", azure_list},
    {"GET", "/deletedkeys", "ListDeletedKeys", "list", azure_list_deleted},
    {"GET", "/deletedkeys/{n}", "GetDeletedKey", "get", azure_get_deleted},
    {"DELETE", "/deletedkeys/{n}", "PurgeDeletedKey", "purge", azure_purge},
    {"POST", "/deletedkeys/{n}/recover", "RecoverDeletedKey", "recover", azure_recover},
    {"POST", "/keys/{n}/create", "CreateKey", "create", azure_create},
    {"POST", "/keys/{n}/rotate", "RotateKey", "rotate", azure_rotate},
    {"GET", "/keys/{n}/rotationpolicy", "GetRotationPolicy", "getrotationpolicy",
     azure_get_rotation},
    {"PUT", "/keys/{n}/rotationpolicy", "UpdateRotationPolicy", "setrotationpolicy",
     azure_put_rotation},
    {"GET", "/keys/{n}/versions", "ListKeyVersions", "list", azure_list_versions},
    {"GET", "/keys/{n}", "GetKey", "get", azure_get},
    {"GET", "/keys/{n}/{v}", "GetKey", "get", azure_get},
    {"PATCH", "/keys/{n}", "UpdateKey", "update", azure_update},
    {"PATCH", "/keys/{n}/{v}", "UpdateKey", "update", azure_update},
    {"DELETE", "/keys/{n}", "DeleteKey", "delete", azure_delete},
    {"POST", "/keys/{n}/{v}/wrapkey", "WrapKey", "wrap", azure_wrap},
    {"POST", "/keys/{n}/{v}/unwrapkey", "UnwrapKey", "unwrap", azure_unwrap},
    {"POST", "/keys/{n}/{v}/encrypt", "Encrypt", "encrypt", azure_encrypt},
    {"POST", "/keys/{n}/{v}/decrypt", "Decrypt", "decrypt", azure_decrypt},
    {"POST", "/keys/{n}/wrapkey", "WrapKey", "wrap", azure_wrap},
    {"POST", "/keys/{n}/unwrapkey", "UnwrapKey", "unwrap", azure_unwrap},
    {"POST", "/keys/{n}/encrypt", "Encrypt", "encrypt", azure_encrypt},
    {"POST", "/keys/{n}/decrypt", "Decrypt", "decrypt", azure_decrypt},
};

/* One segment of the path into a {}: false when it is too long or badly encoded. */
static bool
take_segment (const char *path, size_t length, char *ret, size_t size)
{
  CLEANUP_FREE
  char *text = percent_decode (path, length, false);

  if (!text || strlen (text) >= size)
    return false;
  memcpy (ret, text, strlen (text) + 1);
  return true;
}

/* Double and trailing slashes are the empty version: "/keys/n//wrapkey", "/keys/n/". */
static bool
path_fits (struct azure_call *call, const char *pattern, const char *path)
{
  while (*pattern) {
    size_t want = strcspn (pattern + 1, "/") + 1, have = 0;

    if (*path == '/')
      have = strcspn (path + 1, "/") + 1;
    else if (strcmp (pattern, "/{v}") != 0)
      return false;
    if (strncmp (pattern, "/{n}", 4) == 0) {
      if (have < 2 || !take_segment (path + 1, have - 1, call->name, sizeof call->name))
        return false;
    }
    else if (strncmp (pattern, "/{v}", 4) == 0) {
      if (!take_segment (path + (have > 0), have - (have > 0), call->version, sizeof call->version))
        return false;
    }
    else if (want != have || strncasecmp (pattern, path, want) != 0)
      return false;
    pattern += want;
    path += have;
  }
  return *path == '\0' || strcmp (path, "/") == 0;
}

static const struct route *
find_route (struct azure_call *call)
{
  const struct request *request = call->ex->request;

  for (size_t i = 0; i < ARRAY_SIZE (routes); i++) {
    call->name[0] = call->version[0] = '\0';
    if (strcmp (routes[i].method, request->method) == 0
        && path_fits (call, routes[i].path, request->path))
      return &routes[i];
  }
  call->name[0] = call->version[0] = '\0';
  return NULL;
}

/* ---- the service ------------------------------------------------------------------------------
 */

static const char *
operation (size_t i)
{
  return i < ARRAY_SIZE (routes) ? routes[i].operation : NULL;
}

static bool
claims (struct exchange *ex)
{
  struct azure_call call = {.ex = ex};
  const struct route *route;

  if (parse_host (&call) < 0)
    return false;
  route = find_route (&call);
  snprintf (ex->operation, sizeof ex->operation, "%s", route ? route->operation : "unknown");
  snprintf (ex->key, sizeof ex->key, "%s%s%s%s%s", call.base, call.name[0] ? "/keys/" : "",
            call.name, call.version[0] ? "/" : "", call.version);
  return true;
}

static void
answer_health (struct azure_call *call)
{
  reply_header (call->ex->reply, "x-ms-keyvault-network-info",
                "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;");
  reply_empty (call->ex->reply, 200);
}

/* "api-version" is mandatory. */
static int
check_api_version (struct azure_call *call)
{
  CLEANUP_FREE
  char *version = form_value (call->ex->request->query, "api-version");

  if (version && *version)
    return 0;
  return azure_fail (call, 400, "BadParameter", NULL,
                     "The request URI is missing the api-version query parameter.");
}

static int
run (struct azure_call *call)
{
  const struct route *route;

  if (azure_vault_load (call->ex->sim, call->vault_name, call->hsm, &call->vault) < 0)
    return azure_fail (call, 404, "VaultNotFound", NULL,
                       "No vault is called %s. (The real service has no such host name then.)",
                       call->vault_name);
  if (strcmp (call->ex->request->path, "/healthstatus") == 0) {
    answer_health (call);
    return 0;
  }
  if (azure_check_token (call) < 0)
    return -1;
  route = find_route (call);
  if (!route)
    return azure_fail (call, 404, "NotFound", NULL, "keyfence-kms-sim does not know this path.");
  if (check_api_version (call) < 0 || azure_check_right (call, route->action) < 0)
    return -1;
  if (call->ex->request->body_size > 0 && !json_is_object (call->params))
    return azure_fail (call, 400, "BadParameter", NULL, "The body is not a JSON object.");
  return route->run (call);
}

static void
add_headers (struct exchange *ex)
{
  reply_header (ex->reply, "x-ms-request-id", "%s", ex->request_id);
  reply_header (ex->reply, "x-ms-keyvault-region", AZURE_REGION);
  reply_header (ex->reply, "x-ms-keyvault-service-version", "1.9.0.0");
  reply_header (ex->reply, "Cache-Control", "no-cache");
}

static void
answer (struct exchange *ex)
{
  CLEANUP_JSON struct json *params = json_parse (ex->request->body, ex->request->body_size);
  struct azure_call call = {.ex = ex, .params = params};

  if (parse_host (&call) < 0)
    return;
  add_headers (ex);
  run (&call);
  jwt_clear (&call.token);
}

static bool
fail (struct exchange *ex, const struct fault *fault)
{
  struct azure_call call = {.ex = ex};

  if (parse_host (&call) < 0)
    return false;
  add_headers (ex);
  switch (fault->kind) {
  case FAULT_OUTAGE:
    return azure_fail (&call, 503, "ServiceUnavailable", NULL,
                       "The service is temporarily unavailable.");
  case FAULT_THROTTLE:
    reply_header (ex->reply, "Retry-After", "1");
    return azure_fail (&call, 429, "Throttled", NULL,
                       "Request was not processed because too many requests were received. Reason: "
                       "VaultRequestTypeLimitReached");
  case FAULT_EXPIRED:
    return azure_challenge (&call, ", error=\"invalid_token\"",
                            "AKV10014: The token has expired or is not valid yet.");
  case FAULT_FIREWALL:
    return azure_fail_firewall (&call);
  case FAULT_DENY:
    return azure_fail (&call, 403, "Forbidden", "ForbiddenByRbac",
                       "Caller is not authorized to perform action on resource.\r\nIf role "
                       "assignments, deny assignments or role definitions were changed recently, "
                       "please observe propagation time.");
  case FAULT_CLAIMS:
    return azure_claims_challenge (&call);
  default:
    return false;
  }
}

const struct service azure_vault_service = {.name = "azure-vault",
                                            .claims = claims,
                                            .operation = operation,
                                            .answer = answer,
                                            .fail = fail};
