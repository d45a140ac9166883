/* report.c owns a drill's facts as JSON and in words. */
#include "tools/drill/report.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/checked.h"
#include "common/parse.h"
#include "config.h"
#include "tools/drill/nbd.h"
#include "tools/print.h"

const char *
report_result (const struct drill *drill)
{
  if (drill->fenced_at_end)
    return "fenced";
  if (drill->interrupted_by != 0)
    return "interrupted";
  return drill->verdict == DRILL_PASSED ? "passed" : "failed";
}

static void
set_ms (struct json *json, const char *name, int64_t ms)
{
  if (ms == DRILL_NEVER)
    json_set_null (json, name);
  else
    json_set_number (json, name, (double)ms);
}

static void
set_time (struct json *json, const char *name, const struct drill *drill, int64_t at_ms)
{
  char text[FORMAT_TIME_MAX];

  format_time ((drill->follow.start_unix_ms + at_ms) / 1000, text);
  json_set_string (json, name, text);
}

static void
set_same (struct json *json, const char *name, const struct json *status)
{
  double number;

  if (json_get_number (status, name, &number) == 0)
    json_set_number (json, name, number);
  else
    json_set_string (json, name, json_get_string (status, name));
}

static void
set_volume (struct json *json, const struct drill *drill)
{
  static const char *const names[] = {"volume",     "label",  "path",   "key",
                                      "size_bytes", "engine", "crypto", "fence_bound_s"};
  struct json *volume = json_set_object (json, "volume");

  for (size_t i = 0; i < ARRAY_SIZE (names); i++)
    set_same (volume, names[i], drill->follow.first);
  json_set_string (volume, "uri", drill->options.uri);
}

/* Copies numbers and words of an object. */
static void
copy_flat (const struct json *from, struct json *to)
{
  for (size_t i = 0; i < json_size (from); i++)
    set_same (to, json_name (json_at (from, i)), from);
}

static void
set_settings (struct json *json, const struct drill *drill)
{
  const struct drill_options *o = &drill->options;
  struct json *limits = json_set_object (json, "limits");

  set_ms (limits, "max_fence_ms", o->limit_fence ? (int64_t)o->max_fence_ms : DRILL_NEVER);
  set_ms (limits, "max_recover_ms", o->limit_recover ? (int64_t)o->max_recover_ms : DRILL_NEVER);
  copy_flat (json_get (drill->follow.first, "parameters"), json_set_object (json, "parameters"));
}

static void
set_commands (struct json *json, const struct drill *drill)
{
  struct json *list = json_set_array (json, "commands");

  for (size_t i = 0; i < drill->command_count; i++) {
    const struct drill_command *c = &drill->commands[i];
    struct json *entry = json_append_object (list);

    json_set_string (entry, "what", c->what);
    json_set_string (entry, "command", c->shell.line);
    set_ms (entry, "started_ms", c->started_ms);
    set_ms (entry, "ended_ms", c->ended_ms);
    json_set_number (entry, "exit_status", c->shell.exit_status);
    json_set_bool (entry, "timed_out", c->shell.timed_out);
    json_set_string (entry, "output", c->shell.output);
  }
}

static void
set_figures (struct json *json, const struct drill *drill)
{
  const struct figures *f = &drill->figures;
  const struct moments *m = &drill->moments;
  const struct {
    const char *name;
    int64_t ms;
  } moments[] = {{"revoke_started_ms", m->revoke_started_ms},
                 {"revoke_ended_ms", m->revoke_ended_ms},
                 {"first_denial_ms", m->denied_ms},
                 {"last_served_ms", f->last_served_ms},
                 {"wiped_ms", m->fenced_ms},
                 {"restore_started_ms", m->restore_started_ms},
                 {"restore_ended_ms", m->restore_ended_ms},
                 {"first_served_ms", f->first_served_ms},
                 {"late_denial_ms", m->late_ms},
                 {"settled_ms", m->settled_ms},
                 {"ended_ms", drill->ended_ms}},
    figures[] = {{"revoke_to_last_served_ms", f->revoke_to_last_served_ms},
                 {"revoke_to_wipe_ms", f->revoke_to_wipe_ms},
                 {"denial_to_last_served_ms", f->denial_to_last_served_ms},
                 {"denial_to_wipe_ms", f->denial_to_wipe_ms},
                 {"restore_to_first_served_ms", f->restore_to_first_served_ms},
                 {"not_served_ms", f->not_served_ms}};
  struct json *object = json_set_object (json, "moments");

  for (size_t i = 0; i < ARRAY_SIZE (moments); i++)
    set_ms (object, moments[i].name, moments[i].ms);
  object = json_set_object (json, "figures");
  for (size_t i = 0; i < ARRAY_SIZE (figures); i++)
    set_ms (object, figures[i].name, figures[i].ms);
  if (m->fenced_ms != DRILL_NEVER)
    set_same (object, "last_wipe_us", drill->follow.last);
  json_set_number (object, "served", (double)f->served);
  json_set_number (object, "refused", (double)f->refused);
  json_set_number (object, "lost", (double)f->lost);
  json_set_number (object, "served_while_fenced", (double)f->served_while_fenced);
}

