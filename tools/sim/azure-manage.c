/* azure-manage.c owns the Key Vault operations on the life of a key. */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "tools/sim/azure-vault.h"
#include "tools/sim/rsa.h"
#include "tools/sim/store.h"

#define DAY_S 86400

/* ---- what replies say about a key -------------------------------------------------------------
 */

static const char *
recovery_level (const struct azure_vault *vault)
{
  bool customized = vault->retention_days != AZURE_RETENTION_DAYS;

  if (vault->purge_protection)
    return customized ? "CustomizedRecoverable" : "Recoverable";
  return customized ? "CustomizedRecoverable+Purgeable" : "Recoverable+Purgeable";
}

static void
set_attributes (struct azure_call *call, struct json *json, const struct azure_version *version)
{
  struct json *attributes = json_set_object (json, "attributes");

  json_set_bool (attributes, "enabled", version->enabled);
  if (version->nbf_s != 0)
    json_set_number (attributes, "nbf", (double)version->nbf_s);
  if (version->exp_s != 0)
    json_set_number (attributes, "exp", (double)version->exp_s);
  json_set_number (attributes, "created", (double)version->created_s);
  json_set_number (attributes, "updated", (double)version->updated_s);
  json_set_string (attributes, "recoveryLevel", recovery_level (&call->vault));
  json_set_number (attributes, "recoverableDays", call->vault.retention_days);
  json_set_bool (attributes, "exportable", false);
}

static void
set_kid (struct azure_call *call, struct json *json, const struct azure_key *key,
         const struct azure_version *version)
{
  char kid[512];

  snprintf (kid, sizeof kid, "%s/keys/%s%s%s", call->base, key->name, version ? "/" : "",
            version ? version->id : "");
  json_set_string (json, "kid", kid);
}

static void
set_number (struct json *json, const char *name, EVP_PKEY *rsa)
{
  uint8_t bytes[RSA_BYTES_MAX];
  CLEANUP_FREE
  char *text = base64url_encode (bytes, rsa_number (rsa, name, bytes));

  json_set_string (json, name, text);
}

/* "a,b,c" as an array. */
static void
set_list (struct json *json, const char *name, const char *list)
{
  struct json *array = json_set_array (json, name);

  while (*list) {
    size_t length = strcspn (list, ",");
    char one[32];

    snprintf (one, sizeof one, "%.*s", (int)length, list);
    json_append_string (array, one);
    list += length + (list[length] == ',');
  }
}

static void
set_stored (struct json *json, const char *name, const char *text)
{
  struct json *value = text ? json_parse (text, strlen (text)) : NULL;

  if (value)
    json_set_value (json, name, value);
}

struct json *
azure_bundle (struct azure_call *call, const struct azure_key *key,
              const struct azure_version *version)
{
  struct json *json = json_object_new (), *jwk;

  if (!json)
    abort ();
  jwk = json_set_object (json, "key");
  set_kid (call, jwk, key, version);
  json_set_string (jwk, "kty", key->kty);
  set_list (jwk, "key_ops", version->key_ops);
  if (version->pem) {
    CLEANUP_PKEY EVP_PKEY *rsa = rsa_from_pem (version->pem);

    if (rsa) {
      set_number (jwk, "n", rsa);
      set_number (jwk, "e", rsa);
    }
  }
  else
    json_set_number (jwk, "key_size", key->bits);
  set_attributes (call, json, version);
  set_stored (json, "tags", key->tags);
  return json;
}

static int
reply_bundle (struct azure_call *call, const struct azure_key *key,
              const struct azure_version *version)
{
  CLEANUP_JSON struct json *json = azure_bundle (call, key, version);

  reply_json (call->ex->reply, 200, AZURE_JSON, json);
  return 0;
}

static int
reply_deleted (struct azure_call *call, struct azure_key *key)
{
  CLEANUP_JSON struct json *json = azure_bundle (call, key, azure_key_version (key, ""));
  char id[512];

  snprintf (id, sizeof id, "%s/deletedkeys/%s", call->base, key->name);
  json_set_string (json, "recoveryId", id);
  json_set_number (json, "deletedDate", (double)key->deleted_s);
  json_set_number (json, "scheduledPurgeDate", (double)key->purge_s);
  reply_json (call->ex->reply, 200, AZURE_JSON, json);
  return 0;
}

/* ---- creating and changing --------------------------------------------------------------------
 */

static int
fail_parameter (struct azure_call *call, const char *what)
{
  return azure_fail (call, 400, "BadParameter", NULL, "%s", what);
}

