/* watched.c owns what a live view knows of the volumes that it shows. */
#include "tools/watched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"
#include "tools/control.h"

/* A server answers in a moment, or is in trouble. */
#define ASK_TIMEOUT_MS 1000
#define ASK_AGAIN_TIMEOUT_MS 100

static void
watched_free (struct watched *watched)
{
  if (!watched)
    return;
  json_free (watched->answer);
  free (watched->socket_path);
  free (watched);
}

void
watched_clear (struct watched_set *set)
{
  for (size_t i = 0; i < set->count; i++)
    watched_free (set->volumes[i]);
  free (set->volumes);
  *set = (struct watched_set){0};
}

/* ---- which volumes ---- */

static bool
is_known (const struct watched_set *set, const char *socket_path)
{
  for (size_t i = 0; i < set->count; i++)
    if (strcmp (set->volumes[i]->socket_path, socket_path) == 0)
      return true;
  return false;
}

static int
by_socket (const void *a, const void *b)
{
  const struct watched *const *one = a, *const *other = b;

  return strcmp ((*one)->socket_path, (*other)->socket_path);
}

/* Takes the path. */
static int
add (struct watched_set *set, char *socket_path, struct error *err)
{
  struct watched **volumes = reallocarray (set->volumes, set->count + 1, sizeof (struct watched *));
  struct watched *watched = calloc (1, sizeof *watched);

  if (volumes)
    set->volumes = volumes;
  if (!volumes || !watched) {
    free (watched);
    free (socket_path);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  watched->socket_path = socket_path;
  volumes[set->count++] = watched;
  qsort (volumes, set->count, sizeof (struct watched *), by_socket);
  return 0;
}

/* Those that are served by now and were not known. */
static int
find_new (struct watched_set *set, struct error *err)
{
  CLEANUP_CONTROL_LIST struct control_list list = {0};

  if (control_list (&list, err) < 0)
    return -1;
  for (size_t i = 0; i < list.count; i++) {
    char *path = list.paths[i];

    if (is_known (set, path))
      continue;
    list.paths[i] = NULL;
    if (add (set, path, err) < 0)
      return -1;
  }
  return 0;
}

int
watched_start (const char *name, struct watched_set *ret, struct error *err)
{
  CLEANUP_WATCHED struct watched_set set = {.all = !name};
  char *path;

  if (!name && find_new (&set, err) < 0)
    return -1;
  if (name && (control_find (name, &path, err) < 0 || add (&set, path, err) < 0))
    return -1;
  *ret = set;
  set = (struct watched_set){0};
  return 0;
}

/* ---- what they say ---- */

static double
counter (const struct json *answer, const char *name)
{
  double value;

  return json_get_number (json_get (answer, "io"), name, &value) == 0 ? value : 0;
}

static bool
same_process (const struct json *a, const struct json *b)
{
  uint64_t one, other;

  return json_get_uint64 (a, "pid", &one) == 0 && json_get_uint64 (b, "pid", &other) == 0
         && one == other;
}

static struct rates
rates_between (const struct json *before, const struct json *after, double seconds)
{
  struct rates rates = {.known = true};
  const struct {
    const char *name;
    double *rate;
  } counters[] = {{"reads", &rates.reads},
                  {"writes", &rates.writes},
                  {"bytes_read", &rates.read_bytes},
                  {"bytes_written", &rates.written_bytes},
                  {"refused", &rates.refused}};

  if (!before || !same_process (before, after) || seconds <= 0)
    return (struct rates){0};
  for (size_t i = 0; i < ARRAY_SIZE (counters); i++)
    *counters[i].rate =
        MAX (0, (counter (after, counters[i].name) - counter (before, counters[i].name)) / seconds);
  return rates;
}

/* Takes the answer. */
static void
note_answer (struct watched *watched, struct json *answer)
{
  uint64_t now_ms = clock_ms ();
  double left_s;

  watched->rates =
      rates_between (watched->answer, answer, (double)(now_ms - watched->answered_ms) / 1000);
  json_free (watched->answer);
  watched->answer = answer;
  watched->answered_ms = now_ms;
  watched->lost = false;
  left_s = watched_lease_left_s (watched, now_ms);
  watched->lease_length_s = MAX (watched->lease_length_s, left_s);
}

/* A server from before there were metrics has a status. */
static int
ask (const struct watched *watched, struct json **ret_answer, struct error *err)
{
  uint64_t timeout_ms = watched->lost ? ASK_AGAIN_TIMEOUT_MS : ASK_TIMEOUT_MS;

  if (control_ask_within (watched->socket_path, "metrics", timeout_ms, ret_answer, err) == 0)
    return 0;
  if (err->class != ERROR_UNAVAILABLE || !strstr (err->text, "no such command"))
    return -1;
  return control_ask_within (watched->socket_path, "status", timeout_ms, ret_answer, err);
}

static void
update (struct watched *watched)
{
  struct error err = {0};
  struct json *answer;

  if (ask (watched, &answer, &err) == 0) {
    note_answer (watched, answer);
    return;
  }
  watched->lost = true;
  watched->rates = (struct rates){0};
  snprintf (watched->trouble, sizeof watched->trouble, "%.*s", (int)sizeof watched->trouble - 1,
            err.text);
}

void
watched_update (struct watched_set *set)
{
  if (set->all)
    (void)!find_new (set, NULL);
  for (size_t i = 0; i < set->count; i++)
    update (set->volumes[i]);
}

/* ---- what they are ---- */

const char *
watched_name (const struct watched *watched)
{
  const char *label = json_get_string (watched->answer, "label");
  const char *uuid = json_get_string (watched->answer, "volume");

  if (label && *label)
    return label;
  return uuid ? uuid : watched->socket_path;
}

double
watched_lease_left_s (const struct watched *watched, uint64_t now_ms)
{
  double left_s;

  if (json_get_number (watched->answer, "lease_left_s", &left_s) < 0)
    return -1;
  return MAX (0, left_s - (double)(now_ms - watched->answered_ms) / 1000);
}
