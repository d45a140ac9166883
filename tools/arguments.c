/* arguments.c owns the parsing of a subcommand's command line by its table. */
#include "tools/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

static char *no_rest[] = {NULL};

/* The index of the option `text` (without dashes, up to "=") in the table, or -1. */
static int
find_option (const struct command *command, const char *text)
{
  size_t length = strcspn (text, "=");

  for (int i = 0; command->options && command->options[i].name; i++)
    if (strlen (command->options[i].name) == length
        && memcmp (command->options[i].name, text, length) == 0)
      return i;
  return -1;
}

const char *
arguments_value (const struct arguments *args, unsigned option, size_t n)
{
  for (size_t i = 0; i < args->value_count; i++)
    if (args->values[i].option == option && n-- == 0)
      return args->values[i].value;
  return NULL;
}

static size_t
count_values (const struct arguments *args, unsigned option)
{
  size_t n = 0;

  while (arguments_value (args, option, n))
    n++;
  return n;
}

/* Notes a value; `values` has room for as many as there are arguments. */
static void
note_value (struct arguments *args, unsigned option, const char *value)
{
  if (!args->options[option])
    args->options[option] = value;
  args->values[args->value_count++] = (struct option_value){option, value};
}

static int
check_repetition (const struct option_spec *option, size_t given, struct error *err)
{
  if (given == 0 || given < option->most)
    return 0;
  if (option->most > 1)
    return error_set (err, ERROR_USAGE, "--%s is given more than %u times", option->name,
                      option->most);
  return error_set (err, ERROR_USAGE, "--%s is given twice", option->name);
}

/* Takes the option at *argv, and its value when that is the next argument. */
static int
parse_option (const struct command *command, char ***argv, struct arguments *args,
              struct error *err)
{
  const char *text = **argv + 2, *value = strchr (text, '=');
  int name_length = (int)strcspn (text, "=");
  int i = (**argv)[1] == '-' ? find_option (command, text) : -1;

  if (i < 0)
    return error_set (err, ERROR_USAGE, "there is no option %.*s; see keyfence %s --help",
                      name_length + 2, **argv, command->name);
  if (check_repetition (&command->options[i], count_values (args, (unsigned)i), err) < 0)
    return -1;
  if (!command->options[i].value) {
    if (value)
      return error_set (err, ERROR_USAGE, "--%.*s takes no value", name_length, text);
    note_value (args, (unsigned)i, "");
    return 0;
  }
  value = value ? value + 1 : *++*argv;
  if (!value || !*value)
    return error_set (err, ERROR_USAGE, "--%.*s needs a value: --%.*s %s", name_length, text,
                      name_length, text, command->options[i].value);
  note_value (args, (unsigned)i, value);
  return 0;
}

static size_t
count_operands (const struct command *command)
{
  size_t n = 0;

  while (n < OPERANDS_MAX && command->operands[n].name)
    n++;
  return n;
}

static int
check_operands (const struct command *command, const struct arguments *args, struct error *err)
{
  size_t known = count_operands (command);

  for (size_t i = args->operand_count; i < known; i++)
    if (!command->operands[i].optional && !command->operands[i].many)
      return error_set (err, ERROR_USAGE, "%s is missing; see keyfence %s --help",
                        command->operands[i].name, command->name);
  if (args->operand_count > known && !(known > 0 && command->operands[known - 1].many))
    return error_set (err, ERROR_USAGE, "\"%s\" is one argument too many; see keyfence %s --help",
                      args->operands[known], command->name);
  return 0;
}

static bool
is_one_of (const char *value, const char *choices)
{
  size_t length = strlen (value);

  for (const char *p = choices; *p; p += strcspn (p, " ")) {
    p += strspn (p, " ");
    if (strcspn (p, " ") == length && memcmp (p, value, length) == 0)
      return true;
  }
  return false;
}

static int
check_options (const struct command *command, const struct arguments *args, struct error *err)
{
  for (size_t i = 0; command->options && command->options[i].name; i++) {
    const struct option_spec *option = &command->options[i];

    if (option->required && !args->options[i])
      return error_set (err, ERROR_USAGE, "--%s %s is missing; see keyfence %s --help",
                        option->name, option->value, command->name);
    if (args->options[i] && option->kind == VALUE_CHOICE
        && !is_one_of (args->options[i], option->choices))
      return error_set (err, ERROR_USAGE, "--%s %s: expected one of: %s", option->name,
                        args->options[i], option->choices);
  }
  return 0;
}

static bool
asks_for_help (char **argv)
{
  for (; *argv && strcmp (*argv, "--") != 0; argv++)
    if (strcmp (*argv, "--help") == 0 || strcmp (*argv, "-h") == 0)
      return true;
  return false;
}

/* Everything up to the end; after "--" operands, or what the command hands on. */
static int
parse_all (const struct command *command, char **argv, struct arguments *args, struct error *err)
{
  bool only_operands = false;

  for (; *argv; argv++) {
    if (!only_operands && strcmp (*argv, "--") == 0) {
      if (command->rest) {
        args->rest = argv + 1;
        return 0;
      }
      only_operands = true;
    }
    else if (only_operands || (*argv)[0] != '-' || !(*argv)[1])
      args->operands[args->operand_count++] = *argv;
    else if (parse_option (command, &argv, args, err) < 0)
      return -1;
  }
  return 0;
}

int
arguments_parse (const struct command *command, char **argv, struct arguments *ret_args,
                 struct error *err)
{
  CLEANUP_ARGUMENTS struct arguments args = {.rest = no_rest};
  size_t count = 0;

  while (argv[count])
    count++;
  args.help = asks_for_help (argv);
  args.operands = calloc (count + OPERANDS_MAX + 1, sizeof *args.operands);
  args.values = calloc (count + 1, sizeof *args.values);
  if (!args.operands || !args.values)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (!args.help
      && (parse_all (command, argv, &args, err) < 0 || check_operands (command, &args, err) < 0
          || check_options (command, &args, err) < 0))
    return -1;
  *ret_args = args;
  args.operands = NULL;
  args.values = NULL;
  return 0;
}

void
arguments_clear (struct arguments *args)
{
  free (args->operands);
  free (args->values);
  args->operands = NULL;
  args->values = NULL;
}
