/* aws-imds.c owns the metadata service of EC2 (version 2) and the container credentials endpoint.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-machine.h"
#include "tools/sim/store.h"

#define MACHINE "aws/machine"
#define TOKENS "aws/imds-tokens"
#define TOKEN_SIZE 56
#define TOKEN_TTL_MAX_S 21600
#define TOKENS_MAX 64
#define CREDENTIALS_PATH "/latest/meta-data/iam/security-credentials/"
#define INSTANCE "i-0123456789abcdef0"
#define REGION "us-east-1"

/* ---- the machine's roles ----------------------------------------------------------------------
 */

int
aws_machine_load (struct sim *sim, const char *which, struct aws_machine *ret)
{
  CLEANUP_JSON struct json *json = store_load (sim->dir_fd, MACHINE, which);
  const char *role = json_get_string (json, "role"), *token = json_get_string (json, "token");
  uint64_t lifetime_s;

  if (!json || json_get_uint64 (json, "lifetime", &lifetime_s) < 0)
    return -1;
  snprintf (ret->role, sizeof ret->role, "%s", role ? role : "");
  snprintf (ret->token, sizeof ret->token, "%s", token ? token : "");
  ret->lifetime_s = (int64_t)lifetime_s;
  return 0;
}

void
aws_machine_save (struct sim *sim, const char *which, const struct aws_machine *machine)
{
  CLEANUP_JSON struct json *json = json_object_new ();

  if (!json)
    abort ();
  json_set_string (json, "role", machine->role);
  json_set_string (json, "token", machine->token);
  json_set_number (json, "lifetime", (double)machine->lifetime_s);
  store_save (sim->dir_fd, MACHINE, which, json);
}

/* ---- replies ----------------------------------------------------------------------------------
 */

static void
fail_status (struct exchange *ex, unsigned status, const char *text)
{
  reply_text (ex->reply, status, "text/plain", "%s\n", text);
  snprintf (ex->outcome, sizeof ex->outcome, "%u", status);
}

/* Credentials of the role as both endpoints print them; false when there is no such role. */
static bool
reply_credentials (struct exchange *ex, const struct aws_machine *machine, bool instance)
{
  CLEANUP_JSON struct json *json = json_object_new (), *role = NULL;
  char principal[96], updated[FORMAT_TIME_MAX], expires[FORMAT_TIME_MAX], arn[AWS_ARN_MAX];
  struct aws_access_key key;

  snprintf (principal, sizeof principal, "role/%s", machine->role);
  role = aws_principal_load (ex->sim, principal);
  if (!json || !role)
    return false;
  aws_access_key_session (ex->sim, principal, instance ? INSTANCE : "container", ex->now_s,
                          machine->lifetime_s, &key);
  format_time (ex->now_s, updated);
  format_time (key.expires_s, expires);
  if (instance) {
    json_set_string (json, "Code", "Success");
    json_set_string (json, "LastUpdated", updated);
    json_set_string (json, "Type", "AWS-HMAC");
  }
  else {
    aws_principal_arn (AWS_ACCOUNT, principal, arn);
    json_set_string (json, "RoleArn", arn);
  }
  json_set_string (json, "AccessKeyId", key.id);
  json_set_string (json, "SecretAccessKey", key.secret);
  json_set_string (json, "Token", key.token);
  json_set_string (json, "Expiration", expires);
  snprintf (ex->principal, sizeof ex->principal, "%s", principal);
  reply_json (ex->reply, 200, instance ? "text/plain" : "application/json", json);
  return true;
}

/* ---- session tokens ---------------------------------------------------------------------------
 */

/* Removes tokens that are over, and the oldest by name when there are too many. */
static void
prune_tokens (struct exchange *ex)
{
  char **names;
  size_t count = store_list (ex->sim->dir_fd, TOKENS, &names);

  for (size_t i = 0; i < count; i++) {
    CLEANUP_JSON struct json *json = store_load (ex->sim->dir_fd, TOKENS, names[i]);
    uint64_t expires_s = 0;

    if (json_get_uint64 (json, "expires", &expires_s) < 0 || (int64_t)expires_s <= ex->now_s
        || i + TOKENS_MAX < count)
      store_remove (ex->sim->dir_fd, TOKENS, names[i]);
  }
  store_names_free (names, count);
}

static void
put_token (struct exchange *ex)
{
  const char *ttl = request_header (ex->request, "X-aws-ec2-metadata-token-ttl-seconds");
  CLEANUP_JSON struct json *json = json_object_new ();
  char token[TOKEN_SIZE + 1];
  uint64_t ttl_s;

  if (!json)
    abort ();
  if (strcmp (ex->request->method, "PUT") != 0) {
    fail_status (ex, 405, "Method Not Allowed");
    return;
  }
  if (request_header (ex->request, "X-Forwarded-For")) {
    fail_status (ex, 403, "Forbidden");
    return;
  }
  if (!ttl || parse_uint (ttl, 1, TOKEN_TTL_MAX_S, &ttl_s, NULL) < 0) {
    fail_status (ex, 400, "Bad Request");
    return;
  }
  prune_tokens (ex);
  sim_secret_text (TOKEN_SIZE, token);
  json_set_number (json, "expires", (double)ex->now_s + (double)ttl_s);
  store_save (ex->sim->dir_fd, TOKENS, token, json);
  reply_text (ex->reply, 200, "text/plain", "%s", token);
  reply_header (ex->reply, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "%s", ttl);
}

