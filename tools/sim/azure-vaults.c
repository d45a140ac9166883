/* azure-vaults.c owns vaults on disk, and who may do what in them. */
#include <stdio.h>
#include <string.h>

#include "tools/sim/azure-keys.h"
#include "tools/sim/store.h"

#define VAULTS "azure/vaults"

/* 3 to 24 letters, digits and dashes, as the real ones. */
bool
azure_vault_name_ok (const char *name)
{
  size_t length = strlen (name);

  return length >= 3 && length <= 24 && name[0] != '-'
         && strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
                == length;
}

static void
file_name (const char *name, bool hsm, char ret[STORE_NAME_MAX])
{
  snprintf (ret, STORE_NAME_MAX, "%.64s,%s", name, hsm ? "managedhsm" : "vault");
  for (char *c = ret; *c; c++)
    if (*c >= 'A' && *c <= 'Z')
      *c = (char)(*c | 0x20);
}

static void
load_grants (struct azure_vault *vault, const struct json *array)
{
  for (size_t i = 0; i < json_size (array) && i < AZURE_GRANTS_MAX; i++) {
    const char *object_id = json_get_string (json_at (array, i), "object_id"),
               *actions = json_get_string (json_at (array, i), "actions");

    azure_vault_grant (vault, object_id ? object_id : "", actions ? actions : "");
  }
}

int
azure_vault_load (struct sim *sim, const char *name, bool hsm, struct azure_vault *ret)
{
  char file[STORE_NAME_MAX];
  CLEANUP_JSON struct json *json = NULL;
  struct azure_vault vault = {.hsm = hsm};
  const char *stored;
  uint64_t days;

  file_name (name, hsm, file);
  json = store_load (sim->dir_fd, VAULTS, file);
  stored = json_get_string (json, "name");
  if (!stored || json_get_bool (json, "policies", &vault.policies) < 0
      || json_get_bool (json, "firewall", &vault.firewall) < 0
      || json_get_bool (json, "purge_protection", &vault.purge_protection) < 0
      || json_get_uint64 (json, "retention_days", &days) < 0)
    return -1;
  snprintf (vault.name, sizeof vault.name, "%s", stored);
  vault.retention_days = (uint32_t)days;
  load_grants (&vault, json_get (json, "grants"));
  *ret = vault;
  return 0;
}

void
azure_vault_save (struct sim *sim, const struct azure_vault *vault)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  char file[STORE_NAME_MAX];
  struct json *grants;

  if (!json)
    abort ();
  json_set_string (json, "name", vault->name);
  json_set_bool (json, "policies", vault->policies);
  json_set_bool (json, "firewall", vault->firewall);
  json_set_bool (json, "purge_protection", vault->purge_protection);
  json_set_number (json, "retention_days", vault->retention_days);
  grants = json_set_array (json, "grants");
  for (size_t i = 0; i < vault->grant_count; i++) {
    struct json *one = json_append_object (grants);

    json_set_string (one, "object_id", vault->grants[i].object_id);
    json_set_string (one, "actions", vault->grants[i].actions);
  }
  file_name (vault->name, vault->hsm, file);
  store_save (sim->dir_fd, VAULTS, file, json);
}

bool
azure_vault_remove (struct sim *sim, const char *name, bool hsm)
{
  char file[STORE_NAME_MAX];

  file_name (name, hsm, file);
  return store_remove (sim->dir_fd, VAULTS, file);
}

/* ---- rights -----------------------------------------------------------------------------------
 */

bool
azure_list_has (const char *list, const char *name)
{
  size_t length = strlen (name);

  while (*list) {
    size_t one = strcspn (list, ",");

    if ((one == 1 && *list == '*') || (one == length && strncmp (list, name, one) == 0))
      return true;
    list += one + (list[one] == ',');
  }
  return false;
}

bool
azure_vault_allows (const struct azure_vault *vault, const char *object_id, const char *action)
{
  for (size_t i = 0; i < vault->grant_count; i++)
    if (strcmp (vault->grants[i].object_id, object_id) == 0)
      return azure_list_has (vault->grants[i].actions, action);
  return false;
}

bool
azure_vault_grant (struct azure_vault *vault, const char *object_id, const char *actions)
{
  size_t i = 0;

  while (i < vault->grant_count && strcmp (vault->grants[i].object_id, object_id) != 0)
    i++;
  if (!*actions) {
    if (i < vault->grant_count)
      vault->grants[i] = vault->grants[--vault->grant_count];
    return true;
  }
  if (i == AZURE_GRANTS_MAX)
    return false;
  if (i == vault->grant_count)
    vault->grant_count++;
  snprintf (vault->grants[i].object_id, sizeof vault->grants[i].object_id, "%s", object_id);
  snprintf (vault->grants[i].actions, sizeof vault->grants[i].actions, "%s", actions);
  return true;
}
