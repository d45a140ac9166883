/* cmd-serve.c owns `keyfence serve`. */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/activation.h"
#include "common/checked.h"
#include "common/lock.h"
#include "common/parse.h"
#include "common/paths.h"
#include "common/unix-socket.h"
#include "tools/arguments.h"
#include "tools/volume-config.h"
#include "tools/nbdkit.h"
#include "tools/parameters.h"
#include "tools/print.h"
#include "tools/status.h"
#include "tools/volume.h"
#include "tools/words.h"

enum { CONFIG, SOCKET, PORT, FOREGROUND, READ_ONLY, PIDFILE, DRY_RUN, JSON };

static const struct option_spec options[] = {
    [CONFIG] =
        {"config", "NAME|FILE",
         "serve what /etc/keyfence/NAME.conf, or that file, says; all operands are parameters",
         VALUE_CONFIG},
    [SOCKET] =
        {"socket", "SOCKET",
         "listen on this Unix socket; the default is UUID.nbd (of a configuration: NAME.nbd) "
         "in the folder of the control sockets",
         VALUE_FILE},
    [PORT] = {"port", "N",
              "listen on this TCP port of the loopback address instead; NBD has neither encryption "
              "nor passwords unless nbdkit is told so"},
    [FOREGROUND] = {"foreground", NULL, "become nbdkit and stay, as service managers like it"},
    [READ_ONLY] = {"read-only", NULL, "serve it for reading only"},
    [PIDFILE] = {"pidfile", "FILE", "write the server's process id there", VALUE_FILE},
    [DRY_RUN] = {"dry-run", NULL, "print nbdkit's command line and do nothing"},
    [JSON] = {"json", NULL, "print the server's status and its NBD URI as one JSON object"},
    {NULL},
};

/* What is to be served, and how: the command line over the configuration, where there is one.
 * Strings belong to either, but for the socket.
 */
struct request {
  struct config config;
  bool configured;
  const char *path;
  char *socket; /* the path to listen at; NULL: port, or activation */
  const char *port;
  const char **parameters;
  size_t parameter_count;
  char **options;
};

/* In the background these would serve nobody by the time that we are back. */
static int
check_rest (char *const *rest, bool foreground, struct error *err)
{
  static const char *const only_foreground[] = {"--run", "-s", "--single"};

  for (; *rest; rest++)
    for (size_t i = 0; i < ARRAY_SIZE (only_foreground); i++) {
      size_t length = strlen (only_foreground[i]);

      if (!foreground && strncmp (*rest, only_foreground[i], length) == 0
          && ((*rest)[length] == '\0' || (*rest)[length] == '='))
        return error_set (err, ERROR_USAGE, "nbdkit's %s goes with --foreground only",
                          only_foreground[i]);
    }
  return 0;
}

static int
check_usage (const struct arguments *args, const struct request *request, struct error *err)
{
  uint64_t number;

  if (args->options[SOCKET] && args->options[PORT])
    return error_set (err, ERROR_USAGE, "--socket and --port exclude each other");
  if (args->options[PORT] && parse_uint (args->options[PORT], 1, 65535, &number, err) < 0)
    return error_prefix (err, "--port");
  for (size_t i = 0; i < request->parameter_count; i++)
    if (parameter_check (request->parameters[i], err) < 0)
      return -1;
  return check_rest (request->options, args->options[FOREGROUND], err);
}

/* ---- the request ---- */

static void
cleanup_request (struct request *request)
{
  config_clear (&request->config);
  free (request->socket);
  free (request->parameters);
  free (request->options);
}

