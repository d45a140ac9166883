/* status.c owns the meaning of a server's status object. */
#include "tools/status.h"

#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/command.h"
#include "tools/print.h"

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

static void
print_state (const struct json *status)
{
  const char *since = json_get_string (status, "since");

  print_fact ("state", "%s%s%s", json_get_string (status, "state"), since ? " since " : "",
              since ? since : "");
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
  const char *crypto = json_get_string (status, "crypto");
  const char *cache = json_get_string (status, "cache");
  bool read_only;

  if (json_get_bool (status, "read_only", &read_only) < 0)
    read_only = false;
  print_fact ("engine", "%s, crypto %s, cache %s%s", engine ? engine : "?", crypto ? crypto : "?",
              cache ? cache : "?", read_only ? ", read-only" : "");
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
  double bound_s;

  print_text (json_get (status, "volume"), "volume");
  print_text (json_get (status, "label"), "label");
  print_text (json_get (status, "path"), "path");
  print_bytes (status, "size_bytes", "size");
  print_state (status);
  print_text (json_get (status, "reason"), "reason");
  print_text (json_get (status, "detail"), "detail");
  print_text (json_get (status, "key"), "key");
  print_text (json_get (status, "last_check"), "last check");
  print_text (json_get (status, "next_check"), "next check");
  print_text (json_get (status, "lease_until"), "lease until");
  if (json_get_number (status, "fence_bound_s", &bound_s) == 0)
    print_fact ("fence bound", "%g s", bound_s);
  print_checks (status);
  print_io (status);
  print_engine (status);
  print_processes (status);
}
