/* history.c owns what is remembered of the past. */
#include "nbd-plugin/fence/history.h"

#include <string.h>

#include "common/checked.h"
#include "common/parse.h"

/* Upper bounds in milliseconds, as Prometheus' client libraries have them by default. */
static const uint32_t bucket_ms[HISTORY_BUCKETS] = {5,   10,   25,   50,   100,  250,
                                                    500, 1000, 2500, 5000, 10000};

void
history_change (struct history *history, const struct tell_change *change)
{
  history->changes[history->change_count++ % HISTORY_CHANGES] = *change;
  if (strcmp (change->state, "fenced") == 0 && strcmp (change->from, "starting") != 0)
    history->fences++;
}

void
history_operation (struct history *history, const struct tell_operation *operation)
{
  history->operations[history->operation_count++ % HISTORY_OPERATIONS] = *operation;
  if (strcmp (operation->operation, "check") != 0 && strcmp (operation->operation, "unwrap") != 0)
    return;
  history->classes[operation->class]++;
  history->timed++;
  history->timed_s += (double)operation->duration_ms / 1000;
  for (size_t i = 0; i < HISTORY_BUCKETS; i++) {
    if (operation->duration_ms <= bucket_ms[i]) {
      history->buckets[i]++;
      break;
    }
  }
}

static void
report_latency (const struct history *history, struct json *json)
{
  struct json *latency = json_set_object (json, "check_latency");
  struct json *bounds = json_set_array (latency, "le_s");
  struct json *counts = json_set_array (latency, "counts");
  uint64_t sum = 0;

  for (size_t i = 0; i < HISTORY_BUCKETS; i++) {
    sum += history->buckets[i];
    json_append_number (bounds, (double)bucket_ms[i] / 1000);
    json_append_number (counts, (double)sum);
  }
  json_set_number (latency, "count", (double)history->timed);
  json_set_number (latency, "sum_s", history->timed_s);
}

static void
set_time (struct json *json, int64_t unix_ms)
{
  char text[FORMAT_TIME_MAX];

  format_time (unix_ms / 1000, text);
  json_set_string (json, "time", text);
  json_set_number (json, "unix_ms", (double)unix_ms);
}

static void
report_change (const struct tell_change *change, struct json *json)
{
  set_time (json, change->time_unix_ms);
  tell_set_change (json, change);
}

static void
report_operation (const struct tell_operation *operation, struct json *json)
{
  set_time (json, operation->time_unix_ms);
  tell_set_operation (json, operation);
}

/* The number of the oldest entry that a ring of `size` still has. */
static uint64_t
oldest (uint64_t count, uint64_t size)
{
  return count > size ? count - size : 0;
}

void
history_report (const struct history *history, struct json *json)
{
  struct json *list;

  report_latency (history, json);
  list = json_set_array (json, "transitions");
  for (uint64_t i = oldest (history->change_count, HISTORY_CHANGES); i < history->change_count; i++)
    report_change (&history->changes[i % HISTORY_CHANGES], json_append_object (list));
  list = json_set_array (json, "key_operations");
  for (uint64_t i = oldest (history->operation_count, HISTORY_OPERATIONS);
       i < history->operation_count; i++)
    report_operation (&history->operations[i % HISTORY_OPERATIONS], json_append_object (list));
}
