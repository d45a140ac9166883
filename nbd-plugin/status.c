/* status.c owns the facts that are told, and their names. */
#include "nbd-plugin/status.h"

#include <string.h>
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
set_checks (struct json *json, const struct key_snapshot *key)
{
  struct json *checks = json_set_object (json, "checks"), *by_class;
  uint64_t other = 0;

  for (int class = 0; class < KMS_CLASS_COUNT; class ++)
    if (class != KMS_OK && class != KMS_DENIED && class != KMS_OUTAGE)
      other += key->checks[class];
  json_set_number (checks, "ok", (double)key->checks[KMS_OK]);
  json_set_number (checks, "denied", (double)key->checks[KMS_DENIED]);
  json_set_number (checks, "outage", (double)key->checks[KMS_OUTAGE]);
  json_set_number (checks, "other", (double)other);
  by_class = json_set_object (json, "checks_by_class");
  for (int class = 0; class < KMS_CLASS_COUNT; class ++)
    json_set_number (by_class, kms_class_name ((enum kms_class) class), (double)key->checks[class]);
}

static void
set_access (struct json *json, const struct key_snapshot *key)
{
  json_set_string (json, "state", fence_state_name (key->state));
  json_set_string (json, "reason", key->reason);
  json_set_string (json, "detail", key->detail);
  json_set_string (json, "request_id", key->request_id);
  json_set_string (json, "latch", fence_latch_name (key->latch));
  set_time (json, "since", key->since_unix_s);
  set_time (json, "last_check", key->last_check_unix_s);
  set_time (json, "next_check", key->next_check_unix_s);
  set_time (json, "lease_until", key->lease_until_unix_s);
  if (key->lease_until_unix_s != 0)
    json_set_number (json, "lease_left_s", (double)key->lease_left_ms / 1000);
  else
    json_set_null (json, "lease_left_s");
  json_set_number (json, "fence_bound_s", (double)key->bound_ms / 1000);
  json_set_number (json, "fences", (double)key->fences);
  if (key->last_wipe_us != KEYMON_UNKNOWN)
    json_set_number (json, "last_wipe_us", (double)key->last_wipe_us);
  else
    json_set_null (json, "last_wipe_us");
  set_checks (json, key);
}

/* "key_expires" is null both for never and for not known; "key_expiry_known" tells them apart. */
static void
set_key (struct json *json, const struct key_snapshot *key)
{
  json_set_string (json, "key", key->key);
  json_set_string (json, "key_created", key->key_created);
  set_time (json, "key_expires",
            key->key_expires_unix_s == KEYMON_UNKNOWN ? 0 : key->key_expires_unix_s);
  json_set_bool (json, "key_expiry_known", key->key_expires_unix_s != KEYMON_UNKNOWN);
  json_set_string (json, "held_by",
                   key->state == FENCE_FENCED ? NULL
                   : key->by_secondary        ? "secondary"
                                              : "primary");
  json_set_number (json, "secondaries", key->secondaries);
}

static double
seconds (uint64_t ms)
{
  return (double)ms / 1000;
}

static void
set_parameters (struct json *json, const struct params *params)
{
  struct json *member = json_set_object (json, "parameters");

  json_set_number (member, "check_interval_s", seconds (params->check_interval_ms));
  json_set_number (member, "check_timeout_s", seconds (params->check_timeout_ms));
  json_set_number (member, "confirm_delay_s", seconds (params->confirm_delay_ms));
  json_set_number (member, "grace_s", seconds (params->grace_ms));
  json_set_string (member, "recover", params->recover_manual ? "manual" : "auto");
  json_set_number (member, "recover_window_s", seconds (params->recover_window_ms));
  json_set_string (member, "on_fence", params->on_fence == ON_FENCE_STALL ? "stall" : "error");
  json_set_number (member, "stall_limit_s", seconds (params->stall_limit_ms));
  json_set_string (member, "fence_errno", strerrorname_np (params->fence_errno));
  json_set_string (member, "key_expiry", params->expiry_fences ? "fence" : "warn");
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

  if (!json)
    return NULL;
  keymon_snapshot (keymon, &key);
  json_set_string (json, "volume", volume->info.uuid);
  json_set_string (json, "label", volume->info.label);
  json_set_string (json, "path", volume->params.path);
  json_set_number (json, "size_bytes", (double)volume_size (volume));
  set_access (json, &key);
  set_key (json, &key);
  set_io (json, volume);
  json_set_string (json, "engine", volume->engine->name);
  if (engine_note ())
    json_set_string (json, "engine_note", engine_note ());
  else
    json_set_null (json, "engine_note");
  json_set_string (json, "crypto", volume->xts->name);
  json_set_string (json, "cache", volume->backing.direct ? "none" : "writeback");
  json_set_bool (json, "memory_locked", volume_memory_locked (volume));
  json_set_bool (json, "read_only", volume->backing.read_only);
  json_set_number (json, "pid", getpid ());
  if (key.agent_pid > 0)
    json_set_number (json, "agent_pid", key.agent_pid);
  else
    json_set_null (json, "agent_pid");
  set_parameters (json, &volume->params);
  return json;
}

struct json *
status_metrics_new (struct volume *volume, struct keymon *keymon)
{
  struct json *json = status_new (volume, keymon);

  if (json)
    keymon_report_history (keymon, json);
  return json;
}
