/* cmd-attach.c owns `keyfence attach`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/attach/resident.h"
#include "tools/attach/service.h"
#include "tools/attach/way.h"
#include "tools/print.h"
#include "tools/volume-config.h"

#define CONNECTIONS_DEFAULT 1
#define RECONNECT_DEFAULT_S 300
#define RECONNECT_MAX_S 86400
#define TIMEOUT_MAX_S 3600

enum { BY, OPTIONS, RECONNECT, TIMEOUT, CONNECTIONS, SOCKET, FOREGROUND, JSON };

static const struct option_spec options[] = {
    [BY] = {"by", "WAY", "nbd or fuse (default: the first of them that works here)", VALUE_CHOICE,
            "nbd fuse"},
    [OPTIONS] = {"options", "OPTIONS", "of mount(8), for a MOUNTPOINT, as noatime,discard"},
    [RECONNECT] = {"reconnect", "TIME",
                   "how long requests wait for a server that is gone (default: 5m)"},
    [TIMEOUT] = {"timeout", "TIME",
                 "nbd: a request without an answer is sent again behind this (default: 5s)"},
    [CONNECTIONS] = {"connections", "N", "nbd: connections to the server, 1 to 16 (default: 1)"},
    [SOCKET] = {"socket", "SOCKET", "the server's NBD socket, unless it is at its usual place",
                VALUE_FILE},
    [FOREGROUND] = {"foreground", NULL, "stay, as service managers like it; SIGTERM detaches"},
    [JSON] = {"json", NULL, "print the facts as one JSON object"},
    {NULL},
};

/* Whole seconds, which is what the kernel counts. */
static int
take_seconds (const struct arguments *args, unsigned option, uint64_t max_s, uint64_t *ret_s,
              struct error *err)
{
  const char *text = args->options[option];
  uint64_t ms;

  if (!text)
    return 0;
  if (parse_duration (text, &ms, err) < 0)
    return error_prefix (err, "--%s", options[option].name);
  if (ms < 1000 || ms > max_s * 1000)
    return error_set (err, ERROR_USAGE, "--%s %s: from 1s to %" PRIu64 "s", options[option].name,
                      text, max_s);
  *ret_s = (ms + 999) / 1000;
  return 0;
}

/* What the configuration says of it, where there is one, unless the command line does. */
static int
take_config (struct attach_plan *plan, struct config *config, char **socket, char **device,
             struct error *err)
{
  if (config_is_meant (plan->volume)) {
    if (config_load (plan->volume, config, err) < 0
        || config_socket (config, false, socket, err) < 0)
      return -1;
    plan->name = config->name;
    if (!plan->socket)
      plan->socket = *socket;
    if (plan->connections == 0)
      plan->connections = config->connections;
    if (!plan->target && !config->device
        && asprintf (device, "/dev/keyfence/%s", config->name) < 0) {
      *device = NULL;
      return error_set (err, ERROR_SYSTEM, "out of memory");
    }
    if (!plan->target)
      plan->target = config->device ? config->device : *device;
  }
  if (plan->connections == 0)
    plan->connections = CONNECTIONS_DEFAULT;
  if (plan->target)
    return 0;
  return error_set (err, ERROR_USAGE,
                    "DEVICE|MOUNTPOINT is missing; see keyfence attach --help (only a volume that "
                    "is named by its configuration has a default)");
}

static int
take_plan (const struct arguments *args, struct attach_plan *plan, struct error *err)
{
  const char *connections = args->options[CONNECTIONS];

  if (connections
      && parse_uint (connections, 1, CONFIG_CONNECTIONS_MAX, &plan->connections, err) < 0)
    return error_prefix (err, "--connections");
  if (args->options[FOREGROUND] && args->options[JSON])
    return error_set (err, ERROR_USAGE, "--json goes without --foreground");
  if (take_seconds (args, RECONNECT, RECONNECT_MAX_S, &plan->reconnect_s, err) < 0)
    return -1;
  return take_seconds (args, TIMEOUT, TIMEOUT_MAX_S, &plan->timeout_s, err);
}

