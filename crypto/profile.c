/* profile.c owns the strict profile: every LUKS2 member that we accept, and with which values. */
#include "crypto/profile.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/json.h"
#include "common/parse.h"
#include "crypto/token.h"

#define BINARY_HEADER_BYTES 4096  /* LUKS2 On-Disk Format Specification 2.1 */
#define DATA_ALIGNMENT_BYTES 4096 /* direct I/O needs it */
#define KEYSLOT_AREA_MAX_BYTES UINT64_C (134217728)
#define METADATA_MAX_BYTES UINT64_C (4194304)

/* Members; the ones in capitals in the specification's tables are all here, so that a member which
 * changes what the others mean can't slip by.
 */
static const char *const root_members[] = {"keyslots", "tokens", "segments",
                                           "digests",  "config", NULL};
static const char *const config_members[] = {"json_size", "keyslots_size", "flags", "requirements",
                                             NULL};
static const char *const segment_members[] = {"type",       "offset",      "size", "iv_tweak",
                                              "encryption", "sector_size", NULL};
static const char *const digest_members[] = {"type",       "keyslots", "segments", "hash",
                                             "iterations", "salt",     "digest",   NULL};
static const char *const keyslot_members[] = {"type", "key_size", "af", "area",
                                              "kdf",  "priority", NULL};
static const char *const area_members[] = {"type",       "offset",   "size",
                                           "encryption", "key_size", NULL};

/* Names and values from the disk go into messages only after this. */
#define QUOTE_MAX 48
static const char *
quote (const char *text, char ret[QUOTE_MAX])
{
  size_t i = 0;

  for (; text && text[i] && i < QUOTE_MAX - 1; i++)
    ret[i] = isprint ((unsigned char)text[i]) ? text[i] : '?';
  ret[i] = '\0';
  return ret;
}

static int
foreign_value (struct error *err, const char *what, const char *found, const char *expected)
{
  char quoted[QUOTE_MAX];

  return error_set (err, ERROR_FOREIGN, "%s is \"%s\", expected \"%s\"", what,
                    quote (found, quoted), expected);
}

static int
check_members (const struct json *object, const char *const *list, const char *what,
               struct error *err)
{
  char quoted[QUOTE_MAX];

  if (!json_is_object (object))
    return error_set (err, ERROR_FOREIGN, "%s is missing or no object", what);
  for (size_t i = 0; i < json_size (object); i++) {
    const char *name = json_name (json_at (object, i));
    const char *const *known = list;

    while (*known && strcmp (name, *known) != 0)
      known++;
    if (!*known)
      return error_set (err, ERROR_FOREIGN, "%s has the unknown member \"%s\"", what,
                        quote (name, quoted));
  }
  return 0;
}

/* The member must be a string of exactly this value. */
static int
check_string (const struct json *object, const char *name, const char *what, const char *expected,
              struct error *err)
{
  const char *found = json_get_string (object, name);

  if (!found)
    return error_set (err, ERROR_FOREIGN, "%s is missing, expected \"%s\"", what, expected);
  if (strcmp (found, expected) != 0)
    return foreign_value (err, what, found, expected);
  return 0;
}

static int
check_number (const struct json *object, const char *name, const char *what, uint64_t expected,
              struct error *err)
{
  uint64_t found;

  if (json_get_uint64 (object, name, &found) < 0)
    return error_set (err, ERROR_FOREIGN, "%s is missing or no number", what);
  if (found != expected)
    return error_set (err, ERROR_FOREIGN, "%s is %llu, expected %llu", what,
                      (unsigned long long)found, (unsigned long long)expected);
  return 0;
}

/* LUKS2 stores 64-bit numbers as strings. */
static int
get_number_text (const struct json *object, const char *name, const char *what, uint64_t max,
                 uint64_t *ret, struct error *err)
{
  const char *text = json_get_string (object, name);

  if (!text || parse_uint (text, 0, max, ret, NULL) < 0)
    return error_set (err, ERROR_FOREIGN, "%s is no number up to %llu", what,
                      (unsigned long long)max);
  return 0;
}

static bool
array_is (const struct json *array, const char *only)
{
  const char *text = json_string_value (json_at (array, 0));

  return json_is_array (array) && json_size (array) == 1 && text && strcmp (text, only) == 0;
}

static bool
array_has (const struct json *array, const char *wanted)
{
  for (size_t i = 0; i < json_size (array); i++) {
    const char *text = json_string_value (json_at (array, i));

    if (text && strcmp (text, wanted) == 0)
      return true;
  }
  return false;
}

static int
check_requirements (const struct json *config, struct error *err)
{
  const struct json *requirements = json_get (config, "requirements"), *mandatory;
  char quoted[QUOTE_MAX];

  if (!requirements)
    return 0;
  mandatory = json_get (requirements, "mandatory");
  if (json_size (mandatory) == 0 && json_size (requirements) == (mandatory ? 1 : 0))
    return 0;
  return error_set (err, ERROR_FOREIGN,
                    "it requires \"%s\": finish or undo with cryptsetup what was begun with it",
                    quote (json_string_value (json_at (mandatory, 0)), quoted));
}

