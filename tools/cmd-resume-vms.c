/* cmd-resume-vms.c owns `keyfence resume-vms`. */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/control.h"
#include "tools/machines/machines.h"
#include "tools/print.h"
#include "tools/volume-config.h"

#define DEFAULT_TIMEOUT_MS 5000
#define LEAST_TIMEOUT_MS 1000 /* it has to be seen that the machine goes on */
#define MOST_TIMEOUT_MS 600000

enum { VOLUME, URI, TIMEOUT, DRY_RUN, JSON };

static const struct option_spec options[] = {
    [VOLUME] = {"volume", "VOLUME",
                "only machines with this volume's disk, where keyfence serve puts it",
                VALUE_VOLUME},
    [URI] = {"uri", "URI", "only machines with the disk at this NBD URI or Unix socket"},
    [TIMEOUT] = {"timeout", "TIME", "for each machine (default: 5s)"},
    [DRY_RUN] = {"dry-run", NULL, "say which would be resumed, and resume none"},
    [JSON] = {"json", NULL, "print what became of each as one JSON object"},
    {NULL},
};

/* ---- which disk ---- */

/* The uuid of what the user calls `name`: one is taken as it is, others are asked for. */
static int
find_uuid (const char *name, char ret_uuid[UUID_TEXT_MAX], struct error *err)
{
  CLEANUP_FREE char *socket_path = NULL;
  CLEANUP_JSON struct json *status = NULL;

  if (!is_uuid (name)) {
    if (control_find (name, &socket_path, err) < 0
        || control_ask (socket_path, "status", &status, err) < 0)
      return -1;
    name = json_get_string (status, "volume");
    if (!name || !is_uuid (name))
      return error_set (err, ERROR_UNAVAILABLE, "%s: its server does not say which volume it is",
                        socket_path);
  }
  uuid_lower (name, ret_uuid);
  return 0;
}

/* Of a volume that has a configuration: what that says. */
static int
place_of_config (const char *name, struct disk_place *ret, struct error *err)
{
  CLEANUP_CONFIG struct config config = {0};
  CLEANUP_FREE char *socket = NULL;

  if (config_load (name, &config, err) < 0)
    return -1;
  if (config.port)
    return error_set (err, ERROR_USAGE,
                      "%s serves it by TCP: give --uri nbd://HOST:%s with the host as QEMU has it",
                      config.file, config.port);
  if (config_socket (&config, false, &socket, err) < 0)
    return -1;
  return disk_place_parse (socket, ret, err);
}

static int
place_of_volume (const char *name, struct disk_place *ret, struct error *err)
{
  CLEANUP_FREE char *path = NULL;
  char uuid[UUID_TEXT_MAX];

  if (config_is_meant (name))
    return place_of_config (name, ret, err);
  if (find_uuid (name, uuid, err) < 0)
    return -1;
  if (usual_socket (uuid, false, "give --uri instead of --volume", &path, err) < 0)
    return -1;
  return disk_place_parse (path, ret, err);
}

/* *ret_place is where the disk must be, or NULL when any may do. */
static int
choose_place (const struct arguments *args, struct disk_place *place,
              const struct disk_place **ret_place, struct error *err)
{
  const char *volume = args->options[VOLUME], *uri = args->options[URI];

  if (volume && uri)
    return error_set (err, ERROR_USAGE, "--volume and --uri exclude each other");
  if (volume && place_of_volume (volume, place, err) < 0)
    return error_prefix (err, "--volume");
  if (uri && disk_place_parse (uri, place, err) < 0)
    return error_prefix (err, "--uri");
  *ret_place = volume || uri ? place : NULL;
  return 0;
}

static int
choose_timeout (const char *text, uint64_t *ret_ms, struct error *err)
{
  uint64_t ms = DEFAULT_TIMEOUT_MS;

  if (text && parse_duration (text, &ms, err) < 0)
    return error_prefix (err, "--timeout");
  if (ms < LEAST_TIMEOUT_MS || ms > MOST_TIMEOUT_MS)
    return error_set (err, ERROR_USAGE, "--timeout %s: expected 1s to 10m", text);
  *ret_ms = ms;
  return 0;
}