static bool
token_is_good (struct exchange *ex)
{
  const char *token = request_header (ex->request, "X-aws-ec2-metadata-token");
  CLEANUP_JSON struct json *json = NULL;
  uint64_t expires_s;

  if (!token || strlen (token) != TOKEN_SIZE)
    return false;
  json = store_load (ex->sim->dir_fd, TOKENS, token);
  return json_get_uint64 (json, "expires", &expires_s) == 0 && ex->now_s < (int64_t)expires_s;
}

/* ---- what is there to get ---------------------------------------------------------------------
 */

static void
get_role (struct exchange *ex, const struct aws_machine *machine)
{
  reply_text (ex->reply, 200, "text/plain", "%s", machine->role);
}

static void
get_credentials (struct exchange *ex, const struct aws_machine *machine)
{
  const char *name = ex->request->path + strlen (CREDENTIALS_PATH);

  if (strcmp (name, machine->role) != 0 || !reply_credentials (ex, machine, true))
    fail_status (ex, 404, "Not Found");
}

static void
get_region (struct exchange *ex, const struct aws_machine *machine)
{
  (void)machine;
  reply_text (ex->reply, 200, "text/plain", REGION);
}

static void
get_document (struct exchange *ex, const struct aws_machine *machine)
{
  (void)machine;
  reply_text (ex->reply, 200, "text/plain",
              "{\"accountId\":\"%s\",\"instanceId\":\"%s\",\"region\":\"%s\"}", AWS_ACCOUNT,
              INSTANCE, REGION);
}

static const struct {
  const char *path; /* with a '/' at the end: everything below, too */
  const char *operation;
  void (*run) (struct exchange *ex, const struct aws_machine *machine);
} paths[] = {
    {"/latest/api/token", "PutToken", NULL},
    {"/latest/meta-data/iam/security-credentials", "GetRole", get_role},
    {CREDENTIALS_PATH, "GetCredentials", get_credentials},
    {"/latest/meta-data/placement/region", "GetRegion", get_region},
    {"/latest/dynamic/instance-identity/document", "GetDocument", get_document},
};

/* The entry of the request's path; -1 when there is none. */
static int
find_path (const struct request *request)
{
  if (strcmp (request->path, CREDENTIALS_PATH) == 0)
    return 1;
  for (size_t i = 0; i < ARRAY_SIZE (paths); i++) {
    size_t length = strlen (paths[i].path);

    if (strcmp (paths[i].path, request->path) == 0
        || (paths[i].path[length - 1] == '/'
            && strncmp (paths[i].path, request->path, length) == 0))
      return (int)i;
  }
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
  int i = find_path (ex->request);

  if (strncmp (ex->request->path, "/latest/", 8) != 0)
    return false;
  snprintf (ex->operation, sizeof ex->operation, "%s", i < 0 ? "unknown" : paths[i].operation);
  return true;
}

static void
answer (struct exchange *ex)
{
  struct aws_machine machine = {0};
  int i = find_path (ex->request);

  if (i == 0)
    put_token (ex);
  else if (!token_is_good (ex))
    fail_status (ex, 401, "Unauthorized");
  else if (i < 0 || strcmp (ex->request->method, "GET") != 0
           || aws_machine_load (ex->sim, "instance", &machine) < 0
           || ((i == 1 || i == 2) && !machine.role[0]))
    fail_status (ex, 404, "Not Found");
  else
    paths[i].run (ex, &machine);
}

/* ---- faults -----------------------------------------------------------------------------------
 */

static bool
fail (struct exchange *ex, const struct fault *fault)
{
  static const struct {
    enum fault_kind kind;
    unsigned status;
    const char *text;
  } table[] = {{FAULT_OUTAGE, 500, "Internal Server Error"},
               {FAULT_THROTTLE, 429, "Too Many Requests"},
               {FAULT_EXPIRED, 401, "Unauthorized"},
               {FAULT_FIREWALL, 403, "Forbidden"},
               {FAULT_DENY, 404, "Not Found"}};

  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (table[i].kind == fault->kind) {
      fail_status (ex, table[i].status, table[i].text);
      return true;
    }
  return false;
}

const struct service aws_imds_service = {
    .name = "aws-imds", .claims = claims, .operation = operation, .answer = answer, .fail = fail};

/* ---- containers -------------------------------------------------------------------------------
 */

static const char *
operation_container (size_t i)
{
  return i == 0 ? "GetCredentials" : NULL;
}

static bool
claims_container (struct exchange *ex)
{
  if (strncmp (ex->request->path, "/ecs/", 5) != 0)
    return false;
  snprintf (ex->operation, sizeof ex->operation, "GetCredentials");
  return true;
}

static void
answer_container (struct exchange *ex)
{
  const char *token = request_header (ex->request, "Authorization");
  struct aws_machine machine = {0};

  if (strcmp (ex->request->path, "/ecs/credentials") != 0
      || strcmp (ex->request->method, "GET") != 0
      || aws_machine_load (ex->sim, "container", &machine) < 0 || !machine.role[0])
    fail_status (ex, 404, "Not Found");
  else if (!token || strlen (token) != strlen (machine.token)
           || CRYPTO_memcmp (token, machine.token, strlen (token)) != 0)
    fail_status (ex, 403, "Forbidden");
  else if (!reply_credentials (ex, &machine, false))
    fail_status (ex, 404, "Not Found");
}

const struct service aws_container_service = {.name = "aws-container",
                                              .claims = claims_container,
                                              .operation = operation_container,
                                              .answer = answer_container,
                                              .fail = fail};