/* The command line's come last, and the last one wins. */
static int
join_words (struct request *request, const char *const *operands, size_t operand_count,
            char *const *rest, struct error *err)
{
  const struct config_words *parameters = &request->config.parameters,
                            *more = &request->config.nbdkit_options;
  size_t rest_count = 0;

  while (rest[rest_count])
    rest_count++;
  request->parameter_count = parameters->count + operand_count;
  request->parameters = calloc (request->parameter_count + 1, sizeof *request->parameters);
  request->options = calloc (more->count + rest_count + 1, sizeof *request->options);
  if (!request->parameters || !request->options)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  for (size_t i = 0; i < parameters->count; i++)
    request->parameters[i] = parameters->list[i];
  for (size_t i = 0; i < operand_count; i++)
    request->parameters[parameters->count + i] = operands[i];
  for (size_t i = 0; i < more->count; i++)
    request->options[i] = more->list[i];
  for (size_t i = 0; i < rest_count; i++)
    request->options[more->count + i] = rest[i];
  return 0;
}

/* Which volume: that of --config, or the first operand, a path or a configuration's name. */
static int
fill_request (const struct arguments *args, struct request *request, struct error *err)
{
  const char *config = args->options[CONFIG];
  size_t first = config ? 0 : 1;

  if (!config && args->operand_count == 0)
    return error_set (err, ERROR_USAGE, "VOLUME is missing; see keyfence serve --help");
  if (!config && config_is_meant (args->operands[0]))
    config = args->operands[0];
  if (config && config_load (config, &request->config, err) < 0)
    return -1;
  request->configured = config;
  request->path = config ? request->config.path : args->operands[0];
  return join_words (request, args->operands + first, args->operand_count - first, args->rest, err);
}

/* Who serves the volume now is named here, before anything else is in the way. */
static int
check_free (const char *path, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;

  if (volume_open (path, false, &volume, err) < 0)
    return -1;
  return volume_lock (volume.fd, path, false, err);
}

/* Reads the header, so that what is no volume is refused here and in our own words. */
static int
default_socket (const char *path, bool create, char **ret_socket, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;

  if (volume_open (path, false, &volume, err) < 0 || volume_load (&volume, true, err) < 0)
    return -1;
  return usual_socket (header_info (volume.header)->uuid, create, "give --socket SOCKET",
                       ret_socket, err);
}

static int
absolute_path (const char *path, char **ret_path, struct error *err)
{
  CLEANUP_FREE char *folder = NULL;
  int n;

  if (*path == '/') {
    *ret_path = strdup (path);
    return *ret_path ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
  }
  folder = getcwd (NULL, 0);
  if (!folder)
    return error_set_errno (err, errno, "the current folder");
  n = asprintf (ret_path, "%s/%s", folder, path);
  return n < 0 ? error_set (err, ERROR_SYSTEM, "out of memory") : 0;
}

/* The sockets that a service manager has opened are taken as they are; it knows where they are, and
 * who reads the configuration should be told the same.
 */
static int
take_given_sockets (const struct arguments *args, const struct request *request, struct error *err)
{
  CLEANUP_FREE char *path = activation_path ();

  if (args->options[SOCKET] || args->options[PORT])
    return error_set (err, ERROR_USAGE,
                      "--%s: the service manager has opened a socket for this server already",
                      args->options[SOCKET] ? "socket" : "port");
  if (!args->options[FOREGROUND])
    return error_set (err, ERROR_USAGE,
                      "a service that is activated by its socket needs "
                      "--foreground");
  if (request->config.socket && path && strcmp (path, request->config.socket) != 0)
    print_warning ("%s has socket = %s, but the service manager listens at %s: make them equal",
                   request->config.file, request->config.socket, path);
  return 0;
}

static int
choose_default (const struct arguments *args, struct request *request, struct error *err)
{
  bool create = !args->options[DRY_RUN];

  request->port = request->config.port;
  if (request->port)
    return 0;
  return request->configured ? config_socket (&request->config, create, &request->socket, err)
                             : default_socket (request->path, create, &request->socket, err);
}

static int
choose_address (const struct arguments *args, struct request *request, struct error *err)
{
  if (activation_count () > 0)
    return take_given_sockets (args, request, err);
  request->port = args->options[PORT];
  if (request->port)
    return 0;
  if ((args->options[SOCKET] ? absolute_path (args->options[SOCKET], &request->socket, err)
                             : choose_default (args, request, err))
      < 0)
    return -1;
  if (!request->socket || strlen (request->socket) <= UNIX_SOCKET_PATH_MAX)
    return 0;
  return error_set (err, ERROR_USAGE,
                    "%s: the path of a socket has at most %zu bytes; give a shorter one with "
                    "--socket",
                    request->socket, UNIX_SOCKET_PATH_MAX);
}

