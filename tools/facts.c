/* facts.c owns the JSON form of a header's facts. */
#include "tools/facts.h"

#include "common/json.h"
#include "common/parse.h"
#include "tools/print.h"

const char *
facts_role_name (enum wrap_role role)
{
  return role == WRAP_PRIMARY ? "primary" : "secondary";
}

static void
add_token (struct json *json, const struct token *token)
{
  struct json *wraps = json_set_array (json, "wraps"), *history = json_set_array (json, "history");

  for (size_t i = 0; token && i < token->wrap_count; i++) {
    const struct wrap *wrap = &token->wraps[i];
    struct json *item = json_append_object (wraps);

    json_set_number (item, "id", wrap->id);
    json_set_string (item, "role", facts_role_name (wrap->role));
    json_set_string (item, "key", wrap->key);
    json_set_string (item, "key_version", wrap->key_version);
    json_set_string (item, "algorithm", wrap->algorithm);
    json_set_string (item, "created", wrap->created);
  }
  for (size_t i = 0; token && i < token->past_count; i++) {
    const struct token_past *past = &token->history[i];
    struct json *item = json_append_object (history);

    json_set_string (item, "key", past->key);
    json_set_string (item, "key_version", past->key_version);
    json_set_string (item, "from", past->from);
    json_set_string (item, "until", past->until);
  }
}

int
facts_print_json (const struct volume *volume, struct error *err)
{
  const struct header_info *info = header_info (volume->header);
  CLEANUP_JSON struct json *json = json_object_new ();

  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  json_set_string (json, "volume", info->uuid);
  json_set_string (json, "label", info->label);
  json_set_string (json, "path", volume->path);
  json_set_number (json, "size_bytes", (double)volume_data_bytes (volume));
  json_set_string (json, "subsystem", info->subsystem);
  json_set_string (json, "cipher", HEADER_CIPHER);
  json_set_number (json, "key_bits", VOLUME_KEY_SIZE * 8);
  json_set_number (json, "sector_size", info->sector_size);
  json_set_number (json, "data_offset_bytes", (double)info->data_offset_bytes);
  json_set_number (json, "passphrases", info->keyslot_count);
  json_set_number (json, "digest_iterations", (double)info->digest_iterations);
  json_set_bool (json, "damaged_copy", info->damaged_copy);
  json_set_bool (json, "header_backup", volume_data_bytes (volume) == 0);
  add_token (json, header_token (volume->header));
  return print_json (json, err);
}

int
facts_print_done (const char *verb, const char *path, const char *config, bool json,
                  struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  char size[FORMAT_SIZE_MAX];

  if (volume_open (path, false, &volume, err) < 0 || volume_load (&volume, true, err) < 0)
    return -1;
  if (json)
    return facts_print_json (&volume, err);
  format_size (volume_data_bytes (&volume), size);
  print_line ("%s %s: %s, volume %s", verb, path, size, header_info (volume.header)->uuid);
  print_line ("serve it with: keyfence serve %s", config ? config : path);
  return 0;
}