/* ---- in the foreground ---- */

static void
log_to_stderr (bool trouble, const char *text)
{
  if (trouble)
    print_warning ("%s", text);
  else
    fprintf (stderr, "keyfence: attach: %s\n", text);
  service_status (text);
}

static void
say_ready (void *opaque, const struct attachment *a, bool fenced)
{
  CLEANUP_FREE char *where = attachment_where (a);

  (void)opaque;
  print_fact ("attached", "%s", where ? where : a->device);
  fflush (stdout);
  if (fenced)
    print_warning ("the volume is fenced: the device refuses all I/O until its key is back");
  service_ready (where ? where : a->device);
}

static int
run_foreground (const struct attach_plan *plan, struct error *err)
{
  const struct resident_face face = {say_ready, log_to_stderr, NULL};

  return resident_run (plan, &face, err) < 0 ? -1 : EXIT_DONE;
}

/* ---- in the background ---- */

static void
print_text (const struct json *facts, const char *name)
{
  const char *text = json_get_string (facts, name);

  if (text)
    print_fact (name, "%s", text);
}

/* A folder to mount on that was misspelt, or not made yet, has become a name of the device: whoever
 * copies a file there would write over the disk.
 */
static void
warn_of_stray_name (const struct json *facts)
{
  const char *link = json_get_string (facts, "link");

  if (link && strncmp (link, "/dev/", 5) != 0)
    print_warning (
        "%s is a name of the device now, and nothing is mounted: if a mount point was meant, "
        "keyfence detach, make the folder, and attach again",
        link);
}

static int
run_background (const struct attach_plan *plan, bool json, struct error *err)
{
  CLEANUP_JSON struct json *facts = NULL;
  bool fenced = false;

  if (resident_start (plan, &facts, err) < 0)
    return -1;
  (void)!json_get_bool (facts, "fenced", &fenced);
  if (json && print_json (facts, err) < 0)
    return -1;
  if (!json) {
    print_text (facts, "volume");
    print_text (facts, "device");
    print_text (facts, "link");
    print_text (facts, "mountpoint");
    print_text (facts, "by");
  }
  warn_of_stray_name (facts);
  if (fenced)
    print_warning ("the volume is fenced: the device refuses all I/O until its key is back");
  return fenced ? EXIT_FENCED : EXIT_DONE;
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_CONFIG struct config config = {0};
  CLEANUP_FREE char *socket = NULL, *device = NULL;
  struct attach_plan plan = {.volume = args->operands[0],
                             .target = args->operands[1],
                             .by = args->options[BY],
                             .options = args->options[OPTIONS],
                             .socket = args->options[SOCKET],
                             .reconnect_s = RECONNECT_DEFAULT_S};

  if (take_plan (args, &plan, err) < 0 || take_config (&plan, &config, &socket, &device, err) < 0)
    return -1;
  if (geteuid () != 0)
    return error_set (err, ERROR_SYSTEM, "only root can make block devices: run it by sudo");
  return args->options[FOREGROUND] ? run_foreground (&plan, err)
                                   : run_background (&plan, args->options[JSON], err);
}

const struct command command_attach = {
    .name = "attach",
    .summary = "make a served volume a block device of this host, or mount it",
    .details =
        "DEVICE is a name that the device is to get, as /dev/keyfence/wages (or a /dev/nbdN); "
        "MOUNTPOINT is a folder that exists, on which the file system of the disk is "
        "mounted. A volume that is named by its configuration has a default for it. A restart of "
        "the server reaches no user as an error: requests wait. A "
        "process stays in the background until keyfence detach. Exit code: 3 it is "
        "attached, but the volume is fenced.",
    .operands = {{"VOLUME", VALUE_VOLUME}, {"DEVICE|MOUNTPOINT", VALUE_FILE, .optional = true}},
    .options = options,
    .run = run,
};