/* A server that was killed leaves its socket behind, and nbdkit does so even when it ends well; the
 * next one couldn't listen there.  Only a socket that nobody answers is removed. */
static int
remove_stale (const char *path, struct error *err)
{
  int r = unix_socket_remove_stale (path);

  if (r == -ENOTSOCK)
    return error_set (err, ERROR_USAGE, "%s exists and is no socket: choose another name", path);
  if (r == -EADDRINUSE)
    return error_set (err, ERROR_BUSY,
                      "another server listens at %s: stop it first, or choose another --socket",
                      path);
  return r < 0 ? error_set_errno (err, -r, "removing the socket %s of a server that is gone", path)
               : 0;
}

/* nbdkit would only repeat the errno. */
static int
check_socket_folder (const char *path, struct error *err)
{
  CLEANUP_FREE char *folder = strndup (path, (size_t)(strrchr (path, '/') - path) + 1);

  if (!folder)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (access (folder, F_OK) < 0 && errno == ENOENT)
    return error_set (err, ERROR_NOT_FOUND,
                      "%s: the folder for it does not exist: make it first, or choose another "
                      "--socket",
                      path);
  return 0;
}

/* Where nbdkit listens: the last of its own options wins over ours. */
static const char *
listen_address (char *const *words)
{
  const char *address = "127.0.0.1";

  for (; *words; words++) {
    if (strncmp (*words, "--ipaddr=", 9) == 0)
      address = *words + 9;
    else if ((strcmp (*words, "-i") == 0 || strcmp (*words, "--ipaddr") == 0) && words[1])
      address = *++words;
  }
  return address;
}

/* Whether nbdkit will be able to listen there, which it would say without the port's name.  What it
 * alone can judge (names of hosts) is left to it, and so is who else comes between.
 */
static int
check_port (const struct nbdkit_plan *plan, struct error *err)
{
  static const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                        .ai_socktype = SOCK_STREAM};
  const char *address = listen_address (plan->options);
  struct addrinfo *found = NULL;
  CLEANUP_CLOSE int fd = -1;
  int on = 1, errnum = 0;

  if (getaddrinfo (address, plan->port, &hints, &found) != 0)
    return 0;
  fd = socket (found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0
      && (bind (fd, found->ai_addr, found->ai_addrlen) < 0 || listen (fd, 1) < 0))
    errnum = errno;
  freeaddrinfo (found);
  if (errnum == EADDRINUSE)
    return error_set (err, ERROR_BUSY,
                      "something else listens at port %s of %s: stop it first, or choose another "
                      "--port",
                      plan->port, address);
  if (errnum == EACCES)
    return error_set (err, ERROR_SYSTEM, "port %s of %s is for root only: choose another --port",
                      plan->port, address);
  return errnum ? error_set_errno (err, errnum, "listening at port %s of %s", plan->port, address)
                : 0;
}

/* As the NBD URI specification has it; a new string. */
static char *
make_uri (const struct nbdkit_plan *plan)
{
  size_t size;
  char *uri = NULL;
  FILE *f = open_memstream (&uri, &size);

  if (!f)
    return NULL;
  if (!plan->socket)
    fprintf (f, strchr (listen_address (plan->options), ':') ? "nbd://[%s]:%s" : "nbd://%s:%s",
             listen_address (plan->options), plan->port);
  else
    words_nbd_uri (f, plan->socket);
  if (fclose (f) == 0)
    return uri;
  free (uri);
  return NULL;
}

