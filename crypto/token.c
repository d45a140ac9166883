/* token.c owns the keyfence token's two forms: its JSON, and the canonical bytes under the MAC. */
#include "crypto/token.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/json.h"

#define CANONICAL_MAGIC "keyfence header v1"
#define BASE64_MAX ((WRAP_BLOB_MAX + 2) / 3 * 4)

static const char *const token_members[] = {"type",    "keyslots", "version", "wraps",
                                            "history", "mac",      NULL};
static const char *const wrap_members[] = {"id",        "role",    "key",   "key_version",
                                           "algorithm", "wrapped", "probe", "probe_digest",
                                           "created",   NULL};
static const char *const past_members[] = {"key", "key_version", "from", "until", NULL};
static const char *const role_names[] = {
    [WRAP_PRIMARY] = "primary", [WRAP_SECONDARY] = "secondary"};

/* ---- reading ----------------------------------------------------------------------------------*/

static bool
is_listed (const char *name, const char *const *list)
{
  for (; *list; list++)
    if (strcmp (name, *list) == 0)
      return true;
  return false;
}

/* An object with exactly the members listed: a reader that skips what it does not know would let
 * two versions read one token differently.
 */
static int
check_members (const struct json *object, const char *const *list, const char *what,
               struct error *err)
{
  size_t listed = 0;

  if (!json_is_object (object))
    return error_set (err, ERROR_CORRUPT, "%s is not an object", what);
  for (size_t i = 0; i < json_size (object); i++)
    if (!is_listed (json_name (json_at (object, i)), list))
      return error_set (err, ERROR_CORRUPT, "%s has a member that version %d does not know", what,
                        TOKEN_VERSION);
  for (; list[listed]; listed++)
    if (!json_get (object, list[listed]))
      return error_set (err, ERROR_CORRUPT, "%s has no \"%s\"", what, list[listed]);
  return 0;
}

static bool
has_control_characters (const char *text)
{
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f)
      return true;
  return false;
}

static int
get_text (const struct json *object, const char *name, bool may_be_empty, const char *what,
          char *ret_text, size_t max, struct error *err)
{
  const char *text = json_get_string (object, name);

  if (!text)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is not a string", what, name);
  if (!may_be_empty && text[0] == '\0')
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is empty", what, name);
  if (strlen (text) >= max)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" has more than %zu bytes", what, name,
                      max - 1);
  if (has_control_characters (text))
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" holds control characters", what, name);
  memcpy (ret_text, text, strlen (text) + 1);
  return 0;
}

/* 2026-01-01T00:00:00Z, so that it can be printed as it is. */
static int
get_time (const struct json *object, const char *name, const char *what, char ret[WRAP_TIME_MAX],
          struct error *err)
{
  static const char mask[] = "0000-00-00T00:00:00Z";

  if (get_text (object, name, false, what, ret, WRAP_TIME_MAX, err) < 0)
    return -1;
  if (strlen (ret) != sizeof mask - 1)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is not a time", what, name);
  for (size_t i = 0; mask[i]; i++)
    if (mask[i] == '0' ? ret[i] < '0' || ret[i] > '9' : ret[i] != mask[i])
      return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is not a time", what, name);
  return 0;
}

/* From 1 to `max` bytes of base64. */
static int
get_bytes (const struct json *object, const char *name, const char *what, uint8_t *ret_bytes,
           size_t max, size_t *ret_size, struct error *err)
{
  const char *text = json_get_string (object, name);

  if (!text)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is not a string", what, name);
  if (strlen (text) > BASE64_MAX || base64_decode (text, ret_bytes, max, ret_size) < 0)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is not base64 of at most %zu bytes", what,
                      name, max);
  if (*ret_size == 0)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" is empty", what, name);
  return 0;
}

static int
get_exact_bytes (const struct json *object, const char *name, const char *what, uint8_t *ret_bytes,
                 size_t size, struct error *err)
{
  size_t got;

  if (get_bytes (object, name, what, ret_bytes, size, &got, err) < 0)
    return -1;
  if (got != size)
    return error_set (err, ERROR_CORRUPT, "%s: \"%s\" has %zu bytes, expected %zu", what, name, got,
                      size);
  return 0;
}

