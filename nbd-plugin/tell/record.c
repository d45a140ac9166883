/* record.c owns what is told: the making of records, and their facts. */
#include "nbd-plugin/tell/record.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/json.h"
#include "common/parse.h"

/* ---- life ---- */

static struct record *
record_new (enum record_kind kind)
{
  struct record *record = calloc (1, sizeof *record);

  if (!record)
    return NULL;
  atomic_init (&record->refs, 1);
  record->kind = kind;
  return record;
}

struct record *
record_ref (struct record *record)
{
  atomic_fetch_add_explicit (&record->refs, 1, memory_order_relaxed);
  return record;
}

void
record_unref (struct record *record)
{
  /* acq_rel: who frees has seen all that the others did with it. */
  if (record && atomic_fetch_sub_explicit (&record->refs, 1, memory_order_acq_rel) == 1)
    free (record);
}

struct record *
record_of_change (const struct tell_change *change)
{
  struct record *record = record_new (RECORD_CHANGE);
  struct tell_change *own;

  if (!record)
    return NULL;
  own = &record->change;
  *own = *change;
  kms_text_clean (own->reason);
  kms_text_clean (own->detail);
  kms_text_clean (own->request_id);
  kms_text_clean (own->key);
  return record;
}

struct record *
record_of_operation (const struct tell_operation *operation)
{
  struct record *record = record_new (RECORD_OPERATION);
  struct tell_operation *own;

  if (!record)
    return NULL;
  own = &record->operation;
  *own = *operation;
  kms_text_clean (own->key);
  kms_text_clean (own->reason);
  kms_text_clean (own->request_id);
  return record;
}

struct record *
record_of_event (const struct tell_event *event)
{
  struct record *record = record_new (RECORD_EVENT);

  if (!record)
    return NULL;
  record->event = *event;
  kms_text_clean (record->event.detail);
  return record;
}

struct record *
record_of_result (const struct record_result *result)
{
  struct record *record = record_new (RECORD_RESULT);

  if (!record)
    return NULL;
  record->result = *result;
  kms_text_clean (record->result.to);
  kms_text_clean (record->result.detail);
  return record;
}

struct record *
record_of_dropped (const char *queue, uint64_t count)
{
  struct record *record = record_new (RECORD_DROPPED);

  if (!record)
    return NULL;
  record->dropped.time_unix_ms = record_now_ms ();
  record->dropped.queue = queue;
  record->dropped.count = count;
  return record;
}

struct record *
record_of_line (bool error, const char *text)
{
  struct record *record = record_new (RECORD_LINE);

  if (!record)
    return NULL;
  record->line.error = error;
  snprintf (record->line.text, sizeof record->line.text, "%s", text);
  kms_text_clean (record->line.text);
  return record;
}

/* ---- time ---- */

int64_t
record_now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
record_format_time (int64_t unix_ms, char ret[RECORD_TIME_MAX])
{
  int64_t ms = MAX (unix_ms, 0);
  char seconds[FORMAT_TIME_MAX];

  format_time (ms / 1000, seconds);
  seconds[strcspn (seconds, "Z")] = '\0';
  snprintf (ret, RECORD_TIME_MAX, "%s.%03dZ", seconds, (int)(ms % 1000));
}

/* ---- facts ---- */

static void
begin (struct json *json, int64_t time_unix_ms, const char *event, const struct about *about)
{
  char time[RECORD_TIME_MAX];

  record_format_time (time_unix_ms, time);
  json_set_string (json, "time", time);
  json_set_string (json, "event", event);
  json_set_string (json, "volume", about->volume);
  json_set_string (json, "label", about->label);
  json_set_string (json, "path", about->path);
}

void
tell_set_change (struct json *json, const struct tell_change *c)
{
  json_set_string (json, "from", c->from);
  json_set_string (json, "state", c->state);
  json_set_string (json, "reason", c->reason);
  json_set_string (json, "detail", c->detail);
  json_set_string (json, "request_id", c->request_id);
}

void
tell_set_operation (struct json *json, const struct tell_operation *o)
{
  json_set_string (json, "operation", o->operation);
  json_set_string (json, "role", o->role);
  json_set_string (json, "key", o->key);
  json_set_string (json, "class", kms_class_name (o->class));
  json_set_string (json, "reason", o->reason);
  json_set_string (json, "request_id", o->request_id);
  json_set_number (json, "duration_ms", o->duration_ms);
}

static void
set_change (struct json *json, const struct record *record, const struct about *about)
{
  const struct tell_change *c = &record->change;

  begin (json, c->time_unix_ms, "state", about);
  tell_set_change (json, c);
  json_set_string (json, "key", c->key);
  json_set_number (json, "bound_s", c->bound_s);
}

static void
set_operation (struct json *json, const struct record *record, const struct about *about)
{
  begin (json, record->operation.time_unix_ms, "operation", about);
  tell_set_operation (json, &record->operation);
}

static void
set_event (struct json *json, const struct record *record, const struct about *about)
{
  begin (json, record->event.time_unix_ms, record->event.event, about);
  json_set_string (json, "detail", record->event.detail);
}

static void
set_result (struct json *json, const struct record *record, const struct about *about)
{
  const struct record_result *r = &record->result;

  begin (json, r->time_unix_ms, r->event, about);
  json_set_string (json, "to", r->to);
  json_set_string (json, "state", r->state);
  json_set_string (json, "status", r->status);
  json_set_string (json, "detail", r->detail);
  json_set_number (json, "tries", r->tries);
  json_set_number (json, "duration_ms", r->duration_ms);
}

static void
set_dropped (struct json *json, const struct record *record, const struct about *about)
{
  begin (json, record->dropped.time_unix_ms, "dropped", about);
  json_set_string (json, "queue", record->dropped.queue);
  json_set_number (json, "count", (double)record->dropped.count);
}

static void (*const setters[]) (struct json *json, const struct record *record,
                                const struct about *about) = {
    [RECORD_CHANGE] = set_change, [RECORD_OPERATION] = set_operation, [RECORD_EVENT] = set_event,
    [RECORD_RESULT] = set_result, [RECORD_DROPPED] = set_dropped,
};

char *
record_print (const struct record *record, const struct about *about)
{
  CLEANUP_JSON struct json *json = json_object_new ();

  assert (record->kind < ARRAY_SIZE (setters));
  if (!json)
    return NULL;
  setters[record->kind](json, record, about);
  return json_print (json, false);
}
