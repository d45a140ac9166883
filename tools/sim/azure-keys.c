/* azure-keys.c owns keys of vaults on disk. */
#include "tools/sim/azure-keys.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "common/encode.h"
#include "tools/sim/rsa.h"
#include "tools/sim/store.h"

#define KEYS "azure/keys"
#define ALL_OPS_RSA "encrypt,decrypt,sign,verify,wrapKey,unwrapKey"
#define ALL_OPS_OCT "encrypt,decrypt,wrapKey,unwrapKey"

void
azure_key_free (struct azure_key *key)
{
  if (!key)
    return;
  for (size_t i = 0; i < key->version_count; i++)
    free (key->versions[i].pem);
  free (key->rotation);
  free (key->tags);
  free (key);
}

void
cleanup_azure_key (struct azure_key **key)
{
  azure_key_free (*key);
}

bool
azure_key_name_ok (const char *name)
{
  size_t length = strlen (name);

  return length >= 1 && length <= 100
         && strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
                == length;
}

/* Names are the same in upper and lower case. */
static void
file_name (const struct azure_vault *vault, const char *name, char ret[STORE_NAME_MAX])
{
  snprintf (ret, STORE_NAME_MAX, "%s,%s,%.100s", vault->name, vault->hsm ? "managedhsm" : "vault",
            name);
  for (char *c = ret; *c; c++)
    if (*c >= 'A' && *c <= 'Z')
      *c = (char)(*c | 0x20);
}

/* ---- loading ----------------------------------------------------------------------------------
 */

static char *
take_text (const struct json *json, const char *name)
{
  const char *text = json_get_string (json, name);
  char *copy = text ? strdup (text) : NULL;

  if (text && !copy)
    abort ();
  return copy;
}

static int
take_time (const struct json *json, const char *name, int64_t *ret)
{
  uint64_t value;

  if (json_get_uint64 (json, name, &value) < 0)
    return -1;
  *ret = (int64_t)value;
  return 0;
}

static int
load_version (const struct json *json, struct azure_version *version)
{
  const char *id = json_get_string (json, "id"), *ops = json_get_string (json, "key_ops"),
             *oct = json_get_string (json, "oct");
  size_t size;

  if (!id || strlen (id) >= sizeof version->id || !ops || strlen (ops) >= sizeof version->key_ops
      || json_get_bool (json, "enabled", &version->enabled) < 0
      || take_time (json, "nbf", &version->nbf_s) < 0
      || take_time (json, "exp", &version->exp_s) < 0
      || take_time (json, "created", &version->created_s) < 0
      || take_time (json, "updated", &version->updated_s) < 0
      || (oct && base64_decode (oct, version->oct, sizeof version->oct, &size) < 0))
    return -1;
  memcpy (version->id, id, strlen (id) + 1);
  memcpy (version->key_ops, ops, strlen (ops) + 1);
  version->pem = take_text (json, "pem");
  return 0;
}

static int
load_all (struct azure_key *key, const struct json *json)
{
  const char *name = json_get_string (json, "name"), *kty = json_get_string (json, "kty");
  const struct json *versions = json_get (json, "versions");
  uint64_t bits;

  if (!name || !kty || strlen (kty) >= sizeof key->kty || json_get_uint64 (json, "bits", &bits) < 0
      || take_time (json, "deleted", &key->deleted_s) < 0
      || take_time (json, "purge", &key->purge_s) < 0)
    return -1;
  snprintf (key->name, sizeof key->name, "%s", name);
  memcpy (key->kty, kty, strlen (kty) + 1);
  key->bits = (unsigned)bits;
  key->rotation = take_text (json, "rotation");
  key->tags = take_text (json, "tags");
  for (size_t i = 0; i < json_size (versions) && i < AZURE_VERSIONS_MAX; i++) {
    key->version_count++;
    if (load_version (json_at (versions, i), &key->versions[i]) < 0)
      return -1;
  }
  return key->version_count > 0 ? 0 : -1;
}

