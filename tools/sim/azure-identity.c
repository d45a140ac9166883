/* azure-identity.c owns applications, managed identities and their access tokens. */
#include "tools/sim/azure-identity.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "tools/sim/issuer.h"
#include "tools/sim/store.h"

#define APPS "azure/apps"

void
azure_app_clear (struct azure_app *app)
{
  free (app->certificate);
  memset (app, 0, sizeof *app);
}

static const struct {
  const char *name;
  size_t offset, size;
} texts[] = {
#define MEMBER(field)                                                               \
  {                                                                                 \
#field, offsetof(struct azure_app, field), sizeof((struct azure_app *)0)->field \
  }
    MEMBER (tenant), MEMBER (object_id), MEMBER (name),
    MEMBER (secret), MEMBER (subject),   MEMBER (resource_id),
#undef MEMBER
};

int
azure_app_load (struct sim *sim, const char *client_id, struct azure_app *ret)
{
  CLEANUP_JSON struct json *json = store_load (sim->dir_fd, APPS, client_id);
  struct azure_app app = {0};
  const char *certificate = json_get_string (json, "certificate");

  if (!json || strlen (client_id) >= sizeof app.client_id
      || json_get_bool (json, "identity", &app.identity) < 0
      || json_get_bool (json, "system", &app.system) < 0)
    return -1;
  memcpy (app.client_id, client_id, strlen (client_id) + 1);
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++) {
    const char *value = json_get_string (json, texts[i].name);

    snprintf ((char *)&app + texts[i].offset, texts[i].size, "%s", value ? value : "");
  }
  if (certificate && !(app.certificate = strdup (certificate)))
    abort ();
  *ret = app;
  return 0;
}

void
azure_app_save (struct sim *sim, const struct azure_app *app)
{
  CLEANUP_JSON struct json *json = json_object_new ();

  if (!json)
    abort ();
  for (size_t i = 0; i < ARRAY_SIZE (texts); i++)
    json_set_string (json, texts[i].name, (const char *)app + texts[i].offset);
  json_set_bool (json, "identity", app->identity);
  json_set_bool (json, "system", app->system);
  json_set_string (json, "certificate", app->certificate);
  store_save (sim->dir_fd, APPS, app->client_id, json);
}

bool
azure_app_remove (struct sim *sim, const char *client_id)
{
  return store_remove (sim->dir_fd, APPS, client_id);
}

int
azure_app_find (struct sim *sim, bool (*fits) (const struct azure_app *app, const char *what),
                const char *what, struct azure_app *ret)
{
  char **names;
  size_t count = store_list (sim->dir_fd, APPS, &names);
  int r = -1;

  for (size_t i = 0; i < count && r < 0; i++) {
    struct azure_app app;

    if (azure_app_load (sim, names[i], &app) < 0)
      continue;
    if (fits (&app, what)) {
      *ret = app;
      r = 0;
    }
    else
      azure_app_clear (&app);
  }
  store_names_free (names, count);
  return r;
}

static bool
has_name (const struct azure_app *app, const char *name)
{
  return strcmp (app->name, name) == 0;
}

int
azure_app_by_name (struct sim *sim, const char *name, struct azure_app *ret)
{
  return azure_app_find (sim, has_name, name, ret);
}

void
azure_tenant (struct sim *sim, char ret[37])
{
  CLEANUP_JSON struct json *stored = store_load (sim->dir_fd, "azure", "tenant");
  CLEANUP_JSON struct json *fresh = NULL;
  const char *id = json_get_string (stored, "id");

  if (id && strlen (id) == 36) {
    memcpy (ret, id, 37);
    return;
  }
  sim_uuid (ret);
  fresh = json_object_new ();
  if (!fresh)
    abort ();
  json_set_string (fresh, "id", ret);
  store_save (sim->dir_fd, "azure", "tenant", fresh);
}

void
azure_issuer (const char *tenant, char ret[AZURE_NAME_MAX])
{
  snprintf (ret, AZURE_NAME_MAX, "https://sts.windows.net/%.36s/", tenant);
}

char *
azure_access_token (struct sim *sim, const struct azure_app *app, const char *resource,
                    bool claims_met, int64_t now_s, int64_t lifetime_s)
{
  CLEANUP_JSON struct json *claims = json_object_new ();
  char issuer[AZURE_NAME_MAX], id[37];

  if (!claims)
    abort ();
  sim_uuid (id);
  azure_issuer (app->tenant, issuer);
  json_set_string (claims, "aud", resource);
  json_set_string (claims, "appid", app->client_id);
  json_set_string (claims, "oid", app->object_id);
  json_set_string (claims, "sub", app->object_id);
  json_set_string (claims, "tid", app->tenant);
  json_set_string (claims, "idtyp", "app");
  json_set_string (claims, "uti", id);
  json_set_string (claims, "ver", "1.0");
  if (claims_met)
    json_set_bool (claims, "claims_met", true);
  return issuer_sign (sim, claims, issuer, now_s, lifetime_s);
}