/* The attributes of the body; -1 when a value makes no sense. */
static int
take_attributes (struct azure_call *call, struct azure_version *version)
{
  const struct json *attributes = json_get (call->params, "attributes"),
                    *ops = json_get (call->params, "key_ops");
  uint64_t time;

  if (json_get (attributes, "enabled")
      && json_get_bool (attributes, "enabled", &version->enabled) < 0)
    return fail_parameter (call, "Property enabled has invalid value");
  if (json_get_uint64 (attributes, "nbf", &time) == 0)
    version->nbf_s = (int64_t)time;
  if (json_get_uint64 (attributes, "exp", &time) == 0)
    version->exp_s = (int64_t)time;
  if (!json_is_array (ops))
    return 0;
  version->key_ops[0] = '\0';
  for (size_t i = 0; i < json_size (ops); i++) {
    const char *op = json_string_value (json_at (ops, i));
    size_t used = strlen (version->key_ops);

    if (!op || strchr (op, ',') || used + strlen (op) + 2 > sizeof version->key_ops)
      return fail_parameter (call, "Property key_ops has invalid value");
    snprintf (version->key_ops + used, sizeof version->key_ops - used, "%s%s", i > 0 ? "," : "",
              op);
  }
  return 0;
}

static void
take_tags (struct azure_call *call, struct azure_key *key)
{
  const struct json *tags = json_get (call->params, "tags");

  if (!json_is_object (tags))
    return;
  free (key->tags);
  key->tags = json_print (tags, false);
}

/* Type and size of a new key. */
static int
take_type (struct azure_call *call, struct azure_key *key)
{
  const char *kty = json_get_string (call->params, "kty");
  bool oct = kty && (strcmp (kty, "oct-HSM") == 0 || strcmp (kty, "oct") == 0);
  bool rsa = kty && (strcmp (kty, "RSA") == 0 || strcmp (kty, "RSA-HSM") == 0);
  uint64_t bits = oct ? 256 : 2048;

  if (!oct && !rsa)
    return fail_parameter (call, "Property kty has invalid value (keyfence-kms-sim makes RSA, "
                                 "RSA-HSM and, in a managed HSM, oct-HSM keys)");
  if (oct && !call->hsm)
    return azure_fail (call, 400, "BadParameter", "KeyTypeNotSupported", "Invalid kty value: %s",
                       kty);
  if (json_get (call->params, "key_size") && json_get_uint64 (call->params, "key_size", &bits) < 0)
    bits = 0;
  if (oct ? bits != 128 && bits != 192 && bits != 256
          : bits != 2048 && bits != 3072 && bits != 4096)
    return fail_parameter (call, "Property key_size has invalid value");
  snprintf (key->kty, sizeof key->kty, "%s", oct ? "oct-HSM" : call->hsm ? "RSA-HSM" : kty);
  key->bits = (unsigned)bits;
  return 0;
}

int
azure_create (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  struct azure_version *version;

  if (!azure_key_name_ok (call->name))
    return fail_parameter (call, "The request URI contains an invalid name");
  key = azure_key_load (call->ex->sim, &call->vault, call->name, call->ex->now_s);
  if (key && key->deleted_s != 0)
    return azure_fail (
        call, 409, "Conflict", "ObjectIsDeletedButRecoverable",
        "Key %s is currently in a deleted but recoverable state, and its name cannot "
        "be reused; in this state, the key can only be recovered or purged.",
        call->name);
  if (!key) {
    key = calloc (1, sizeof *key);
    if (!key)
      abort ();
    snprintf (key->name, sizeof key->name, "%s", call->name);
  }
  if (take_type (call, key) < 0)
    return -1;
  version = azure_key_add_version (key, call->ex->now_s);
  if (!version)
    return azure_fail (call, 500, "InternalServerError", NULL, "No more versions can be made.");
  if (take_attributes (call, version) < 0)
    return -1;
  take_tags (call, key);
  azure_key_save (call->ex->sim, &call->vault, key);
  return reply_bundle (call, key, version);
}

int
azure_update (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  struct azure_version *version;

  if (azure_find_key (call, &key) < 0)
    return -1;
  version = azure_key_version (key, call->version);
  if (!version)
    return azure_fail_not_found (call);
  if (take_attributes (call, version) < 0)
    return -1;
  version->updated_s = call->ex->now_s;
  take_tags (call, key);
  azure_key_save (call->ex->sim, &call->vault, key);
  return reply_bundle (call, key, version);
}

