/* status.c owns the meaning of a server's status object. */
#include "tools/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/command.h"
#include "tools/print.h"
#include "tools/watch-parts.h"

int
status_exit_code (const struct json *status, int *ret_code, struct error *err)
{
  static const struct {
    const char *state;
    enum exit_code code;
  } states[] = {{"active", EXIT_DONE}, {"fenced", EXIT_FENCED}, {"grace", EXIT_GRACE}};
  const char *state = json_get_string (status, "state");

  for (size_t i = 0; state && i < ARRAY_SIZE (states); i++) {
    if (strcmp (state, states[i].state) == 0) {
      *ret_code = states[i].code;
      return 0;
    }
  }
  return error_set (err, ERROR_UNAVAILABLE,
                    "the server's answer has no state that this program knows: are both of the "
                    "same version?");
}

static void
print_text (const struct json *value, const char *title)
{
  const char *text = json_string_value (value);

  if (text && *text)
    print_fact (title, "%s", text);
}

static bool
get_number (const struct json *object, const char *name, uint64_t *ret)
{
  return json_get_uint64 (object, name, ret) == 0;
}

static void
print_bytes (const struct json *status, const char *name, const char *title)
{
  char size[FORMAT_SIZE_MAX];
  uint64_t bytes;

  if (!get_number (status, name, &bytes))
    return;
  format_size (bytes, size);
  print_fact (title, "%s (%" PRIu64 " bytes)", size, bytes);
}

/* What a latch means to the operator. */
static const char *
explain_latch (const char *latch)
{
  static const struct {
    const char *latch, *text;
  } latches[] = {
      {"operator", "keyfence unfence (it was fenced by hand)"},
      {"corrupt", "keyfence unfence (what came back was not this volume's key or header)"},
      {"manual", "keyfence unfence (recover=manual)"},
      {"window", "keyfence unfence (fenced longer than recover-window)"},
  };

  for (size_t i = 0; i < ARRAY_SIZE (latches); i++)
    if (strcmp (latch, latches[i].latch) == 0)
      return latches[i].text;
  return latch;
}

void
status_print_state (const struct json *status)
{
  const char *state = json_get_string (status, "state"), *since = json_get_string (status, "since");
  const char *latch = json_get_string (status, "latch");

  print_text (json_get (status, "volume"), "volume");
  print_text (json_get (status, "label"), "label");
  print_fact ("state", "%s%s%s", state ? state : "?", since ? " since " : "", since ? since : "");
  print_text (json_get (status, "reason"), "reason");
  print_text (json_get (status, "detail"), "detail");
  if (latch && *latch)
    print_fact ("waits for", "%s", explain_latch (latch));
}

static void
print_expiry (const char *date)
{
  char left[WATCH_DURATION_MAX];
  double left_s;

  if (!date || !watch_seconds_until (date, &left_s))
    return;
  watch_format_duration (left_s, left);
  if (left_s > 0)
    print_fact ("key expires", "%s (%s left)", date, left);
  else
    print_fact ("key expires", "%s (passed)", date);
}

static void
print_key (const struct json *status)
{
  const char *held_by = json_get_string (status, "held_by");

  print_text (json_get (status, "key"), "key");
  if (held_by && strcmp (held_by, "secondary") == 0)
    print_fact ("held by", "a secondary key: the primary's service gives no answer");
  print_text (json_get (status, "key_created"), "key created");
  print_expiry (json_get_string (status, "key_expires"));
}

static void
print_lease (const struct json *status)
{
  const char *until = json_get_string (status, "lease_until");
  double left_s = 0, bound_s;
  bool has_left = json_get_number (status, "lease_left_s", &left_s) == 0;

  if (until && has_left)
    print_fact ("lease until", "%s (%.0f s left)", until, left_s);
  else if (until)
    print_fact ("lease until", "%s", until);
  if (json_get_number (status, "fence_bound_s", &bound_s) == 0)
    print_fact ("fence bound", "%g s", bound_s);
}