static void
set_checks (struct json *json, const struct drill *drill)
{
  static const char *const verdicts[] = {
      [DRILL_PASSED] = "passed", [DRILL_FAILED] = "failed", [DRILL_NOT_JUDGED] = "not judged"};
  struct json *list = json_set_array (json, "checks");

  for (size_t i = 0; i < drill->check_count; i++) {
    struct json *entry = json_append_object (list);

    json_set_string (entry, "check", drill->checks[i].name);
    json_set_string (entry, "verdict", verdicts[drill->checks[i].verdict]);
    json_set_string (entry, "text", drill->checks[i].text);
  }
}

static void
set_data (struct json *json, const struct drill *drill)
{
  const struct prober_data *d = &drill->data;
  struct json *data = json_set_object (json, "data");

  json_set_number (data, "blocks_sampled", d->sampled);
  json_set_number (data, "blocks_same", d->same);
  json_set_number (data, "blocks_changed", d->changed);
  json_set_number (data, "blocks_written_before", d->written_before);
  json_set_number (data, "writes_by_others", (double)drill->others_writes);
  json_set_number (data, "scratch_offset_bytes", (double)drill->options.scratch_offset_bytes);
  json_set_number (data, "scratch_bytes", (double)drill->options.scratch_bytes);
  json_set_number (data, "scratch_writes", (double)d->scratch_writes);
  json_set_number (data, "scratch_blocks", d->scratch_blocks);
  json_set_number (data, "scratch_blocks_wrong", d->scratch_wrong);
}

static void
set_list (struct json *json, const char *name, const struct json *from)
{
  struct json *list = json_set_array (json, name);

  for (size_t i = 0; i < json_size (from); i++)
    copy_flat (json_at (from, i), json_append_object (list));
}

/* [start, how long it took, "read" or "write", errno (0: served; -1: lost)], in milliseconds. */
static void
set_probes (struct json *json, const struct drill *drill)
{
  struct json *list = json_set_array (json, "requests");
  size_t count;
  const struct probe *probes = prober_probes (drill->prober, &count);

  for (size_t i = 0; i < count; i++) {
    const struct probe *p = &probes[i];
    struct json *entry = json_array_new ();

    if (!entry)
      return;
    json_append_number (entry, (double)p->start_ms);
    json_append_number (entry, (double)(p->end_ms - p->start_ms));
    json_append_string (entry, p->write ? "write" : "read");
    json_append_number (entry, p->outcome == PROBE_LOST ? -1 : p->errnum);
    json_append_value (list, entry);
  }
}

static void
set_versions (struct json *json)
{
  struct json *versions = json_set_object (json, "versions");
  struct utsname host;

  json_set_string (versions, "keyfence", KEYFENCE_VERSION);
  json_set_string (versions, "libnbd", nbd_client_version ());
  if (uname (&host) < 0)
    return;
  json_set_string (versions, "kernel", host.release);
  json_set_string (json, "host", host.nodename);
}

struct json *
report_json (const struct drill *drill)
{
  struct json *json = json_object_new ();

  if (!json)
    return NULL;
  json_set_string (json, "report", "keyfence drill");
  json_set_string (json, "result", report_result (drill));
  set_time (json, "started", drill, 0);
  set_time (json, "ended", drill, drill->ended_ms);
  json_set_string (json, "trouble", *drill->trouble ? drill->trouble : NULL);
  json_set_string (json, "restore_by_hand", drill->key_in_doubt ? drill->options.restore : NULL);
  set_versions (json);
  set_volume (json, drill);
  set_settings (json, drill);
  set_checks (json, drill);
  set_figures (json, drill);
  set_data (json, drill);
  set_commands (json, drill);
  set_list (json, "states", drill->follow.states);
  set_list (json, "key_operations", drill->follow.operations);
  set_probes (json, drill);
  return json;
}

static void
print_interval (const char *name, int64_t ms)
{
  if (ms == DRILL_NEVER)
    print_fact (name, "-");
  else
    print_fact (name, "%.3f s", (double)ms / 1000);
}

void
report_print (const struct drill *drill)
{
  static const char *const verdicts[] = {
      [DRILL_PASSED] = "passed", [DRILL_FAILED] = "FAILED", [DRILL_NOT_JUDGED] = "not judged"};
  const struct figures *f = &drill->figures;

  print_line ("from the revoke command's end:");
  print_interval ("  last served", f->revoke_to_last_served_ms);
  print_interval ("  key wiped", f->revoke_to_wipe_ms);
  print_line ("from the service's first denial:");
  print_interval ("  last served", f->denial_to_last_served_ms);
  print_interval ("  key wiped", f->denial_to_wipe_ms);
  print_line ("from the restore command's start:");
  print_interval ("  served again", f->restore_to_first_served_ms);
  for (size_t i = 0; i < drill->check_count; i++)
    print_fact (drill->checks[i].name, "%s: %s", verdicts[drill->checks[i].verdict],
                drill->checks[i].text);
  print_fact ("result", "%s", report_result (drill));
}