static int
check_config (const struct json *root, struct profile *profile, struct error *err)
{
  const struct json *config = json_get (root, "config");
  uint64_t json_bytes, areas_bytes;

  if (check_members (config, config_members, "config", err) < 0
      || check_requirements (config, err) < 0
      || get_number_text (config, "json_size", "config: json_size", METADATA_MAX_BYTES, &json_bytes,
                          err)
             < 0
      || get_number_text (config, "keyslots_size", "config: keyslots_size", KEYSLOT_AREA_MAX_BYTES,
                          &areas_bytes, err)
             < 0)
    return -1;
  profile->areas_end_bytes = 2 * (json_bytes + BINARY_HEADER_BYTES) + areas_bytes;
  return 0;
}

static int
check_sector_size (const struct json *segment, struct profile *profile, struct error *err)
{
  uint64_t size;

  if (json_get_uint64 (segment, "sector_size", &size) < 0)
    return error_set (err, ERROR_FOREIGN, "the sector size is missing");
  if (size != 512 && size != 4096)
    return error_set (err, ERROR_FOREIGN, "the sector size is %llu, expected 4096 or 512",
                      (unsigned long long)size);
  profile->sector_size = (uint32_t)size;
  return 0;
}

static int
check_data_offset (const struct json *segment, struct profile *profile, struct error *err)
{
  uint64_t offset;

  if (get_number_text (segment, "offset", "the data offset", INT64_MAX, &offset, err) < 0)
    return -1;
  if (offset < profile->areas_end_bytes)
    return error_set (err, ERROR_FOREIGN,
                      "the data start at byte %llu, expected behind the header's areas (%llu)",
                      (unsigned long long)offset, (unsigned long long)profile->areas_end_bytes);
  if (!is_aligned (offset, DATA_ALIGNMENT_BYTES))
    return error_set (err, ERROR_FOREIGN, "the data start at byte %llu, expected a multiple of %d",
                      (unsigned long long)offset, DATA_ALIGNMENT_BYTES);
  profile->data_offset_bytes = offset;
  return 0;
}

static int
check_segment (const struct json *root, struct profile *profile, struct error *err)
{
  const struct json *segments = json_get (root, "segments"), *segment = json_get (segments, "0");

  if (json_size (segments) != PROFILE_SEGMENTS || !segment)
    return error_set (err, ERROR_FOREIGN, "it has %zu segments, expected one named 0",
                      json_size (segments));
  if (json_get (segment, "integrity"))
    return error_set (err, ERROR_FOREIGN, "it has integrity tags, expected none");
  if (check_members (segment, segment_members, "the segment", err) < 0
      || check_string (segment, "type", "the segment's type", "crypt", err) < 0
      || check_string (segment, "encryption", "the cipher", PROFILE_CIPHER, err) < 0
      || check_string (segment, "size", "the segment's size", "dynamic", err) < 0
      || check_string (segment, "iv_tweak", "the iv_tweak", "0", err) < 0
      || check_sector_size (segment, profile, err) < 0)
    return -1;
  return check_data_offset (segment, profile, err);
}

static int
get_digest_bytes (const struct json *digest, const char *name, const char *what, uint8_t *ret_bytes,
                  size_t size, struct error *err)
{
  const char *text = json_get_string (digest, name);
  size_t got;

  if (!text || base64_decode (text, ret_bytes, size, &got) < 0 || got != size)
    return error_set (err, ERROR_FOREIGN, "%s is not base64 of %zu bytes", what, size);
  return 0;
}

static int
check_digest_hash (const struct json *object, struct profile_digest *digest, struct error *err)
{
  const char *hash = json_get_string (object, "hash");

  if (!hash || (strcmp (hash, "sha256") != 0 && strcmp (hash, "sha512") != 0))
    return foreign_value (err, "the digest's hash", hash, "sha256");
  memcpy (digest->hash, hash, strlen (hash) + 1);
  digest->size = strcmp (hash, "sha256") == 0 ? 32 : 64;
  return 0;
}