static void
print_fences (const struct json *status)
{
  uint64_t fences, wipe_us;

  if (get_number (status, "fences", &fences) && fences > 0)
    print_fact ("fenced", "%" PRIu64 " time%s", fences, fences > 1 ? "s" : "");
  if (get_number (status, "last_wipe_us", &wipe_us) && wipe_us > 0)
    print_fact ("last wipe", "%" PRIu64 " us", wipe_us);
}

/* In one line, as they would be given. */
static void
print_parameters (const struct json *status)
{
  const struct json *parameters = json_get (status, "parameters"), *value;
  CLEANUP_FREE char *line = NULL;
  CLEANUP_FCLOSE FILE *f = NULL;
  size_t size = 0;

  if (json_size (parameters) == 0 || !(f = open_memstream (&line, &size)))
    return;
  for (size_t i = 0; (value = json_at (parameters, i)) != NULL; i++) {
    CLEANUP_FREE char *other = json_string_value (value) ? NULL : json_print (value, false);

    fprintf (f, "%s%s=%s", i > 0 ? " " : "", json_name (value),
             other                       ? other
             : json_string_value (value) ? json_string_value (value)
                                         : "?");
  }
  if (fflush (f) == 0)
    print_fact ("parameters", "%s", line);
}

static void
print_checks (const struct json *status)
{
  const struct json *checks = json_get (status, "checks");
  uint64_t ok = 0, denied = 0, outage = 0, other = 0;

  if (!json_is_object (checks))
    return;
  (void)get_number (checks, "ok", &ok);
  (void)get_number (checks, "denied", &denied);
  (void)get_number (checks, "outage", &outage);
  (void)get_number (checks, "other", &other);
  print_fact ("checks", "%" PRIu64 " ok, %" PRIu64 " denied, %" PRIu64 " outage, %" PRIu64 " other",
              ok, denied, outage, other);
}

static void
print_io (const struct json *status)
{
  const struct json *io = json_get (status, "io");
  uint64_t reads = 0, writes = 0, read_bytes = 0, written_bytes = 0, refused = 0;
  char read_size[FORMAT_SIZE_MAX], written_size[FORMAT_SIZE_MAX];

  if (!json_is_object (io))
    return;
  (void)get_number (io, "reads", &reads);
  (void)get_number (io, "writes", &writes);
  (void)get_number (io, "bytes_read", &read_bytes);
  (void)get_number (io, "bytes_written", &written_bytes);
  (void)get_number (io, "refused", &refused);
  format_size (read_bytes, read_size);
  format_size (written_bytes, written_size);
  print_fact ("io", "%" PRIu64 " reads (%s), %" PRIu64 " writes (%s), %" PRIu64 " refused", reads,
              read_size, writes, written_size, refused);
}

static void
print_engine (const struct json *status)
{
  const char *engine = json_get_string (status, "engine");
  const char *note = json_get_string (status, "engine_note");
  const char *crypto = json_get_string (status, "crypto");
  const char *cache = json_get_string (status, "cache");
  bool read_only;

  if (json_get_bool (status, "read_only", &read_only) < 0)
    read_only = false;
  print_fact ("engine", "%s, crypto %s, cache %s%s", engine ? engine : "?", crypto ? crypto : "?",
              cache ? cache : "?", read_only ? ", read-only" : "");
  if (note)
    print_fact ("", "%s", note);
}

static void
print_processes (const struct json *status)
{
  uint64_t pid, agent_pid;
  bool locked = true;

  if (json_get_bool (status, "memory_locked", &locked) == 0)
    print_fact ("memory", "%s", locked ? "locked" : "NOT locked: keys may reach swap space");
  if (get_number (status, "pid", &pid))
    print_fact ("pid", "%" PRIu64, pid);
  if (get_number (status, "agent_pid", &agent_pid) && agent_pid > 0)
    print_fact ("agent pid", "%" PRIu64, agent_pid);
}

void
status_print (const struct json *status)
{
  status_print_state (status);
  print_text (json_get (status, "path"), "path");
  print_bytes (status, "size_bytes", "size");
  print_key (status);
  print_text (json_get (status, "last_check"), "last check");
  print_text (json_get (status, "next_check"), "next check");
  print_lease (status);
  print_checks (status);
  print_fences (status);
  print_io (status);
  print_engine (status);
  print_parameters (status);
  print_processes (status);
}
