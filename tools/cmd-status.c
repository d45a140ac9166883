/* cmd-status.c owns `keyfence status`. */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/control.h"
#include "tools/print.h"
#include "tools/status.h"
#include "tools/watch.h"

#define INTERVAL_DEFAULT_MS 1000
#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS (3600 * 1000)

/* A list of names is for those who don't wait. */
#define NAMES_TIMEOUT_MS 500

enum { WATCH, INTERVAL, NAMES, JSON };

static const struct option_spec options[] = {
    [WATCH] = {"watch", NULL,
               "show it live, until q or Ctrl-C; without a terminal, one block an interval"},
    [INTERVAL] = {"interval", "TIME", "how often --watch asks, as 500ms or 5s (default: 1s)"},
    [NAMES] = {"names", NULL,
               "only the names of the volumes that are served: uuid, label and path, in fields "
               "separated by tabs, one volume a line"},
    [JSON] = {"json", NULL,
              "print the facts as one JSON object; of all volumes, as its member \"volumes\""},
    {NULL},
};

static int
take_interval (const struct arguments *args, uint64_t *ret_ms, struct error *err)
{
  const char *text = args->options[INTERVAL];

  *ret_ms = INTERVAL_DEFAULT_MS;
  if (args->options[WATCH] && args->options[JSON])
    return error_set (err, ERROR_USAGE, "--watch is for people, --json for programs: give one");
  if (!text)
    return 0;
  if (!args->options[WATCH])
    return error_set (err, ERROR_USAGE, "--interval goes with --watch");
  if (parse_duration (text, ret_ms, err) < 0)
    return error_prefix (err, "--interval");
  if (*ret_ms < INTERVAL_MIN_MS || *ret_ms > INTERVAL_MAX_MS)
    return error_set (err, ERROR_USAGE, "--interval %s: from 100ms to 1h", text);
  return 0;
}

static int
show_one (const char *name, bool json, struct error *err)
{
  CLEANUP_FREE char *socket_path = NULL;
  CLEANUP_JSON struct json *status = NULL;
  int code;

  if (control_find (name, &socket_path, err) < 0
      || control_ask (socket_path, "status", &status, err) < 0
      || status_exit_code (status, &code, err) < 0)
    return -1;
  if (json)
    return print_json (status, err) < 0 ? -1 : code;
  status_print (status);
  return code;
}

/* What is worst comes last. */
static int
worse (int a, int b)
{
  static const int order[] = {EXIT_DONE, EXIT_GRACE, EXIT_FENCED, EXIT_FAILED};
  size_t i = 0, j = 0;

  while (i + 1 < ARRAY_SIZE (order) && order[i] != a)
    i++;
  while (j + 1 < ARRAY_SIZE (order) && order[j] != b)
    j++;
  return order[MAX (i, j)];
}

/* Asks one of several: its trouble is a warning, and no reason to say nothing of the others. */
static int
ask_one (const char *socket_path, struct json **ret_status)
{
  CLEANUP_JSON struct json *status = NULL;
  struct error err = {0};
  int code;

  if (control_ask (socket_path, "status", &status, &err) < 0
      || status_exit_code (status, &code, &err) < 0) {
    print_warning ("%s", err.text);
    return EXIT_FAILED;
  }
  *ret_status = status;
  status = NULL;
  return code;
}

static int
show_all (bool json, struct error *err)
{
  CLEANUP_CONTROL_LIST struct control_list list = {0};
  CLEANUP_JSON struct json *all = json_array_new (), *object = json_object_new ();
  int code = EXIT_DONE;

  if (!all || !object)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (control_list (&list, err) < 0)
    return -1;
  if (list.count == 0)
    return error_set (err, ERROR_NOT_FOUND, "no volume is served here: keyfence serve starts one");
  for (size_t i = 0; i < list.count; i++) {
    struct json *status = NULL;

    code = worse (code, ask_one (list.paths[i], &status));
    if (status && !json) {
      status_print (status);
      putchar ('\n');
    }
    if (status)
      json_append_value (all, status);
  }
  json_set_value (object, "volumes", all);
  all = NULL;
  return json && print_json (object, err) < 0 ? -1 : code;
}

/* A tab or a newline in a name would be taken for what separates them. */
static void
print_name (const struct json *status, const char *member, char end)
{
  const char *name = json_get_string (status, member);

  for (; name && *name; name++)
    putchar (*name == '\t' || *name == '\n' ? '?' : *name);
  putchar (end);
}

/* For want of an answer: the volume's uuid, unless the server was given a socket of another name.
 */
static void
print_socket_name (const char *socket_path)
{
  const char *slash = strrchr (socket_path, '/');
  const char *name = slash ? slash + 1 : socket_path;

  printf ("%.*s\t\t\n", (int)(strlen (name) - strlen (".sock")), name);
}

static int
list_names (const struct arguments *args, struct error *err)
{
  CLEANUP_CONTROL_LIST struct control_list list = {0};

  if (args->operands[0] || args->options[WATCH] || args->options[JSON])
    return error_set (err, ERROR_USAGE, "--names is of all volumes, and goes with nothing else");
  if (control_list (&list, err) < 0)
    return -1;
  for (size_t i = 0; i < list.count; i++) {
    CLEANUP_JSON struct json *status = NULL;

    if (control_ask_within (list.paths[i], "status", NAMES_TIMEOUT_MS, &status, NULL) < 0) {
      print_socket_name (list.paths[i]);
      continue;
    }
    print_name (status, "volume", '\t');
    print_name (status, "label", '\t');
    print_name (status, "path", '\n');
  }
  return EXIT_DONE;
}

static int
run (const struct arguments *args, struct error *err)
{
  uint64_t interval_ms;

  if (take_interval (args, &interval_ms, err) < 0)
    return -1;
  if (args->options[NAMES])
    return list_names (args, err);
  if (args->options[WATCH])
    return watch_run (args->operands[0], interval_ms, err) < 0 ? -1 : EXIT_DONE;
  if (!args->operands[0])
    return show_all (args->options[JSON], err);
  return show_one (args->operands[0], args->options[JSON], err);
}

const struct command command_status = {
    .name = "status",
    .summary = "print the state of a volume that is served, or watch it",
    .details = "VOLUME is the path of its file or block device, its uuid, its label, or the path "
               "of its control socket; without it, all volumes that are served on this host (and "
               "have their control sockets at the usual place). Exit code: 0 active, 3 fenced, "
               "4 grace, 1 not served; of several, the worst.",
    .operands = {{"VOLUME", VALUE_VOLUME, .optional = true}},
    .options = options,
    .run = run,
};