static int
check_digest (const struct json *root, struct profile_digest *digest, struct error *err)
{
  const struct json *digests = json_get (root, "digests"), *object = json_get (digests, "0");

  if (json_size (digests) != 1 || !object)
    return error_set (err, ERROR_FOREIGN, "it has %zu digests, expected one named 0",
                      json_size (digests));
  if (check_members (object, digest_members, "the digest", err) < 0
      || check_string (object, "type", "the digest's type", "pbkdf2", err) < 0
      || check_digest_hash (object, digest, err) < 0)
    return -1;
  if (!array_is (json_get (object, "segments"), "0"))
    return error_set (err, ERROR_FOREIGN, "the digest is not for segment 0 alone");
  if (json_get_uint64 (object, "iterations", &digest->iterations) < 0 || digest->iterations == 0
      || digest->iterations > PROFILE_ITERATIONS_MAX)
    return error_set (err, ERROR_FOREIGN, "the digest's iterations are no number from 1 to %d",
                      PROFILE_ITERATIONS_MAX);
  if (get_digest_bytes (object, "salt", "the digest's salt", digest->salt, sizeof digest->salt, err)
      < 0)
    return -1;
  return get_digest_bytes (object, "digest", "the digest", digest->bytes, digest->size, err);
}

static int
check_kdf (const struct json *keyslot, struct error *err)
{
  const char *type = json_get_string (json_get (keyslot, "kdf"), "type");

  if (type
      && (strcmp (type, "argon2id") == 0 || strcmp (type, "argon2i") == 0
          || strcmp (type, "pbkdf2") == 0))
    return 0;
  return foreign_value (err, "its KDF", type, "argon2id");
}

static int
check_keyslot (const struct json *keyslot, const struct json *bound, struct error *err)
{
  const struct json *area = json_get (keyslot, "area");

  /* The type first: other types have other members. */
  if (check_string (keyslot, "type", "its type", "luks2", err) < 0
      || check_members (keyslot, keyslot_members, "it", err) < 0
      || check_number (keyslot, "key_size", "its key size in bytes", PROFILE_KEY_BITS / 8, err) < 0
      || check_members (area, area_members, "its area", err) < 0
      || check_string (area, "type", "its area's type", "raw", err) < 0
      || check_string (area, "encryption", "its area's cipher", PROFILE_CIPHER, err) < 0
      || check_number (area, "key_size", "its area's key size in bytes", PROFILE_KEY_BITS / 8, err)
             < 0)
    return -1;
  if (!array_has (bound, json_name (keyslot)))
    return error_set (err, ERROR_FOREIGN, "it holds another key than the volume's");
  return check_kdf (keyslot, err);
}

static int
check_keyslots (const struct json *root, struct profile *profile, struct error *err)
{
  const struct json *keyslots = json_get (root, "keyslots");
  const struct json *bound = json_get (json_get (json_get (root, "digests"), "0"), "keyslots");
  char quoted[QUOTE_MAX];

  if (json_size (keyslots) > PROFILE_KEYSLOTS_MAX)
    return error_set (err, ERROR_FOREIGN, "it has %zu keyslots, more than %d", json_size (keyslots),
                      PROFILE_KEYSLOTS_MAX);
  for (size_t i = 0; i < json_size (keyslots); i++) {
    const struct json *keyslot = json_at (keyslots, i);

    if (check_keyslot (keyslot, bound, err) < 0)
      return error_prefix (err, "keyslot %s", quote (json_name (keyslot), quoted));
  }
  profile->keyslot_count = (unsigned)json_size (keyslots);
  return 0;
}

/* Finds our token; those of others are none of our business. */
static int
find_token (const struct json *root, struct profile *profile, struct error *err)
{
  const struct json *tokens = json_get (root, "tokens"), *found = NULL;
  uint64_t id;

  for (size_t i = 0; i < json_size (tokens); i++) {
    const char *type = json_get_string (json_at (tokens, i), "type");

    if (!type || strcmp (type, TOKEN_TYPE) != 0)
      continue;
    if (found)
      return error_set (err, ERROR_FOREIGN, "it has more than one keyfence token");
    found = json_at (tokens, i);
  }
  if (!found)
    return 0;
  if (parse_uint (json_name (found), 0, 31, &id, NULL) < 0)
    return error_set (err, ERROR_FOREIGN, "the keyfence token's number is not one of 0 to 31");
  profile->token_text = json_print (found, false);
  if (!profile->token_text)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  profile->token_id = (int)id;
  return 0;
}

int
profile_check (const char *text, struct profile *ret, struct error *err)
{
  CLEANUP_JSON struct json *root = NULL;
  struct profile profile = {.token_id = -1};

  /* C strings would end at an escaped NUL, and hide what follows it. */
  if (strlen (text) > PROFILE_TEXT_MAX || strstr (text, "\\u0000"))
    return error_set (err, ERROR_FOREIGN, "its metadata have more than %d bytes, or a NUL",
                      PROFILE_TEXT_MAX);
  root = json_parse (text, strlen (text));
  if (check_members (root, root_members, "its metadata", err) < 0
      || check_config (root, &profile, err) < 0 || check_segment (root, &profile, err) < 0
      || check_digest (root, &profile.digest, err) < 0 || check_keyslots (root, &profile, err) < 0
      || find_token (root, &profile, err) < 0)
    return -1;
  *ret = profile;
  return 0;
}

void
profile_clear (struct profile *profile)
{
  free (profile->token_text);
  profile->token_text = NULL;
}
