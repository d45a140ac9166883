/* follow.c owns what a drill knows from the server itself. */
#include "tools/drill/follow.h"

#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/control.h"
#include "tools/drill/figures.h"

#define ASK_MS 1000

static int64_t
wall_clock_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
follow_now_ms (const struct follow *follow)
{
  return (int64_t)(clock_ms () - follow->start_ms);
}

int64_t
follow_clock_set_ms (const struct follow *follow)
{
  return wall_clock_ms () - follow->start_unix_ms - follow_now_ms (follow);
}

/* Since the drill's start; negative: before it. */
static int64_t
moment_of (const struct follow *follow, const struct json *told)
{
  double unix_ms;

  return json_get_number (told, "unix_ms", &unix_ms) < 0 ? -1
                                                         : (int64_t)unix_ms - follow->start_unix_ms;
}

static bool
same_text (const struct json *a, const struct json *b, const char *name)
{
  const char *text_a = json_get_string (a, name), *text_b = json_get_string (b, name);

  return text_a && text_b && strcmp (text_a, text_b) == 0;
}

/* Both lists of the server are of a few members: what we have of it may have left it since. */
static bool
is_known (const struct json *list, const struct json *told, const char *const names[])
{
  for (size_t i = json_size (list); i-- > 0;) {
    const struct json *known = json_at (list, i);
    double a = 0, b = 0;
    bool same = json_get_number (known, "unix_ms", &a) == json_get_number (told, "unix_ms", &b)
                && a == b && same_text (known, told, "time");

    for (size_t n = 0; same && names[n]; n++)
      same = same_text (known, told, names[n]);
    if (same)
      return true;
  }
  return false;
}

static void
copy_members (const struct json *from, struct json *to)
{
  for (size_t i = 0; i < json_size (from); i++) {
    const struct json *member = json_at (from, i);
    double number;

    if (json_string_value (member))
      json_set_string (to, json_name (member), json_string_value (member));
    else if (json_number_value (member, &number) == 0)
      json_set_number (to, json_name (member), number);
  }
}

static void
merge (const struct follow *follow, const struct json *told, const char *const names[],
       struct json *list)
{
  for (size_t i = 0; i < json_size (told); i++) {
    const struct json *one = json_at (told, i);
    int64_t at_ms = moment_of (follow, one);
    struct json *entry;

    if (at_ms < 0 || is_known (list, one, names))
      continue;
    entry = json_append_object (list);
    json_set_number (entry, "at_ms", (double)at_ms);
    copy_members (one, entry);
  }
}

static bool
ask (struct follow *follow, struct error *err)
{
  static const char *const state_names[] = {"from", "state", "reason", NULL};
  static const char *const operation_names[] = {"operation", "role", "class", NULL};
  struct json *answer = NULL;

  if (control_ask_within (follow->socket_path, "metrics", ASK_MS, &answer, err) < 0)
    return false;
  json_free (follow->last);
  follow->last = answer;
  follow->last_answer_ms = follow_now_ms (follow);
  merge (follow, json_get (answer, "transitions"), state_names, follow->states);
  merge (follow, json_get (answer, "key_operations"), operation_names, follow->operations);
  return true;
}

bool
follow_poll (struct follow *follow)
{
  struct error err = {0};
  bool answered = ask (follow, &err);

  follow->gone = !answered && err.class == ERROR_NOT_FOUND;
  return answered;
}

static int
check_precise (const struct follow *follow, struct error *err)
{
  double unix_ms;

  if (json_get_number (json_at (json_get (follow->last, "transitions"), 0), "unix_ms", &unix_ms)
      == 0)
    return 0;
  return error_set (err, ERROR_UNAVAILABLE,
                    "the server does not tell milliseconds: it is older than this program; start "
                    "it again");
}