static void
print_started (const struct nbdkit_plan *plan, const struct json *status, const char *uri,
               bool active)
{
  const char *reason = json_get_string (status, "reason");
  const char *detail = json_get_string (status, "detail");
  uint64_t pid, bytes;
  char size[FORMAT_SIZE_MAX];

  print_fact ("serving", "%s", plan->path);
  print_fact ("uri", "%s", uri);
  if (json_get_uint64 (status, "size_bytes", &bytes) == 0) {
    format_size (bytes, size);
    print_fact ("size", "%s", size);
  }
  print_fact ("state", "%s", json_get_string (status, "state"));
  if (!active && reason)
    print_fact ("reason", "%s", reason);
  if (!active && detail)
    print_fact ("detail", "%s", detail);
  if (json_get_uint64 (status, "pid", &pid) == 0)
    print_fact ("pid", "%" PRIu64 " (kill %" PRIu64 " stops it)", pid, pid);
}

/* The plugin goes without a control socket where there is no folder for one. */
static void
warn_of_no_control (const struct nbdkit_plan *plan)
{
  CLEANUP_FREE char *folder = path_rundir (true);

  for (size_t i = 0; i < plan->parameter_count; i++)
    if (strncmp (plan->parameters[i], "control=", strlen ("control=")) == 0)
      return;
  if (!folder)
    print_warning ("there is no folder for the control socket, so keyfence status, fence, drill "
                   "and the others do not find this server: set KEYFENCE_RUNDIR to an absolute "
                   "path of yours, for all commands, or give control=PATH");
}

static int
start (const struct arguments *args, const struct nbdkit_plan *plan, struct error *err)
{
  CLEANUP_JSON struct json *status = NULL;
  CLEANUP_FREE char *uri = make_uri (plan);
  int code;

  if (!uri)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (nbdkit_start (plan, &status, err) < 0 || status_exit_code (status, &code, err) < 0)
    return -1;
  warn_of_no_control (plan);
  if (args->options[JSON]) {
    json_set_string (status, "uri", uri);
    return print_json (status, err) < 0 ? -1 : code;
  }
  print_started (plan, status, uri, code == EXIT_DONE);
  return code;
}

static int
dry_run (const struct nbdkit_plan *plan, struct error *err)
{
  CLEANUP_FREE char *text = NULL;

  if (nbdkit_dry_run (plan, &text, err) < 0)
    return -1;
  print_line ("%s", text);
  return EXIT_DONE;
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP (cleanup_request) struct request request = {0};
  struct nbdkit_plan plan = {.pidfile = args->options[PIDFILE],
                             .foreground = args->options[FOREGROUND],
                             .read_only = args->options[READ_ONLY]};

  if (fill_request (args, &request, err) < 0 || check_usage (args, &request, err) < 0
      || choose_address (args, &request, err) < 0)
    return -1;
  plan.path = request.path;
  plan.socket = request.socket;
  plan.port = request.port;
  plan.parameters = request.parameters;
  plan.parameter_count = request.parameter_count;
  plan.options = request.options;
  if (args->options[DRY_RUN])
    return dry_run (&plan, err);
  if (check_free (plan.path, err) < 0)
    return -1;
  if (plan.socket
      && (check_socket_folder (plan.socket, err) < 0 || remove_stale (plan.socket, err) < 0))
    return -1;
  if (plan.port && check_port (&plan, err) < 0)
    return -1;
  return plan.foreground ? nbdkit_exec (&plan, err) : start (args, &plan, err);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "serve a volume as a disk over NBD, by nbdkit",
    .details = "VOLUME is a path, or the NAME of a configuration file /etc/keyfence/NAME.conf.\n"
               "Starts nbdkit in the background, waits until it is ready and prints the NBD URI. "
               "Exit code: 0 it is active; 3 it is served but fenced, since there is no access to "
               "its key, and comes back by itself; 1 it is not served.",
    .operands = {{"VOLUME", VALUE_VOLUME_FILE, .optional = true},
                 {"PARAMETER=VALUE", VALUE_PARAMETER, .many = true}},
    .options = options,
    .rest = "NBDKIT-ARGS",
    .reads_config = true,
    .run = run,
};