int
azure_rotate (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  struct azure_version *version;

  if (azure_find_key (call, &key) < 0)
    return -1;
  version = azure_key_add_version (key, call->ex->now_s);
  if (!version)
    return azure_fail (call, 500, "InternalServerError", NULL, "No more versions can be made.");
  azure_key_save (call->ex->sim, &call->vault, key);
  return reply_bundle (call, key, version);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

int
azure_get (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  struct azure_version *version;

  if (azure_find_key (call, &key) < 0)
    return -1;
  version = azure_key_version (key, call->version);
  return version ? reply_bundle (call, key, version) : azure_fail_not_found (call);
}

static void
reply_list (struct azure_call *call, struct json *list)
{
  json_set_null (list, "nextLink");
  reply_json (call->ex->reply, 200, AZURE_JSON, list);
}

static int
list_keys (struct azure_call *call, bool deleted)
{
  CLEANUP_JSON struct json *list = json_object_new ();
  struct json *values = list ? json_set_array (list, "value") : NULL;
  char **names;
  size_t count = azure_key_list (call->ex->sim, &call->vault, &names);

  for (size_t i = 0; i < count && values; i++) {
    CLEANUP_AZURE_KEY struct azure_key *key =
        azure_key_load (call->ex->sim, &call->vault, names[i], call->ex->now_s);
    struct json *one;
    char id[512];

    if (!key || (key->deleted_s != 0) != deleted)
      continue;
    one = json_append_object (values);
    set_kid (call, one, key, NULL);
    set_attributes (call, one, azure_key_version (key, ""));
    if (!deleted)
      continue;
    snprintf (id, sizeof id, "%s/deletedkeys/%s", call->base, key->name);
    json_set_string (one, "recoveryId", id);
    json_set_number (one, "deletedDate", (double)key->deleted_s);
    json_set_number (one, "scheduledPurgeDate", (double)key->purge_s);
  }
  store_names_free (names, count);
  reply_list (call, list);
  return 0;
}

int
azure_list (struct azure_call *call)
{
  return list_keys (call, false);
}

int
azure_list_deleted (struct azure_call *call)
{
  return list_keys (call, true);
}

int
azure_list_versions (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  CLEANUP_JSON struct json *list = json_object_new ();
  struct json *values = list ? json_set_array (list, "value") : NULL;

  if (azure_find_key (call, &key) < 0)
    return -1;
  for (size_t i = 0; i < key->version_count && values; i++) {
    struct json *one = json_append_object (values);

    set_kid (call, one, key, &key->versions[i]);
    set_attributes (call, one, &key->versions[i]);
  }
  reply_list (call, list);
  return 0;
}

/* ---- deleting ---------------------------------------------------------------------------------
 */

/* The key of the path in its deleted state, or 404. */
static int
find_deleted (struct azure_call *call, struct azure_key **ret)
{
  struct azure_key *key = azure_key_load (call->ex->sim, &call->vault, call->name, call->ex->now_s);

  if (!key || key->deleted_s == 0) {
    azure_key_free (key);
    return azure_fail (call, 404, "KeyNotFound", NULL, "Deleted Key not found: %s", call->name);
  }
  *ret = key;
  return 0;
}

int
azure_delete (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;

  if (azure_find_key (call, &key) < 0)
    return -1;
  key->deleted_s = call->ex->now_s;
  key->purge_s = call->ex->now_s + (int64_t)call->vault.retention_days * DAY_S;
  azure_key_save (call->ex->sim, &call->vault, key);
  return reply_deleted (call, key);
}

int
azure_get_deleted (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;

  return find_deleted (call, &key) < 0 ? -1 : reply_deleted (call, key);
}

int
azure_recover (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;

  if (find_deleted (call, &key) < 0)
    return -1;
  key->deleted_s = key->purge_s = 0;
  azure_key_save (call->ex->sim, &call->vault, key);
  return reply_bundle (call, key, azure_key_version (key, ""));
}

int
azure_purge (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;

  if (find_deleted (call, &key) < 0)
    return -1;
  if (call->vault.purge_protection)
    return azure_fail (call, 403, "Forbidden", NULL,
                       "Operation \"purge\" is not allowed because purge protection is enabled for "
                       "this vault. Key Vault service will automatically purge it after the "
                       "retention period has passed.");
  azure_key_remove (call->ex->sim, &call->vault, call->name);
  reply_empty (call->ex->reply, 204);
  return 0;
}

/* ---- rotation policies ------------------------------------------------------------------------
 */

int
azure_get_rotation (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  CLEANUP_JSON struct json *json = json_object_new ();
  char id[512];

  if (azure_find_key (call, &key) < 0)
    return -1;
  if (key->rotation)
    reply_text (call->ex->reply, 200, AZURE_JSON, "%s", key->rotation);
  else {
    snprintf (id, sizeof id, "%s/keys/%s/rotationpolicy", call->base, key->name);
    json_set_string (json, "id", id);
    json_set_array (json, "lifetimeActions");
    json_set_object (json, "attributes");
    reply_json (call->ex->reply, 200, AZURE_JSON, json);
  }
  return 0;
}

int
azure_put_rotation (struct azure_call *call)
{
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;

  if (azure_find_key (call, &key) < 0)
    return -1;
  if (!call->params)
    return fail_parameter (call, "The rotation policy is missing");
  free (key->rotation);
  key->rotation = json_print (call->params, false);
  azure_key_save (call->ex->sim, &call->vault, key);
  return azure_get_rotation (call);
}
