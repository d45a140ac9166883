/* cmd-unfence.c owns `keyfence unfence`. */
#include "tools/arguments.h"
#include "tools/order.h"

enum { JSON };

static const struct option_spec options[] = {
    [JSON] = {"json", NULL, "print the server's answer as one JSON object"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
  return order_run ("unfence", args->operands[0], args->options[JSON], err);
}

const struct command command_unfence = {
    .name = "unfence",
    .summary = "let a volume that waits for the operator come back",
    .details =
        "A volume that was fenced by hand, for longer than recover-window, with recover=manual, or "
        "because what came back was not its key, waits for this. Its key is asked for at "
        "once; without access it stays fenced, and from then on comes back by itself. "
        "Exit code: 0 active, 3 fenced or denied, 4 grace, 1 failed.",
    .operands = {{"VOLUME", VALUE_VOLUME}},
    .options = options,
    .run = run,
};
