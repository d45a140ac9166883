/* cmd-fence.c owns `keyfence fence`. */
#include <stdio.h>
#include <string.h>

#include "tools/arguments.h"
#include "tools/order.h"

/* What fits into the server's line and its log. */
#define REASON_MAX 400

enum { REASON, JSON };

static const struct option_spec options[] = {
    [REASON] = {"reason", "TEXT", "why, for the status and the audit log; one line, 400 bytes"},
    [JSON] = {"json", NULL, "print the server's answer as one JSON object"},
    {NULL},
};

static int
check_reason (const char *reason, struct error *err)
{
  if (strlen (reason) > REASON_MAX)
    return error_set (err, ERROR_USAGE, "--reason: it has %zu bytes, at most %d are kept",
                      strlen (reason), REASON_MAX);
  for (const char *p = reason; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f)
      return error_set (err, ERROR_USAGE, "--reason: one line without control characters");
  return 0;
}

static int
run (const struct arguments *args, struct error *err)
{
  const char *reason = args->options[REASON] ? args->options[REASON] : "";
  char line[sizeof "fence " + REASON_MAX];

  if (check_reason (reason, err) < 0)
    return -1;
  snprintf (line, sizeof line, "fence%s%s", *reason ? " " : "", reason);
  return order_run (line, args->operands[0], args->options[JSON], err);
}

const struct command command_fence = {
    .name = "fence",
    .summary = "refuse a volume's I/O and wipe its key, now",
    .details = "It stays fenced until keyfence unfence. VOLUME is the path of its file or block "
               "device, its uuid, its label, or the path of its control socket. Exit code: 0 it is "
               "fenced, 1 it is not.",
    .operands = {{"VOLUME", VALUE_VOLUME}},
    .options = options,
    .run = run,
};