static int
parse_id_and_role (const struct json *object, const char *what, struct wrap *wrap,
                   struct error *err)
{
  const char *role = json_get_string (object, "role");
  uint64_t id;

  if (json_get_uint64 (object, "id", &id) < 0 || id == 0 || id > UINT32_MAX)
    return error_set (err, ERROR_CORRUPT, "%s: \"id\" is not a number from 1", what);
  wrap->id = (uint32_t)id;
  for (size_t i = 0; role && i < ARRAY_SIZE (role_names); i++)
    if (strcmp (role, role_names[i]) == 0) {
      wrap->role = (enum wrap_role)i;
      return 0;
    }
  return error_set (err, ERROR_CORRUPT, "%s: \"role\" is neither primary nor secondary", what);
}

static int
parse_wrap (const struct json *object, const char *what, struct wrap *wrap, struct error *err)
{
  if (check_members (object, wrap_members, what, err) < 0
      || parse_id_and_role (object, what, wrap, err) < 0
      || get_text (object, "key", false, what, wrap->key, sizeof wrap->key, err) < 0
      || get_text (object, "key_version", true, what, wrap->key_version, sizeof wrap->key_version,
                   err)
             < 0
      || get_text (object, "algorithm", false, what, wrap->algorithm, sizeof wrap->algorithm, err)
             < 0
      || get_bytes (object, "wrapped", what, wrap->wrapped.bytes, sizeof wrap->wrapped.bytes,
                    &wrap->wrapped.size, err)
             < 0
      || get_bytes (object, "probe", what, wrap->probe.bytes, sizeof wrap->probe.bytes,
                    &wrap->probe.size, err)
             < 0
      || get_exact_bytes (object, "probe_digest", what, wrap->probe_digest,
                          sizeof wrap->probe_digest, err)
             < 0)
    return -1;
  return get_time (object, "created", what, wrap->created, err);
}

static int
parse_past (const struct json *object, const char *what, struct token_past *past, struct error *err)
{
  if (check_members (object, past_members, what, err) < 0
      || get_text (object, "key", false, what, past->key, sizeof past->key, err) < 0
      || get_text (object, "key_version", true, what, past->key_version, sizeof past->key_version,
                   err)
             < 0
      || get_time (object, "from", what, past->from, err) < 0)
    return -1;
  return get_time (object, "until", what, past->until, err);
}

static int
parse_wraps (const struct json *array, struct token *token, struct error *err)
{
  if (!json_is_array (array))
    return error_set (err, ERROR_CORRUPT, "\"wraps\" is not an array");
  if (json_size (array) > TOKEN_WRAPS_MAX)
    return error_set (err, ERROR_CORRUPT, "it has %zu wraps, more than %d", json_size (array),
                      TOKEN_WRAPS_MAX);
  for (; token->wrap_count < json_size (array); token->wrap_count++) {
    struct wrap *wrap = &token->wraps[token->wrap_count];
    char what[32];

    snprintf (what, sizeof what, "wrap number %zu", token->wrap_count + 1);
    if (parse_wrap (json_at (array, token->wrap_count), what, wrap, err) < 0)
      return -1;
    for (size_t i = 0; i < token->wrap_count; i++)
      if (token->wraps[i].id == wrap->id)
        return error_set (err, ERROR_CORRUPT, "two wraps have the id %u", wrap->id);
  }
  if (!token_primary (token))
    return error_set (err, ERROR_CORRUPT, "it has no wrap with the role primary");
  return 0;
}

static int
parse_history (const struct json *array, struct token *token, struct error *err)
{
  if (!json_is_array (array))
    return error_set (err, ERROR_CORRUPT, "\"history\" is not an array");
  if (json_size (array) > TOKEN_HISTORY_MAX)
    return error_set (err, ERROR_CORRUPT, "its history has %zu entries, more than %d",
                      json_size (array), TOKEN_HISTORY_MAX);
  for (; token->past_count < json_size (array); token->past_count++) {
    char what[32];

    snprintf (what, sizeof what, "history entry %zu", token->past_count + 1);
    if (parse_past (json_at (array, token->past_count), what, &token->history[token->past_count],
                    err)
        < 0)
      return -1;
  }
  return 0;
}

