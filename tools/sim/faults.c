/* faults.c owns the list of faults that are switched on, and which request meets which. */
#include "tools/sim/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"

enum value_kind { NO_VALUE, DURATION_MS, DURATION_S, HTTP_STATUS };

static const struct {
  const char *name;
  enum value_kind value;
} kinds[FAULT_KINDS] = {
    [FAULT_OUTAGE] = {"outage", NO_VALUE},
    [FAULT_THROTTLE] = {"throttle", NO_VALUE},
    [FAULT_DELAY] = {"delay", DURATION_MS},
    [FAULT_RESET] = {"reset", NO_VALUE},
    [FAULT_TRUNCATE] = {"truncate", NO_VALUE},
    [FAULT_GARBAGE] = {"garbage", NO_VALUE},
    [FAULT_WRONG_PLAINTEXT] = {"wrong-plaintext", NO_VALUE},
    [FAULT_SKEW] = {"skew", DURATION_S},
    [FAULT_EXPIRED] = {"expired", NO_VALUE},
    [FAULT_FIREWALL] = {"firewall", NO_VALUE},
    [FAULT_DENY] = {"deny", NO_VALUE},
    [FAULT_STATUS] = {"status", HTTP_STATUS},
    [FAULT_CLAIMS] = {"claims", NO_VALUE},
};

const char *
fault_name (enum fault_kind kind)
{
  return kinds[kind].name;
}

static int
parse_kind (const char *name, enum fault_kind *ret, struct error *err)
{
  for (int i = 0; i < FAULT_KINDS; i++)
    if (strcmp (kinds[i].name, name) == 0) {
      *ret = (enum fault_kind)i;
      return 0;
    }
  return error_set (err, ERROR_USAGE,
                    "no fault is called '%s'; there are: outage, throttle, delay, reset, truncate, "
                    "garbage, wrong-plaintext, skew, expired, firewall, deny, status, claims",
                    name);
}

static int
parse_value (struct fault *fault, const char *text, struct error *err)
{
  enum value_kind kind = kinds[fault->kind].value;
  bool negative = text && kind == DURATION_S && text[0] == '-';
  uint64_t value = 0;

  if (!text)
    return error_set (err, ERROR_USAGE, "the fault %s needs a value", fault_name (fault->kind));
  if (kind == HTTP_STATUS) {
    if (parse_uint (text, 200, 599, &value, err) < 0)
      return -1;
  }
  else if (parse_duration (text + negative, &value, err) < 0)
    return -1;
  if (kind == DURATION_S)
    value /= 1000;
  fault->value = negative ? -(int64_t)value : (int64_t)value;
  return 0;
}

static int
copy_text (char *to, size_t max, const char *value, struct error *err)
{
  if (strlen (value) >= max)
    return error_set (err, ERROR_USAGE, "'%.40s…' is too long", value);
  memcpy (to, value, strlen (value) + 1);
  return 0;
}

static int
parse_option (struct fault *fault, const char *name, const char *value, struct error *err)
{
  uint64_t number;

  if (!name || !value)
    return error_set (err, ERROR_USAGE, "%s needs a value", name ? name : "an option");
  if (strcmp (name, "--op") == 0)
    return copy_text (fault->operation, sizeof fault->operation, value, err);
  if (strcmp (name, "--key") == 0)
    return copy_text (fault->key, sizeof fault->key, value, err);
  if (strcmp (name, "--count") == 0) {
    if (parse_uint (value, 1, 1000000000, &number, err) < 0)
      return -1;
    fault->left = (int64_t)number;
    return 0;
  }
  if (strcmp (name, "--for") == 0) {
    if (parse_duration (value, &number, err) < 0)
      return -1;
    fault->until_ms = clock_ms () + number;
    return 0;
  }
  return error_set (err, ERROR_USAGE, "unknown option %s: --op, --key, --count, --for", name);
}

int
faults_add (struct faults *faults, const struct json *words, struct error *err)
{
  struct fault fault = {.operation = "all", .left = -1};
  const char *word = json_string_value (json_at (words, 0));
  size_t i = 1;

  if (!word)
    return error_set (err, ERROR_USAGE, "which fault? See keyfence-kms-sim(1)");
  if (parse_kind (word, &fault.kind, err) < 0)
    return -1;
  if (kinds[fault.kind].value != NO_VALUE
      && parse_value (&fault, json_string_value (json_at (words, i++)), err) < 0)
    return -1;
  for (; i < json_size (words); i += 2)
    if (parse_option (&fault, json_string_value (json_at (words, i)),
                      json_string_value (json_at (words, i + 1)), err)
        < 0)
      return -1;
  if (faults->count == FAULTS_MAX)
    return error_set (err, ERROR_USAGE, "%d faults are switched on already", FAULTS_MAX);
  faults->list[faults->count++] = fault;
  return 0;
}

/* Over, by count or by time. */
static bool
is_over (const struct fault *fault)
{
  return fault->left == 0 || (fault->until_ms != 0 && clock_ms () >= fault->until_ms);
}

static void
drop_those_over (struct faults *faults)
{
  size_t kept = 0;

  for (size_t i = 0; i < faults->count; i++)
    if (!is_over (&faults->list[i]))
      faults->list[kept++] = faults->list[i];
  faults->count = kept;
}

/* "aws" fits "aws-kms". */
static bool
is_cloud_of (const char *name, const char *service)
{
  size_t length = strlen (name);

  return strncmp (name, service, length) == 0 && service[length] == '-';
}

static bool
applies (const struct fault *fault, const char *operation, const char *service, const char *key)
{
  if (fault->key[0] && !strstr (key, fault->key))
    return false;
  return strcmp (fault->operation, "all") == 0 || strcasecmp (fault->operation, operation) == 0
         || strcmp (fault->operation, service) == 0 || is_cloud_of (fault->operation, service);
}

size_t
faults_match (struct faults *faults, const char *operation, const char *service, const char *key,
              struct fault ret[FAULTS_MAX])
{
  size_t count = 0;

  drop_those_over (faults);
  for (size_t i = 0; i < faults->count; i++) {
    struct fault *fault = &faults->list[i];

    if (!applies (fault, operation, service, key))
      continue;
    if (fault->left > 0)
      fault->left--;
    ret[count++] = *fault;
  }
  return count;
}

struct json *
faults_print (const struct faults *faults)
{
  struct json *array = json_array_new ();

  for (size_t i = 0; array && i < faults->count; i++) {
    const struct fault *fault = &faults->list[i];
    struct json *one;

    if (is_over (fault))
      continue;
    one = json_append_object (array);
    json_set_string (one, "fault", fault_name (fault->kind));
    if (kinds[fault->kind].value != NO_VALUE)
      json_set_number (one, "value", (double)fault->value);
    json_set_string (one, "op", fault->operation);
    if (fault->key[0])
      json_set_string (one, "key", fault->key);
    if (fault->left >= 0)
      json_set_number (one, "left", (double)fault->left);
    if (fault->until_ms)
      json_set_number (one, "left_ms", (double)fault->until_ms - (double)clock_ms ());
  }
  return array;
}

int
faults_clear (struct faults *faults, const char *kind, struct error *err)
{
  enum fault_kind which = FAULT_OUTAGE;
  size_t kept = 0;

  if (!kind) {
    faults->count = 0;
    return 0;
  }
  if (parse_kind (kind, &which, err) < 0)
    return -1;
  for (size_t i = 0; i < faults->count; i++)
    if (faults->list[i].kind != which)
      faults->list[kept++] = faults->list[i];
  faults->count = kept;
  return 0;
}
