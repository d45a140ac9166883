/* json.c is the only file that knows cJSON. */
#include "common/json.h"

#include <string.h>

#include <cjson/cJSON.h>

#define INTEGER_MAX 9007199254740992.0 /* 2^53 */

static cJSON *
raw (const struct json *json)
{
  return (cJSON *)(uintptr_t)json;
}

static struct json *
wrap (cJSON *item)
{
  return (struct json *)item;
}

/* For values without which the message would be wrong. */
static cJSON *
need (cJSON *item)
{
  if (!item)
    abort ();
  return item;
}

static bool
has_duplicate_members (const cJSON *value)
{
  for (const cJSON *member = value->child; member; member = member->next) {
    if (cJSON_IsObject (value))
      for (const cJSON *other = member->next; other; other = other->next)
        if (strcmp (member->string, other->string) == 0)
          return true;
    if (has_duplicate_members (member))
      return true;
  }
  return false;
}

static bool
only_white_space (const char *text, const char *end)
{
  for (; text < end; text++)
    if (*text != ' ' && *text != '\t' && *text != '\n' && *text != '\r')
      return false;
  return true;
}

struct json *
json_parse (const char *text, size_t size)
{
  const char *end = NULL;
  cJSON *item = cJSON_ParseWithLengthOpts (text, size, &end, false);

  if (!item)
    return NULL;
  if (!only_white_space (end, text + size) || has_duplicate_members (item)) {
    cJSON_Delete (item);
    return NULL;
  }
  return wrap (item);
}

void
json_free (struct json *json)
{
  cJSON_Delete (raw (json));
}

void
cleanup_json (struct json **json)
{
  json_free (*json);
}

char *
json_print (const struct json *json, bool pretty)
{
  return pretty ? cJSON_Print (raw (json)) : cJSON_PrintUnformatted (raw (json));
}

struct json *
json_object_new (void)
{
  return wrap (cJSON_CreateObject ());
}

struct json *
json_array_new (void)
{
  return wrap (cJSON_CreateArray ());
}

void
json_set_string (struct json *object, const char *name, const char *value)
{
  if (value)
    need (cJSON_AddStringToObject (raw (object), name, value));
  else
    json_set_null (object, name);
}

void
json_set_number (struct json *object, const char *name, double value)
{
  need (cJSON_AddNumberToObject (raw (object), name, value));
}

void
json_set_bool (struct json *object, const char *name, bool value)
{
  need (cJSON_AddBoolToObject (raw (object), name, value));
}

void
json_set_null (struct json *object, const char *name)
{
  need (cJSON_AddNullToObject (raw (object), name));
}

struct json *
json_set_object (struct json *object, const char *name)
{
  return wrap (need (cJSON_AddObjectToObject (raw (object), name)));
}

struct json *
json_set_array (struct json *object, const char *name)
{
  return wrap (need (cJSON_AddArrayToObject (raw (object), name)));
}

void
json_set_value (struct json *object, const char *name, struct json *value)
{
  if (!cJSON_AddItemToObject (raw (object), name, need (raw (value))))
    abort ();
}

struct json *
json_append_object (struct json *array)
{
  cJSON *item = need (cJSON_CreateObject ());

  if (!cJSON_AddItemToArray (raw (array), item))
    abort ();
  return wrap (item);
}

void
json_append_string (struct json *array, const char *value)
{
  if (!cJSON_AddItemToArray (raw (array), need (cJSON_CreateString (value))))
    abort ();
}

void
json_append_number (struct json *array, double value)
{
  if (!cJSON_AddItemToArray (raw (array), need (cJSON_CreateNumber (value))))
    abort ();
}

void
json_append_value (struct json *array, struct json *value)
{
  if (!cJSON_AddItemToArray (raw (array), raw (value)))
    abort ();
}

const struct json *
json_get (const struct json *object, const char *name)
{
  return wrap (cJSON_GetObjectItemCaseSensitive (raw (object), name));
}

const char *
json_get_string (const struct json *object, const char *name)
{
  return json_string_value (json_get (object, name));
}

int
json_get_number (const struct json *object, const char *name, double *ret)
{
  return json_number_value (json_get (object, name), ret);
}

int
json_get_uint64 (const struct json *object, const char *name, uint64_t *ret)
{
  double value;

  if (json_get_number (object, name, &value) < 0 || !(value >= 0) || value > INTEGER_MAX
      || value != (double)(uint64_t)value)
    return -1;
  *ret = (uint64_t)value;
  return 0;
}

int
json_get_bool (const struct json *object, const char *name, bool *ret)
{
  const cJSON *item = raw (json_get (object, name));

  if (!cJSON_IsBool (item))
    return -1;
  *ret = cJSON_IsTrue (item);
  return 0;
}

bool
json_is_object (const struct json *json)
{
  return cJSON_IsObject (raw (json));
}

bool
json_is_array (const struct json *json)
{
  return cJSON_IsArray (raw (json));
}

bool
json_is_null (const struct json *json)
{
  return cJSON_IsNull (raw (json));
}

const char *
json_string_value (const struct json *json)
{
  return cJSON_GetStringValue (raw (json));
}

int
json_number_value (const struct json *json, double *ret)
{
  const cJSON *item = raw (json);

  if (!cJSON_IsNumber (item))
    return -1;
  *ret = item->valuedouble;
  return 0;
}

size_t
json_size (const struct json *json)
{
  if (!json_is_object (json) && !json_is_array (json))
    return 0;
  return (size_t)cJSON_GetArraySize (raw (json));
}

const struct json *
json_at (const struct json *json, size_t i)
{
  return i < json_size (json) ? wrap (cJSON_GetArrayItem (raw (json), (int)i)) : NULL;
}

const char *
json_name (const struct json *json)
{
  return json ? raw (json)->string : NULL;
}