static int
check_version (const struct json *root, struct error *err)
{
  const char *type = json_get_string (root, "type");
  uint64_t version;

  if (!type || strcmp (type, TOKEN_TYPE) != 0)
    return error_set (err, ERROR_CORRUPT, "its type is not \"" TOKEN_TYPE "\"");
  if (json_get_uint64 (root, "version", &version) < 0)
    return error_set (err, ERROR_CORRUPT, "it has no version");
  if (version != TOKEN_VERSION)
    return error_set (err, ERROR_FOREIGN,
                      "it has version %llu, this keyfence knows version %d: use a newer keyfence",
                      (unsigned long long)version, TOKEN_VERSION);
  return 0;
}

static int
fill (struct token *token, const struct json *root, struct error *err)
{
  const struct json *keyslots = json_get (root, "keyslots");

  /* The version first: what the rest may be depends on it. */
  if (!json_is_object (root))
    return error_set (err, ERROR_CORRUPT, "it is not a JSON object");
  if (check_version (root, err) < 0 || check_members (root, token_members, "it", err) < 0)
    return -1;
  if (!json_is_array (keyslots) || json_size (keyslots) != 0)
    return error_set (err, ERROR_CORRUPT, "\"keyslots\" is not an empty array");
  if (parse_wraps (json_get (root, "wraps"), token, err) < 0
      || parse_history (json_get (root, "history"), token, err) < 0)
    return -1;
  return get_exact_bytes (root, "mac", "it", token->mac, sizeof token->mac, err);
}

static int
parse (const char *text, struct token **ret_token, struct error *err)
{
  CLEANUP_JSON struct json *root = NULL;
  CLEANUP_TOKEN struct token *token = NULL;

  /* C strings would end at an escaped NUL, and hide what follows it. */
  if (strlen (text) > TOKEN_TEXT_MAX || strstr (text, "\\u0000"))
    return error_set (err, ERROR_CORRUPT, "it has more than %d bytes, or a NUL", TOKEN_TEXT_MAX);
  root = json_parse (text, strlen (text));
  if (!root)
    return error_set (err, ERROR_CORRUPT, "it is not JSON, or has a member twice");
  token = calloc (1, sizeof *token);
  if (!token)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (fill (token, root, err) < 0)
    return -1;
  *ret_token = token;
  token = NULL;
  return 0;
}

int
token_parse (const char *text, struct token **ret_token, struct error *err)
{
  return parse (text, ret_token, err) < 0 ? error_prefix (err, "keyfence token") : 0;
}

void
token_free (struct token *token)
{
  free (token);
}

void
cleanup_token (struct token **token)
{
  token_free (*token);
}

const struct wrap *
token_primary (const struct token *token)
{
  for (size_t i = 0; i < token->wrap_count; i++)
    if (token->wraps[i].role == WRAP_PRIMARY)
      return &token->wraps[i];
  return NULL;
}

/* ---- writing ----------------------------------------------------------------------------------*/

static void
set_bytes (struct json *object, const char *name, const uint8_t *bytes, size_t size)
{
  CLEANUP_FREE char *text = base64_encode (bytes, size);

  if (!text)
    abort (); /* as the other setters do when out of memory */
  json_set_string (object, name, text);
}

static void
print_wrap (struct json *object, const struct wrap *wrap)
{
  json_set_number (object, "id", wrap->id);
  json_set_string (object, "role", role_names[wrap->role]);
  json_set_string (object, "key", wrap->key);
  json_set_string (object, "key_version", wrap->key_version);
  json_set_string (object, "algorithm", wrap->algorithm);
  set_bytes (object, "wrapped", wrap->wrapped.bytes, wrap->wrapped.size);
  set_bytes (object, "probe", wrap->probe.bytes, wrap->probe.size);
  set_bytes (object, "probe_digest", wrap->probe_digest, sizeof wrap->probe_digest);
  json_set_string (object, "created", wrap->created);
}