struct azure_key *
azure_key_load (struct sim *sim, const struct azure_vault *vault, const char *name, int64_t now_s)
{
  char file[STORE_NAME_MAX];
  CLEANUP_JSON struct json *json = NULL;
  struct azure_key *key;

  if (!azure_key_name_ok (name))
    return NULL;
  file_name (vault, name, file);
  json = store_load (sim->dir_fd, KEYS, file);
  if (!json)
    return NULL;
  key = calloc (1, sizeof *key);
  if (!key)
    abort ();
  if (load_all (key, json) == 0 && (key->deleted_s == 0 || now_s < key->purge_s))
    return key;
  if (key->deleted_s != 0)
    store_remove (sim->dir_fd, KEYS, file);
  azure_key_free (key);
  return NULL;
}

/* ---- saving -----------------------------------------------------------------------------------
 */

static void
set_version (struct json *json, const struct azure_version *version)
{
  CLEANUP_FREE
  char *oct = base64_encode (version->oct, sizeof version->oct);

  json_set_string (json, "id", version->id);
  json_set_bool (json, "enabled", version->enabled);
  json_set_number (json, "nbf", (double)version->nbf_s);
  json_set_number (json, "exp", (double)version->exp_s);
  json_set_number (json, "created", (double)version->created_s);
  json_set_number (json, "updated", (double)version->updated_s);
  json_set_string (json, "key_ops", version->key_ops);
  json_set_string (json, "pem", version->pem);
  json_set_string (json, "oct", oct);
}

void
azure_key_save (struct sim *sim, const struct azure_vault *vault, const struct azure_key *key)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  char file[STORE_NAME_MAX];
  struct json *versions;

  if (!json)
    abort ();
  json_set_string (json, "name", key->name);
  json_set_string (json, "kty", key->kty);
  json_set_number (json, "bits", key->bits);
  json_set_number (json, "deleted", (double)key->deleted_s);
  json_set_number (json, "purge", (double)key->purge_s);
  json_set_string (json, "rotation", key->rotation);
  json_set_string (json, "tags", key->tags);
  versions = json_set_array (json, "versions");
  for (size_t i = 0; i < key->version_count; i++)
    set_version (json_append_object (versions), &key->versions[i]);
  file_name (vault, key->name, file);
  store_save (sim->dir_fd, KEYS, file, json);
}

bool
azure_key_remove (struct sim *sim, const struct azure_vault *vault, const char *name)
{
  char file[STORE_NAME_MAX];

  file_name (vault, name, file);
  return store_remove (sim->dir_fd, KEYS, file);
}

size_t
azure_key_list (struct sim *sim, const struct azure_vault *vault, char ***ret_names)
{
  char prefix[STORE_NAME_MAX], **names;
  size_t count = store_list (sim->dir_fd, KEYS, &names), kept = 0;

  file_name (vault, "", prefix);
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen (prefix);

    if (strncmp (names[i], prefix, length) == 0) {
      memmove (names[i], names[i] + length, strlen (names[i] + length) + 1);
      names[kept++] = names[i];
    }
    else
      free (names[i]);
  }
  *ret_names = names;
  return kept;
}

/* ---- versions ---------------------------------------------------------------------------------
 */

struct azure_version *
azure_key_add_version (struct azure_key *key, int64_t now_s)
{
  struct azure_version *version = &key->versions[key->version_count];
  char bits[8];

  if (key->version_count == AZURE_VERSIONS_MAX)
    return NULL;
  memset (version, 0, sizeof *version);
  sim_random_text ("0123456789abcdef", AZURE_VERSION_SIZE - 1, version->id);
  version->enabled = true;
  version->created_s = version->updated_s = now_s;
  if (strcmp (key->kty, "oct-HSM") == 0) {
    snprintf (version->key_ops, sizeof version->key_ops, ALL_OPS_OCT);
    if (RAND_priv_bytes (version->oct, (int)key->bits / 8) != 1)
      abort ();
  }
  else {
    snprintf (version->key_ops, sizeof version->key_ops, ALL_OPS_RSA);
    snprintf (bits, sizeof bits, "%u", key->bits);
    version->pem = rsa_new_pem (bits);
    if (!version->pem)
      return NULL;
  }
  key->version_count++;
  return version;
}

struct azure_version *
azure_key_version (struct azure_key *key, const char *id)
{
  if (!*id)
    return &key->versions[key->version_count - 1];
  for (size_t i = 0; i < key->version_count; i++)
    if (strcmp (key->versions[i].id, id) == 0)
      return &key->versions[i];
  return NULL;
}
