/* aws-keys.c owns KMS keys on disk. */
#include "tools/sim/aws-keys.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "common/checked.h"
#include "common/encode.h"
#include "tools/sim/rsa.h"
#include "tools/sim/store.h"

#define KEYS "aws/keys"

void
aws_key_free (struct aws_key *key)
{
  if (!key)
    return;
  free (key->description);
  free (key->policy);
  free (key->grants);
  free (key->private_pem);
  free (key);
}

void
cleanup_aws_key (struct aws_key **key)
{
  aws_key_free (*key);
}

void
aws_key_arn (const struct aws_key *key, char ret[AWS_ARN_MAX])
{
  snprintf (ret, AWS_ARN_MAX, "arn:%s:kms:%s:%s:key/%s", aws_partition (key->region), key->region,
            key->account, key->id);
}

bool
aws_key_is_symmetric (const struct aws_key *key)
{
  return strcmp (key->spec, "SYMMETRIC_DEFAULT") == 0;
}

/* ---- loading and saving -----------------------------------------------------------------------
 */

static const struct {
  const char *name;
  size_t offset, size;
} short_texts[] = {
#define MEMBER(name, field)                                                     \
  {                                                                             \
    name, offsetof (struct aws_key, field), sizeof ((struct aws_key *)0)->field \
  }
    MEMBER ("id", id),
    MEMBER ("account", account),
    MEMBER ("region", region),
    MEMBER ("spec", spec),
    MEMBER ("usage", usage),
    MEMBER ("state", state),
    MEMBER ("primary_region", primary_region),
#undef MEMBER
};

static const struct {
  const char *name;
  size_t offset;
} long_texts[] = {
    {"description", offsetof (struct aws_key, description)},
    {"policy", offsetof (struct aws_key, policy)},
    {"grants", offsetof (struct aws_key, grants)},
    {"private_pem", offsetof (struct aws_key, private_pem)},
};

static int
load_texts (struct aws_key *key, const struct json *json)
{
  for (size_t i = 0; i < ARRAY_SIZE (short_texts); i++) {
    const char *value = json_get_string (json, short_texts[i].name);

    if (!value || strlen (value) >= short_texts[i].size)
      return -1;
    memcpy ((char *)key + short_texts[i].offset, value, strlen (value) + 1);
  }
  for (size_t i = 0; i < ARRAY_SIZE (long_texts); i++) {
    const char *value = json_get_string (json, long_texts[i].name);

    if (value && !(*(char **)((char *)key + long_texts[i].offset) = strdup (value)))
      return -1;
  }
  return 0;
}

static int
load_numbers (struct aws_key *key, const struct json *json)
{
  uint64_t created_s, deletion_s, window_days, valid_to_s;

  if (json_get_uint64 (json, "created", &created_s) < 0
      || json_get_uint64 (json, "deletion", &deletion_s) < 0
      || json_get_uint64 (json, "window_days", &window_days) < 0
      || json_get_bool (json, "rotation", &key->rotation) < 0)
    return -1;
  /* Folders of older simulators have neither. */
  if (json_get_bool (json, "imported", &key->imported) < 0
      || json_get_uint64 (json, "valid_to", &valid_to_s) < 0)
    valid_to_s = 0;
  key->valid_to_s = (int64_t)valid_to_s;
  key->created_s = (int64_t)created_s;
  key->deletion_s = (int64_t)deletion_s;
  key->window_days = (uint32_t)window_days;
  return 0;
}

static int
load_materials (struct aws_key *key, const struct json *array)
{
  if (json_size (array) > AWS_MATERIALS_MAX)
    return -1;
  for (size_t i = 0; i < json_size (array); i++) {
    struct aws_material *material = &key->materials[key->material_count++];
    const char *id = json_get_string (json_at (array, i), "id"),
               *bytes = json_get_string (json_at (array, i), "bytes");
    uint64_t created_s;
    size_t size;

    if (!id || strlen (id) >= sizeof material->id || !bytes
        || base64_decode (bytes, material->bytes, AWS_MATERIAL_SIZE, &size) < 0
        || size != AWS_MATERIAL_SIZE
        || json_get_uint64 (json_at (array, i), "created", &created_s) < 0)
      return -1;
    memcpy (material->id, id, strlen (id) + 1);
    material->created_s = (int64_t)created_s;
  }
  return 0;
}

static void
file_name (const char *region, const char *id, char ret[STORE_NAME_MAX])
{
  snprintf (ret, STORE_NAME_MAX, "%s,%s", region, id);
}