static void
print_past (struct json *object, const struct token_past *past)
{
  json_set_string (object, "key", past->key);
  json_set_string (object, "key_version", past->key_version);
  json_set_string (object, "from", past->from);
  json_set_string (object, "until", past->until);
}

static char *
print (const struct token *token)
{
  CLEANUP_JSON struct json *root = json_object_new ();
  struct json *array;

  if (!root)
    return NULL;
  json_set_string (root, "type", TOKEN_TYPE);
  json_set_array (root, "keyslots");
  json_set_number (root, "version", TOKEN_VERSION);
  array = json_set_array (root, "wraps");
  for (size_t i = 0; i < token->wrap_count; i++)
    print_wrap (json_append_object (array), &token->wraps[i]);
  array = json_set_array (root, "history");
  for (size_t i = 0; i < token->past_count; i++)
    print_past (json_append_object (array), &token->history[i]);
  set_bytes (root, "mac", token->mac, sizeof token->mac);
  return json_print (root, false);
}

int
token_print (const struct token *token, char **ret_text, struct error *err)
{
  CLEANUP_FREE char *text = print (token);
  CLEANUP_TOKEN struct token *again = NULL;

  if (!text)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  /* What we would refuse to read must never reach a disk. */
  if (token_parse (text, &again, err) < 0)
    return -1;
  *ret_text = text;
  text = NULL;
  return 0;
}

/* ---- the canonical form -----------------------------------------------------------------------*/

static void
put_u64 (FILE *out, uint64_t n)
{
  uint8_t bytes[8];

  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(n >> (8 * i));
  fwrite (bytes, 1, sizeof bytes, out);
}

static void
put_bytes (FILE *out, const void *bytes, size_t size)
{
  put_u64 (out, size);
  fwrite (bytes, 1, size, out);
}

static void
put_text (FILE *out, const char *text)
{
  put_bytes (out, text, strlen (text));
}

static void
put_wrap (FILE *out, const struct wrap *wrap)
{
  put_u64 (out, wrap->id);
  put_text (out, role_names[wrap->role]);
  put_text (out, wrap->key);
  put_text (out, wrap->key_version);
  put_text (out, wrap->algorithm);
  put_bytes (out, wrap->wrapped.bytes, wrap->wrapped.size);
  put_bytes (out, wrap->probe.bytes, wrap->probe.size);
  put_bytes (out, wrap->probe_digest, sizeof wrap->probe_digest);
  put_text (out, wrap->created);
}

static void
put_past (FILE *out, const struct token_past *past)
{
  put_text (out, past->key);
  put_text (out, past->key_version);
  put_text (out, past->from);
  put_text (out, past->until);
}

static void
put_binding (FILE *out, const struct token_binding *binding)
{
  put_text (out, binding->uuid);
  put_text (out, binding->cipher);
  put_u64 (out, binding->key_bits);
  put_u64 (out, binding->sector_size);
  put_u64 (out, binding->data_offset_bytes);
  put_u64 (out, binding->segment_count);
}

int
token_canonical (const struct token *token, const struct token_binding *binding,
                 uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
  CLEANUP_FREE char *bytes = NULL;
  size_t size = 0;
  FILE *out = open_memstream (&bytes, &size); /* lint: a token is not secret */
  bool failed;

  if (!out)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  put_text (out, CANONICAL_MAGIC);
  put_u64 (out, TOKEN_VERSION);
  put_binding (out, binding);
  put_u64 (out, token->wrap_count);
  for (size_t i = 0; i < token->wrap_count; i++)
    put_wrap (out, &token->wraps[i]);
  put_u64 (out, token->past_count);
  for (size_t i = 0; i < token->past_count; i++)
    put_past (out, &token->history[i]);
  failed = ferror (out) != 0;
  if (fclose (out) != 0 || failed)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  *ret_bytes = (uint8_t *)bytes;
  *ret_size = size;
  bytes = NULL;
  return 0;
}
