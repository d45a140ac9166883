/* cmd-help.c owns `keyfence help`. */
#include "tools/arguments.h"
#include "tools/usage.h"

enum { LIST };

static const struct option_spec options[] = {
    [LIST] = {"list", NULL,
              "print every command, operand, option and parameter, one a line, for programs"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
  const char *name = args->operands[0];
  const struct command *command = name ? command_find (name) : NULL;

  if (args->options[LIST])
    usage_print_list (stdout);
  else if (command)
    usage_print_command (stdout, command);
  else if (name)
    return error_set (err, ERROR_USAGE, "there is no command \"%s\"; keyfence help lists them",
                      name);
  else
    usage_print (stdout);
  return EXIT_DONE;
}

const struct command command_help = {
    .name = "help",
    .summary = "print help, of one command or of all",
    .operands = {{"COMMAND", VALUE_COMMAND, .optional = true}},
    .options = options,
    .run = run,
};
