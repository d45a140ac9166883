/* status.c owns the facts that are told, and their names. */
#include "nbd-plugin/status.h"

#include <unistd.h>

#include "common/parse.h"

static void
set_time (struct json *json, const char *name, int64_t unix_s)
{
  char text[FORMAT_TIME_MAX];

  if (unix_s == 0) {
    json_set_null (json, name);
    return;
  }
  format_time (unix_s, text);
  json_set_string (json, name, text);
}

static void
set_access (struct json *json, const struct key_snapshot *key)
{
  struct json *checks;
  uint64_t other = 0;

  json_set_string (json, "state", key_state_name (key->state));
  json_set_string (json, "reason", key->reason);
  json_set_string (json, "detail", key->detail);
  set_time (json, "since", key->since_unix_s);
  set_time (json, "last_check", key->last_check_unix_s);
  set_time (json, "next_check", key->next_check_unix_s);
  json_set_null (json, "lease_until");
  json_set_null (json, "fence_bound_s");
  for (int class = 0; class < KMS_CLASS_COUNT; class ++)
    if (class != KMS_OK && class != KMS_DENIED && class != KMS_OUTAGE)
      other += key->checks[class];
  checks = json_set_object (json, "checks");
  json_set_number (checks, "ok", (double)key->checks[KMS_OK]);
  json_set_number (checks, "denied", (double)key->checks[KMS_DENIED]);
  json_set_number (checks, "outage", (double)key->checks[KMS_OUTAGE]);
  json_set_number (checks, "other", (double)other);
}

static void
set_io (struct json *json, struct volume *volume)
{
  struct io_totals totals = volume_totals (volume);
  struct json *io = json_set_object (json, "io");

  json_set_number (io, "reads", (double)totals.reads);
  json_set_number (io, "writes", (double)totals.writes);
  json_set_number (io, "bytes_read", (double)totals.bytes_read);
  json_set_number (io, "bytes_written", (double)totals.bytes_written);
  json_set_number (io, "refused", (double)totals.refused);
}

struct json *
status_new (struct volume *volume, struct keymon *keymon)
{
  struct json *json = json_object_new ();
  struct key_snapshot key;
  uint64_t size_bytes = 0;

  if (!json)
    return NULL;
  keymon_snapshot (keymon, &key);
  json_set_string (json, "volume", volume->info.uuid);
  json_set_string (json, "label", volume->info.label);
  json_set_string (json, "path", volume->params.path);
  if (volume_size (volume, &size_bytes) == 0)
    json_set_number (json, "size_bytes", (double)size_bytes);
  else
    json_set_null (json, "size_bytes");
  set_access (json, &key);
  json_set_string (json, "key", volume->primary->key);
  set_io (json, volume);
  json_set_string (json, "engine", volume->engine->name);
  json_set_string (json, "crypto", volume->xts->name);
  json_set_string (json, "cache", volume->backing.direct ? "none" : "writeback");
  json_set_bool (json, "memory_locked", volume_memory_locked (volume));
  json_set_bool (json, "read_only", volume->backing.read_only);
  json_set_number (json, "pid", getpid ());
  if (key.agent_pid > 0)
    json_set_number (json, "agent_pid", key.agent_pid);
  else
    json_set_null (json, "agent_pid");
  return json;
}
