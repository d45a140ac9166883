/* JSON, by cJSON, behind the few calls that we need.  For messages, never for secrets.
 *
 * A `struct json` is a value; a root is owned by who made or parsed it (json_free), members belong
 * to their parent.  Setters copy strings.  Numbers are doubles: integers are exact up to 2^53.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct json;

/* Parses exactly `size` bytes, which must be one JSON value and white space; NULL if they are not,
 * or when an object in it has the same member twice.
 */
struct json *json_parse (const char *text, size_t size) MUST_CHECK;
void json_free (struct json *json);
void cleanup_json (struct json **json);
#define CLEANUP_JSON CLEANUP (cleanup_json)

/* The text, in one line or (pretty) indented; a new string, or NULL when out of memory. */
char *json_print (const struct json *json, bool pretty) MUST_CHECK;

/* New values; NULL when out of memory. */
struct json *json_object_new (void) MUST_CHECK;
struct json *json_array_new (void) MUST_CHECK;

/* Setters add a member to an object.  They abort the process when out of memory, since a message
 * with a member missing would be a lie.  json_set_string with NULL adds a null.
 */
void json_set_string (struct json *object, const char *name, const char *value);
void json_set_number (struct json *object, const char *name, double value);
void json_set_bool (struct json *object, const char *name, bool value);
void json_set_null (struct json *object, const char *name);
struct json *json_set_object (struct json *object, const char *name);
struct json *json_set_array (struct json *object, const char *name);
/* Takes the ownership of `value`. */
void json_set_value (struct json *object, const char *name, struct json *value);
struct json *json_append_object (struct json *array);
void json_append_string (struct json *array, const char *value);
void json_append_number (struct json *array, double value);
/* Takes the ownership of `value`. */
void json_append_value (struct json *array, struct json *value);

/* Getters never fail on a NULL or on a value of another type: they return NULL, false or -1. */
const struct json *json_get (const struct json *object, const char *name);
const char *json_get_string (const struct json *object, const char *name);
int json_get_uint64 (const struct json *object, const char *name, uint64_t *ret) MUST_CHECK;
int json_get_number (const struct json *object, const char *name, double *ret) MUST_CHECK;
int json_get_bool (const struct json *object, const char *name, bool *ret) MUST_CHECK;
bool json_is_object (const struct json *json);
bool json_is_array (const struct json *json);
bool json_is_null (const struct json *json);
const char *json_string_value (const struct json *json);
int json_number_value (const struct json *json, double *ret) MUST_CHECK;
/* Number of elements of an array or members of an object; 0 for everything else. */
size_t json_size (const struct json *json);
/* Element or member number i, in order; NULL past the end. */
const struct json *json_at (const struct json *json, size_t i);
/* The name of a member that json_at gave; NULL for an element. */
const char *json_name (const struct json *json);

#endif
