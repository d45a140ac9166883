/* demo-fill.c owns what a new state folder has: identities that may do everything, and vaults. */
#include <stdio.h>
#include <string.h>

#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-machine.h"
#include "tools/sim/azure-keys.h"
#include "tools/sim/client-cert.h"
#include "tools/sim/demo-env.h"

#define UPPER_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#define MACHINE_LIFETIME_S 21600

/* ---- AWS --------------------------------------------------------------------------------------
 */

static void
set_trust (struct json *json, const char *account, const char *trusted_arn, const char *subject,
           const char *external_id)
{
  struct json *trust = json_set_object (json, "trust"), *list;
  char root[64];

  snprintf (root, sizeof root, "arn:aws:iam::%s:root", account);
  list = json_set_array (trust, "principals");
  json_append_string (list, trusted_arn ? trusted_arn : root);
  list = json_set_array (trust, "subjects");
  if (subject)
    json_append_string (list, subject);
  if (external_id)
    json_set_string (trust, "external_id", external_id);
}

void
demo_add_principal (struct sim *sim, const char *account, const char *principal,
                    const char *trusted_arn, const char *subject, const char *external_id)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  bool role = strncmp (principal, "role/", 5) == 0;
  char id[24];

  if (!json)
    abort ();
  memcpy (id, role ? "AROA" : "AIDA", 4);
  sim_random_text (UPPER_AND_DIGITS, 16, id + 4);
  json_set_string (json, "account", account);
  json_set_string (json, "id", id);
  json_set_null (json, "policy");
  if (role)
    set_trust (json, account, trusted_arn, subject, external_id);
  aws_principal_save (sim, principal, json);
}

static void
fill_aws (struct sim *sim)
{
  CLEANUP_JSON struct json *there = aws_principal_load (sim, DEMO_USER);
  struct aws_machine machine = {.role = DEMO_MACHINE_ROLE, .lifetime_s = MACHINE_LIFETIME_S};
  struct aws_access_key key;

  if (there)
    return;
  demo_add_principal (sim, AWS_ACCOUNT, "role/" DEMO_MACHINE_ROLE, NULL, NULL, NULL);
  demo_add_principal (sim, AWS_ACCOUNT, "role/" DEMO_WORKLOAD_ROLE, NULL, DEMO_SUBJECT, NULL);
  aws_machine_save (sim, "instance", &machine);
  sim_secret_text (64, machine.token);
  aws_machine_save (sim, "container", &machine);
  aws_access_key_new (sim, DEMO_USER, NULL, 0, &key);
  demo_add_principal (sim, AWS_ACCOUNT, DEMO_USER, NULL, NULL, NULL);
}

/* ---- Azure ------------------------------------------------------------------------------------
 */

static void
add_vault (struct sim *sim, bool hsm, const struct azure_app *app, const struct azure_app *machine)
{
  struct azure_vault vault = {.name = DEMO_VAULT,
                              .hsm = hsm,
                              .purge_protection = true,
                              .retention_days = AZURE_RETENTION_DAYS};

  azure_vault_grant (&vault, app->object_id, "*");
  azure_vault_grant (&vault, machine->object_id, "*");
  azure_vault_save (sim, &vault);
}

static void
fill_azure (struct sim *sim)
{
  CLEANUP_AZURE_APP struct azure_app app = {0}, machine = {0};

  if (azure_app_by_name (sim, DEMO_APP, &app) == 0)
    return;
  machine = (struct azure_app){.name = DEMO_MACHINE, .identity = true, .system = true};
  azure_tenant (sim, machine.tenant);
  sim_uuid (machine.client_id);
  sim_uuid (machine.object_id);
  azure_app_save (sim, &machine);
  app = (struct azure_app){.name = DEMO_APP, .subject = DEMO_SUBJECT};
  azure_tenant (sim, app.tenant);
  sim_uuid (app.client_id);
  sim_uuid (app.object_id);
  sim_secret_text (40, app.secret);
  app.certificate = client_cert_new (sim->dir_fd, CLIENT_CERT_FILE);
  add_vault (sim, false, &app, &machine);
  add_vault (sim, true, &app, &machine);
  azure_app_save (sim, &app);
}

void
demo_fill (struct sim *sim)
{
  fill_aws (sim);
  fill_azure (sim);
}