int
follow_start (const char *socket_path, struct follow *ret, struct error *err)
{
  struct follow follow = {.socket_path = socket_path,
                          .start_ms = clock_ms (),
                          .start_unix_ms = wall_clock_ms (),
                          .states = json_array_new (),
                          .operations = json_array_new ()};

  if (!follow.states || !follow.operations
      || control_ask (socket_path, "status", &follow.first, err) < 0 || !ask (&follow, err)
      || check_precise (&follow, err) < 0) {
    follow_clear (&follow);
    return *err->text ? -1 : error_set (err, ERROR_SYSTEM, "out of memory");
  }
  *ret = follow;
  return 0;
}

void
follow_clear (struct follow *follow)
{
  json_free (follow->first);
  json_free (follow->last);
  json_free (follow->states);
  json_free (follow->operations);
  *follow = (struct follow){0};
}

const char *
follow_state (const struct follow *follow)
{
  const char *state = json_get_string (follow->last, "state");

  return state ? state : "";
}

static int64_t
first_at (const struct json *list, const char *name, const char *value, int64_t from_ms)
{
  for (size_t i = 0; i < json_size (list); i++) {
    const char *found = json_get_string (json_at (list, i), name);
    double at_ms;

    if (found && strcmp (found, value) == 0
        && json_get_number (json_at (list, i), "at_ms", &at_ms) == 0 && at_ms >= (double)from_ms)
      return (int64_t)at_ms;
  }
  return DRILL_NEVER;
}

int64_t
follow_state_at (const struct follow *follow, const char *state, int64_t from_ms)
{
  return from_ms == DRILL_NEVER ? DRILL_NEVER : first_at (follow->states, "state", state, from_ms);
}

int64_t
follow_operation_at (const struct follow *follow, const char *class, int64_t from_ms)
{
  return from_ms == DRILL_NEVER ? DRILL_NEVER
                                : first_at (follow->operations, "class", class, from_ms);
}

/* ---- what began when ---- */

static bool
has_text (const struct json *entry, const char *name, const char *text)
{
  const char *found = json_get_string (entry, name);

  return found && strcmp (found, text) == 0;
}

/* An operation is told when it has ended. */
static int64_t
begun_ms (const struct json *operation)
{
  double at_ms = 0, duration_ms = 0;

  if (json_get_number (operation, "at_ms", &at_ms) < 0)
    return DRILL_NEVER;
  if (json_get_number (operation, "duration_ms", &duration_ms) < 0)
    duration_ms = 0;
  return (int64_t)(at_ms - duration_ms);
}

int64_t
follow_denial_begun (const struct follow *follow, int64_t from_ms)
{
  for (size_t i = 0; from_ms != DRILL_NEVER && i < json_size (follow->operations); i++) {
    const struct json *operation = json_at (follow->operations, i);

    if (has_text (operation, "class", "denied") && begun_ms (operation) >= from_ms)
      return begun_ms (operation);
  }
  return DRILL_NEVER;
}

static int64_t
last_at (const struct json *list, const char *name, const char *value)
{
  double at_ms;

  for (size_t i = json_size (list); i-- > 0;)
    if (has_text (json_at (list, i), name, value)
        && json_get_number (json_at (list, i), "at_ms", &at_ms) == 0)
      return (int64_t)at_ms;
  return DRILL_NEVER;
}

/* The key's expiry date is asked for, too, which proves no access to it. */
static bool
is_good_check (const struct json *operation)
{
  return has_text (operation, "class", "ok") && has_text (operation, "role", "primary")
         && !has_text (operation, "operation", "expiry");
}

bool
follow_settled (const struct follow *follow, int64_t from_ms)
{
  int64_t since_ms = MAX (MAX (from_ms, last_at (follow->operations, "class", "denied")),
                          last_at (follow->states, "state", "active"));

  if (strcmp (follow_state (follow), "active") != 0)
    return false;
  for (size_t i = json_size (follow->operations); i-- > 0;) {
    const struct json *operation = json_at (follow->operations, i);

    if (is_good_check (operation) && begun_ms (operation) >= since_ms)
      return true;
  }
  return false;
}