/* ---- what became of it ---- */

static bool
is_bad (const struct machine_report *report)
{
  return report->result == MACHINE_FAILED || report->result == MACHINE_STOPPED_AGAIN;
}

static void
print_report (const char *socket_path, const struct machine_report *report)
{
  static const char *const words[] = {
      [MACHINE_RESUMED] = "resumed",
      [MACHINE_WOULD_RESUME] = "would be resumed",
      [MACHINE_RUNNING] = "is running",
      [MACHINE_LEFT] = "left alone: no disk has paused it",
      [MACHINE_OTHER_DISK] = "left alone: it has no such disk, another one has paused it",
      [MACHINE_STOPPED_AGAIN] =
          "paused again at once by a disk's error: is its volume active (keyfence status)?",
  };
  struct error err = report->error;
  const char *name = report->name;

  if (report->result == MACHINE_STOPPED_AGAIN)
    error_set (&err, ERROR_UNAVAILABLE, "%s: %s", socket_path, words[report->result]);
  if (is_bad (report))
    print_error (&err);
  else
    print_line ("%s%s%s%s: %s (%s)", socket_path, *name ? " (" : "", name, *name ? ")" : "",
                words[report->result], report->status);
}

static void
set_report (struct json *machines, const char *socket_path, const struct machine_report *report)
{
  struct json *item = json_append_object (machines);

  json_set_string (item, "socket", socket_path);
  json_set_string (item, "name", report->name);
  json_set_string (item, "result", machine_result_name (report->result));
  json_set_string (item, "status", *report->status ? report->status : NULL);
  json_set_string (item, "error", report->result == MACHINE_FAILED ? report->error.text : NULL);
}

static int
print_reports_json (const char *const *socket_paths, const struct machine_report *reports,
                    size_t count, struct error *err)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  size_t resumed = 0, bad = 0;
  struct json *machines;

  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  for (size_t i = 0; i < count; i++) {
    resumed += reports[i].result == MACHINE_RESUMED;
    bad += is_bad (&reports[i]);
  }
  json_set_number (json, "resumed", (double)resumed);
  json_set_number (json, "failed", (double)bad);
  machines = json_set_array (json, "machines");
  for (size_t i = 0; i < count; i++)
    set_report (machines, socket_paths[i], &reports[i]);
  return print_json (json, err);
}

static int
run (const struct arguments *args, struct error *err)
{
  size_t count = args->operand_count;
  CLEANUP_FREE struct machine_report *reports = calloc (count, sizeof *reports);
  struct machine_wish wish = {.dry_run = args->options[DRY_RUN] != NULL};
  struct disk_place place;
  int code = EXIT_DONE;

  if (!reports)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (choose_place (args, &place, &wish.place, err) < 0
      || choose_timeout (args->options[TIMEOUT], &wish.timeout_ms, err) < 0)
    return -1;
  machines_resume (args->operands, count, &wish, reports);
  for (size_t i = 0; i < count; i++) {
    if (!args->options[JSON])
      print_report (args->operands[i], &reports[i]);
    if (is_bad (&reports[i]))
      code = EXIT_FAILED;
  }
  if (args->options[JSON] && print_reports_json (args->operands, reports, count, err) < 0)
    return -1;
  return code;
}

const struct command command_resume_vms = {
    .name = "resume-vms",
    .summary = "let virtual machines go on that a fenced disk has paused",
    .details =
        "For QEMU with werror=stop,rerror=stop, over its QMP sockets (-qmp unix:PATH,...). Only a "
        "machine whose status is io-error is resumed: one that somebody paused has another status "
        "and is left alone. It has to go on for half a second, or counts as not resumed. Made for "
        "hook=, once the volume is active again; libvirt's machines are resumed by virsh.\nExit "
        "code: 0 every machine was resumed or is rightly left alone; 1 one does not answer or was "
        "paused again.",
    .operands = {{"QMP-SOCKET", VALUE_FILE}, {"QMP-SOCKET", VALUE_FILE, .many = true}},
    .options = options,
    .run = run,
};