struct aws_key *
aws_key_load (struct sim *sim, const char *region, const char *id, int64_t now_s)
{
  char name[STORE_NAME_MAX];
  CLEANUP_JSON struct json *json = NULL;
  struct aws_key *key;

  file_name (region, id, name);
  json = store_load (sim->dir_fd, KEYS, name);
  if (!json)
    return NULL;
  key = calloc (1, sizeof *key);
  if (!key || load_texts (key, json) < 0 || load_numbers (key, json) < 0
      || load_materials (key, json_get (json, "materials")) < 0) {
    aws_key_free (key);
    return NULL;
  }
  if (key->valid_to_s != 0 && now_s >= key->valid_to_s && strcmp (key->state, "Enabled") == 0)
    snprintf (key->state, sizeof key->state, "PendingImport");
  if (key->deletion_s != 0 && now_s >= key->deletion_s) {
    store_remove (sim->dir_fd, KEYS, name);
    aws_key_free (key);
    return NULL;
  }
  return key;
}

static void
set_materials (struct json *json, const struct aws_key *key)
{
  struct json *array = json_set_array (json, "materials");

  for (size_t i = 0; i < key->material_count; i++) {
    const struct aws_material *material = &key->materials[i];
    struct json *one = json_append_object (array);
    CLEANUP_FREE
    char *bytes = base64_encode (material->bytes, AWS_MATERIAL_SIZE);

    json_set_string (one, "id", material->id);
    json_set_string (one, "bytes", bytes);
    json_set_number (one, "created", (double)material->created_s);
  }
}

void
aws_key_save (struct sim *sim, const struct aws_key *key)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  char name[STORE_NAME_MAX];

  if (!json)
    abort ();
  for (size_t i = 0; i < ARRAY_SIZE (short_texts); i++)
    json_set_string (json, short_texts[i].name, (const char *)key + short_texts[i].offset);
  for (size_t i = 0; i < ARRAY_SIZE (long_texts); i++)
    json_set_string (json, long_texts[i].name,
                     *(char *const *)((const char *)key + long_texts[i].offset));
  json_set_number (json, "created", (double)key->created_s);
  json_set_number (json, "deletion", (double)key->deletion_s);
  json_set_number (json, "window_days", key->window_days);
  json_set_bool (json, "rotation", key->rotation);
  json_set_bool (json, "imported", key->imported);
  json_set_number (json, "valid_to", (double)key->valid_to_s);
  set_materials (json, key);
  file_name (key->region, key->id, name);
  store_save (sim->dir_fd, KEYS, name, json);
}

/* ---- new keys ---------------------------------------------------------------------------------
 */

bool
aws_key_rotate (struct aws_key *key, int64_t now_s)
{
  struct aws_material *material = &key->materials[key->material_count];
  uint8_t id[32];

  if (key->material_count == AWS_MATERIALS_MAX)
    return false;
  if (RAND_bytes (id, sizeof id) != 1 || RAND_priv_bytes (material->bytes, AWS_MATERIAL_SIZE) != 1)
    abort ();
  hex_encode (id, sizeof id, material->id);
  material->created_s = now_s;
  key->material_count++;
  return true;
}

static void
new_id (struct aws_key *key, bool multi_region)
{
  char uuid[37], *end = key->id;

  sim_uuid (uuid);
  if (!multi_region) {
    memcpy (key->id, uuid, sizeof uuid);
    return;
  }
  memcpy (end, "mrk-", 4);
  end += 4;
  for (const char *c = uuid; *c; c++)
    if (*c != '-')
      *end++ = *c;
}

struct aws_key *
aws_key_new (const char *account, const char *region, const char *spec, bool multi_region,
             int64_t now_s)
{
  struct aws_key *key = calloc (1, sizeof *key);

  if (!key)
    abort ();
  new_id (key, multi_region);
  snprintf (key->account, sizeof key->account, "%s", account);
  snprintf (key->region, sizeof key->region, "%s", region);
  snprintf (key->spec, sizeof key->spec, "%s", spec);
  snprintf (key->usage, sizeof key->usage, "ENCRYPT_DECRYPT");
  snprintf (key->state, sizeof key->state, "Enabled");
  if (multi_region)
    snprintf (key->primary_region, sizeof key->primary_region, "%s", region);
  key->created_s = now_s;
  if (aws_key_is_symmetric (key))
    aws_key_rotate (key, now_s);
  else if (strncmp (spec, "RSA_", 4) != 0 || !(key->private_pem = rsa_new_pem (spec + 4))) {
    aws_key_free (key);
    return NULL;
  }
  return key;
}
