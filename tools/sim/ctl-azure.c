/* ctl-azure.c owns the commands on vaults, applications and managed identities. */
#include <string.h>

#include "common/parse.h"
#include "tools/sim/azure-keys.h"
#include "tools/sim/ctl.h"
#include "tools/sim/demo-env.h"

/* ---- vaults -----------------------------------------------------------------------------------
 */

static int
need_vault (struct sim *sim, const struct json *words, struct azure_vault *ret, struct error *err)
{
  const char *name = ctl_word (words, 0);

  if (!name || azure_vault_load (sim, name, ctl_switch (words, "--hsm"), ret) < 0)
    return error_set (err, ERROR_NOT_FOUND, "no vault%s is called '%.60s'",
                      ctl_switch (words, "--hsm") ? " (managed HSM)" : "", name ? name : "");
  return 0;
}

static int
run_create_vault (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *name = ctl_word (words, 0), *days = ctl_option (words, "--retention");
  struct azure_vault vault = {.hsm = ctl_switch (words, "--hsm"),
                              .policies = ctl_switch (words, "--access-policies"),
                              .purge_protection = !ctl_switch (words, "--no-purge-protection")};
  CLEANUP_AZURE_APP struct azure_app app = {0};
  uint64_t retention = AZURE_RETENTION_DAYS;

  if (!name || !azure_vault_name_ok (name))
    return error_set (err, ERROR_USAGE, "a vault's name has 3 to 24 letters, digits and dashes");
  if (days && parse_uint (days, 7, 90, &retention, err) < 0)
    return -1;
  snprintf (vault.name, sizeof vault.name, "%s", name);
  vault.retention_days = (uint32_t)retention;
  if (azure_app_by_name (sim, DEMO_APP, &app) == 0)
    azure_vault_grant (&vault, app.object_id, "*");
  azure_vault_save (sim, &vault);
  *ret_text = ctl_text ("https://%s.%s.localhost:%u", vault.name,
                        vault.hsm ? "managedhsm" : "vault", sim->port);
  return 0;
}

static int
run_delete_vault (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  struct azure_vault vault;

  (void)ret_text;
  if (need_vault (sim, words, &vault, err) < 0)
    return -1;
  azure_vault_remove (sim, vault.name, vault.hsm);
  return 0;
}

static int
run_firewall (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  struct azure_vault vault;
  const char *state = ctl_word (words, 1);

  (void)ret_text;
  if (need_vault (sim, words, &vault, err) < 0
      || parse_bool (state ? state : "", &vault.firewall, err) < 0)
    return -1;
  azure_vault_save (sim, &vault);
  return 0;
}

/* ---- rights -----------------------------------------------------------------------------------
 */

static int
set_right (struct sim *sim, const struct json *words, const char *actions, struct error *err)
{
  struct azure_vault vault;
  CLEANUP_AZURE_APP struct azure_app app = {0};
  const char *name = ctl_word (words, 1);

  if (need_vault (sim, words, &vault, err) < 0)
    return -1;
  if (!name || azure_app_by_name (sim, name, &app) < 0)
    return error_set (err, ERROR_NOT_FOUND, "no application or identity is called '%.60s'",
                      name ? name : "");
  if (strlen (actions) >= sizeof vault.grants[0].actions
      || !azure_vault_grant (&vault, app.object_id, actions))
    return error_set (err, ERROR_USAGE, "too many rights");
  azure_vault_save (sim, &vault);
  return 0;
}

static int
run_grant (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *actions = ctl_word (words, 2);

  (void)ret_text;
  if (!actions || !*actions)
    return error_set (err, ERROR_USAGE,
                      "grant VAULT NAME ACTIONS: get,list,create,update,delete,recover,purge,"
                      "rotate,wrap,unwrap,encrypt,decrypt or *");
  return set_right (sim, words, actions, err);
}

static int
run_revoke (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  (void)ret_text;
  return set_right (sim, words, "", err);
}

/* ---- applications and identities --------------------------------------------------------------
 */

static int
need_new_name (struct sim *sim, const struct json *words, struct azure_app *app, struct error *err)
{
  const char *name = ctl_word (words, 0);
  CLEANUP_AZURE_APP struct azure_app there = {0};

  if (!name || !*name || strlen (name) >= sizeof app->name)
    return error_set (err, ERROR_USAGE, "which name?");
  if (azure_app_by_name (sim, name, &there) == 0)
    return error_set (err, ERROR_USAGE, "there is an application or identity %s already", name);
  snprintf (app->name, sizeof app->name, "%s", name);
  azure_tenant (sim, app->tenant);
  sim_uuid (app->client_id);
  sim_uuid (app->object_id);
  return 0;
}

static int
run_create_app (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  CLEANUP_AZURE_APP struct azure_app app = {0};
  const char *subject = ctl_option (words, "--subject");

  if (need_new_name (sim, words, &app, err) < 0)
    return -1;
  snprintf (app.subject, sizeof app.subject, "%s", subject ? subject : "");
  sim_secret_text (40, app.secret);
  azure_app_save (sim, &app);
  *ret_text = ctl_text ("export AZURE_TENANT_ID='%s'\nexport AZURE_CLIENT_ID='%s'\n"
                        "export AZURE_CLIENT_SECRET='%s'\n",
                        app.tenant, app.client_id, app.secret);
  return 0;
}

static int
run_create_identity (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  CLEANUP_AZURE_APP struct azure_app app = {.identity = true};

  if (need_new_name (sim, words, &app, err) < 0)
    return -1;
  snprintf (app.resource_id, sizeof app.resource_id,
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/demo/providers/"
            "Microsoft.ManagedIdentity/userAssignedIdentities/%s",
            app.name);
  azure_app_save (sim, &app);
  *ret_text = ctl_text ("client_id=%s\nobject_id=%s\nresource_id=%s\n", app.client_id,
                        app.object_id, app.resource_id);
  return 0;
}

static int
run_remove_app (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  CLEANUP_AZURE_APP struct azure_app app = {0};
  const char *name = ctl_word (words, 0);

  (void)ret_text;
  if (!name || azure_app_by_name (sim, name, &app) < 0)
    return error_set (err, ERROR_NOT_FOUND, "no application or identity is called '%.60s'",
                      name ? name : "");
  azure_app_remove (sim, app.client_id);
  return 0;
}

const struct ctl_command ctl_azure[] = {
    {"create-vault", "NAME [--hsm] [--access-policies] [--no-purge-protection] [--retention DAYS]",
     "a new vault in which the application demo may do everything; prints its URL",
     run_create_vault},
    {"delete-vault", "NAME [--hsm]", "make a vault unknown", run_delete_vault},
    {"firewall", "VAULT on|off [--hsm]", "refuse everybody by the vault's firewall", run_firewall},
    {"grant", "VAULT NAME ACTIONS [--hsm]",
     "what an application or identity may do in a vault: get,wrap,unwrap... or *", run_grant},
    {"revoke", "VAULT NAME [--hsm]", "take its rights away", run_revoke},
    {"create-app", "NAME [--subject SUBJECT]",
     "a new application with a client secret, as variables", run_create_app},
    {"create-identity", "NAME", "a new user-assigned managed identity", run_create_identity},
    {"remove-app", "NAME", "remove an application or identity", run_remove_app},
    {NULL},
};
