/* cmd-reload.c owns `keyfence reload`. */
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
  return order_run ("reload", args->operands[0], args->options[JSON], err);
}

const struct command command_reload = {
    .name = "reload",
    .summary = "let the server of a volume read its header again",
    .details = "The header's primary wrap is tried before the wraps that were used until now are "
               "forgotten. Exit code: 0 done and active, 3 fenced or denied, "
               "4 grace, 1 not done.",
    .operands = {{"VOLUME", VALUE_VOLUME}},
    .options = options,
    .run = run,
};
