/* demo-env.c owns the variables that point keyfence, AWS CLI and SDKs at the simulator. */
#include "tools/sim/demo-env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-machine.h"
#include "tools/sim/azure-identity.h"
#include "tools/sim/azure-machine.h"
#include "tools/sim/client-cert.h"
#include "tools/sim/issuer.h"
#include "tools/sim/tls.h"

#define WEB_AUDIENCE "sts.amazonaws.com"
#define AWS_TOKEN_FILE "aws-web-identity-token"
#define AZURE_TOKEN_FILE "azure-federated-token"
#define TOKEN_LIFETIME_S 86400

/* What the printing functions share. */
struct env {
  struct sim *sim;
  FILE *f;
  char dir[PATH_MAX];
};

typedef int print_function (struct env *env, struct error *err);

/* The state folder's path, from its descriptor. */
static int
find_dir (struct env *env, struct error *err)
{
  char link[32];
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", env->sim->dir_fd);
  n = readlink (link, env->dir, sizeof env->dir - 1);
  if (n < 0)
    return error_set_errno (err, errno, "can't find the state folder's path");
  env->dir[n] = '\0';
  if (strchr (env->dir, '\''))
    return error_set (err, ERROR_USAGE, "the state folder's path has a quote in it: %.300s",
                      env->dir);
  return 0;
}

static int
write_token (struct env *env, const char *name, const char *audience, struct error *err)
{
  CLEANUP_FREE
  char *token =
      demo_workload_token (env->sim, DEMO_SUBJECT, audience, time (NULL), TOKEN_LIFETIME_S);
  CLEANUP_CLOSE int fd =
      openat (env->sim->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0 || write_full (fd, token, strlen (token)) < 0)
    return error_set_errno (err, errno, "can't write %s in the state folder", name);
  return 0;
}

char *
demo_workload_token (struct sim *sim, const char *subject, const char *audience, int64_t now_s,
                     int64_t lifetime_s)
{
  CLEANUP_JSON struct json *claims = json_object_new ();

  if (!claims)
    abort ();
  json_set_string (claims, "sub", subject);
  json_set_string (claims, "aud", audience);
  return issuer_sign (sim, claims, ISSUER_WORKLOAD, now_s, lifetime_s);
}

/* ---- AWS --------------------------------------------------------------------------------------
 */

static int
aws_env (struct env *env, struct error *err)
{
  struct aws_access_key key;

  if (aws_access_key_of (env->sim, DEMO_USER, &key) < 0)
    return error_set (err, ERROR_NOT_FOUND, "the state folder has no AWS access key of %s",
                      DEMO_USER);
  fprintf (env->f, "export AWS_ACCESS_KEY_ID='%s'\n", key.id);
  fprintf (env->f, "export AWS_SECRET_ACCESS_KEY='%s'\n", key.secret);
  return 0;
}

static int
aws_imds (struct env *env, struct error *err)
{
  (void)err;
  fprintf (env->f, "export AWS_EC2_METADATA_SERVICE_ENDPOINT='http://127.0.0.1:%u'\n",
           env->sim->port);
  return 0;
}

static int
aws_container (struct env *env, struct error *err)
{
  struct aws_machine machine;

  if (aws_machine_load (env->sim, "container", &machine) < 0)
    return error_set (err, ERROR_NOT_FOUND, "the state folder has no container");
  fprintf (env->f,
           "export AWS_CONTAINER_CREDENTIALS_FULL_URI='http://127.0.0.1:%u/ecs/credentials'\n",
           env->sim->port);
  fprintf (env->f, "export AWS_CONTAINER_AUTHORIZATION_TOKEN='%s'\n", machine.token);
  return 0;
}

static int
aws_web_identity (struct env *env, struct error *err)
{
  if (write_token (env, AWS_TOKEN_FILE, WEB_AUDIENCE, err) < 0)
    return -1;
  fprintf (env->f, "export AWS_ROLE_ARN='arn:aws:iam::%s:role/%s'\n", AWS_ACCOUNT,
           DEMO_WORKLOAD_ROLE);
  fprintf (env->f, "export AWS_WEB_IDENTITY_TOKEN_FILE='%s/%s'\n", env->dir, AWS_TOKEN_FILE);
  return 0;
}

/* ---- Azure ------------------------------------------------------------------------------------
 */

static int
print_app (struct env *env, const char *name, struct azure_app *ret, struct error *err)
{
  if (azure_app_by_name (env->sim, name, ret) < 0)
    return error_set (err, ERROR_NOT_FOUND, "the state folder has no application %s", name);
  fprintf (env->f, "export AZURE_TENANT_ID='%s'\n", ret->tenant);
  fprintf (env->f, "export AZURE_CLIENT_ID='%s'\n", ret->client_id);
  return 0;
}

static int
azure_secret (struct env *env, struct error *err)
{
  CLEANUP_AZURE_APP struct azure_app app = {0};

  if (print_app (env, DEMO_APP, &app, err) < 0)
    return -1;
  fprintf (env->f, "export AZURE_CLIENT_SECRET='%s'\n", app.secret);
  return 0;
}

