/* cmd-status.c owns `keyfence status`. */
#include "tools/status.h"

#include "tools/arguments.h"
#include "tools/control.h"
#include "tools/print.h"

enum { JSON };

static const struct option_spec options[] = {
    [JSON] = {"json", NULL, "print the facts as one JSON object"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_FREE char *socket_path = NULL;
  CLEANUP_JSON struct json *status = NULL;
  int code;

  if (control_find (args->operands[0], &socket_path, err) < 0
      || control_ask (socket_path, "status", &status, err) < 0
      || status_exit_code (status, &code, err) < 0)
    return -1;
  if (args->options[JSON])
    return print_json (status, err) < 0 ? -1 : code;
  status_print (status);
  return code;
}

const struct command command_status = {
    .name = "status",
    .summary = "print the state of a volume that is served",
    .details = "VOLUME is the path of its file or block device, its uuid, its label, or the path "
               "of its control socket. Exit code: 0 active, 3 fenced, 4 grace, 1 not served.",
    .operands = {{"VOLUME", VALUE_VOLUME}},
    .options = options,
    .run = run,
};
