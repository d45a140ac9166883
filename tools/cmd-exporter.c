/* cmd-exporter.c owns `keyfence exporter`. */
#include "config.h"
#include "tools/arguments.h"
#include "tools/exporter/exporter.h"

enum { LISTEN, CONTROL_DIR, HOST };

static const struct option_spec options[] = {
    [LISTEN] = {"listen", "ADDRESS:PORT",
                "listen there instead of " EXPORTER_LISTEN "; whoever reaches it can read it"},
    [CONTROL_DIR] = {"control-dir", "FOLDER",
                     "where the control sockets are, unless they are at the usual place",
                     VALUE_FILE},
    [HOST] = {"host", "NAME[,NAME]",
              "answer requests that are made in these names, too, besides IP addresses, localhost "
              "and the host's own name"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
#if HAVE_EXPORTER
  const struct exporter_options exporter = {
      .listen = args->options[LISTEN],
      .folder = args->options[CONTROL_DIR],
      .hosts = args->options[HOST],
  };

  return exporter_run (&exporter, err) < 0 ? -1 : EXIT_DONE;
#else
  (void)args;
  return error_set (err, ERROR_SYSTEM,
                    "this program was built without libmicrohttpd, and has no exporter");
#endif
}

const struct command command_exporter = {
    .name = "exporter",
    .summary = "show all volumes of this host to Prometheus and to people",
    .details = "Stays in the foreground and serves, by HTTP, metrics at /metrics and a page at /. "
               "Nothing can be changed through it.",
    .options = options,
    .run = run,
};