static int
azure_certificate (struct env *env, struct error *err)
{
  CLEANUP_AZURE_APP struct azure_app app = {0};

  if (print_app (env, DEMO_APP, &app, err) < 0)
    return -1;
  fprintf (env->f, "export AZURE_CLIENT_CERTIFICATE_PATH='%s/%s'\n", env->dir, CLIENT_CERT_FILE);
  return 0;
}

static int
azure_workload (struct env *env, struct error *err)
{
  CLEANUP_AZURE_APP struct azure_app app = {0};

  if (print_app (env, DEMO_APP, &app, err) < 0
      || write_token (env, AZURE_TOKEN_FILE, AZURE_EXCHANGE_AUDIENCE, err) < 0)
    return -1;
  fprintf (env->f, "export AZURE_FEDERATED_TOKEN_FILE='%s/%s'\n", env->dir, AZURE_TOKEN_FILE);
  return 0;
}

static int
azure_imds (struct env *env, struct error *err)
{
  (void)err;
  fprintf (env->f, "export AZURE_POD_IDENTITY_AUTHORITY_HOST='http://127.0.0.1:%u'\n",
           env->sim->port);
  return 0;
}

static int
azure_app_service (struct env *env, struct error *err)
{
  char header[AZURE_MACHINE_HEADER_SIZE];

  (void)err;
  azure_machine_header (env->sim, header);
  fprintf (env->f, "export IDENTITY_ENDPOINT='http://127.0.0.1:%u/msi/token'\n", env->sim->port);
  fprintf (env->f, "export IDENTITY_HEADER='%s'\n", header);
  return 0;
}

static int
azure_arc (struct env *env, struct error *err)
{
  (void)err;
  fprintf (env->f,
           "export IDENTITY_ENDPOINT='http://127.0.0.1:%u/metadata/identity/oauth2/token'\n",
           env->sim->port);
  fprintf (env->f, "export IMDS_ENDPOINT='http://127.0.0.1:%u'\n", env->sim->port);
  return 0;
}

/* ---- both -------------------------------------------------------------------------------------
 */

static const struct source {
  const char *name;
  print_function *print;
} aws_sources[] = {{"env", aws_env},
                   {"imds", aws_imds},
                   {"container", aws_container},
                   {"web-identity", aws_web_identity},
                   {NULL, NULL}},
  azure_sources[] = {{"secret", azure_secret},
                     {"certificate", azure_certificate},
                     {"workload", azure_workload},
                     {"imds", azure_imds},
                     {"app-service", azure_app_service},
                     {"arc", azure_arc},
                     {NULL, NULL}};

/* Everything that could take precedence over what is exported. */
static const char *const unset[] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AZURE_TOKEN_CREDENTIALS",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IMDS_ENDPOINT",
};

static int
print_source (struct env *env, const struct source *sources, const char *name, struct error *err)
{
  for (size_t i = 0; sources[i].name; i++)
    if (!name || strcmp (sources[i].name, name) == 0)
      return sources[i].print (env, err);
  return error_set (err, ERROR_USAGE,
                    "'%.40s' is no source of credentials: --aws env, imds, container or "
                    "web-identity; --azure secret, certificate, workload, imds, app-service or "
                    "arc",
                    name);
}

static void
print_common (struct env *env)
{
  fputs ("unset", env->f);
  for (size_t i = 0; i < ARRAY_SIZE (unset); i++)
    fprintf (env->f, " %s", unset[i]);
  putc ('\n', env->f);
  fprintf (env->f, "export KEYFENCE_KMS_SIM_DIR='%s'\n", env->dir);
  fprintf (env->f, "export SSL_CERT_FILE='%s/%s'\n", env->dir, TLS_CA_FILE);
  fprintf (env->f, "export AWS_CA_BUNDLE='%s/%s'\n", env->dir, TLS_CA_FILE);
  fprintf (env->f, "export REQUESTS_CA_BUNDLE='%s/%s'\n", env->dir, TLS_CA_FILE);
  fprintf (env->f, "export NODE_EXTRA_CA_CERTS='%s/%s'\n", env->dir, TLS_CA_FILE);
  fprintf (env->f, "export AWS_REGION='us-east-1'\n");
  fprintf (env->f, "export AWS_DEFAULT_REGION='us-east-1'\n"); /* the AWS CLI's older name of it */
  fprintf (env->f, "export AWS_ENDPOINT_URL='https://localhost:%u'\n", env->sim->port);
  fprintf (env->f, "export AZURE_AUTHORITY_HOST='https://localhost:%u'\n", env->sim->port);
}

int
demo_env (struct sim *sim, const char *aws, const char *azure, char **ret_text, struct error *err)
{
  struct env env = {.sim = sim};
  char *text = NULL;
  size_t size;
  int r = -1;

  if (find_dir (&env, err) < 0)
    return -1;
  env.f = open_memstream (&text, &size);
  if (!env.f)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  print_common (&env);
  if (print_source (&env, aws_sources, aws, err) == 0)
    r = print_source (&env, azure_sources, azure, err);
  fclose (env.f);
  if (r < 0)
    free (text);
  else
    *ret_text = text;
  return r;
}
