/* usage.c owns the help texts and the machine-readable list, both made from the tables. */
#include "tools/usage.h"

#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "tools/parameters.h"

#define WIDTH 80
#define OPTION_COLUMN 30

/* Writes `text` as words filled into lines that start at column `indent`; the cursor stands at
 * `column`.  A newline in the text starts a new line. */
static void
print_filled (FILE *f, const char *text, int indent, int column)
{
  bool first = true;

  while (*text) {
    int length = (int)strcspn (text, " \n");

    if (!first && (text[-1] == '\n' || column + 1 + length > WIDTH)) {
      fputc ('\n', f);
      column = 0;
    }
    if (column < indent)
      column += fprintf (f, "%*s", indent - column, "");
    else if (!first && column > 0)
      column += fprintf (f, " ");
    column += fprintf (f, "%.*s", length, text);
    text += length;
    text += *text != '\0';
    first = false;
  }
  fputc ('\n', f);
}

void
usage_print (FILE *f)
{
  fputs ("keyfence: an encrypted disk that stops when its key does\n"
         "\n"
         "Usage: keyfence COMMAND [options] ...\n"
         "       keyfence COMMAND --help\n"
         "       keyfence --version\n"
         "\n"
         "Commands:\n",
         f);
  for (size_t i = 0; commands[i]; i++) {
    int column = fprintf (f, "  %s", commands[i]->name);

    print_filled (f, commands[i]->summary, 20, column);
  }
  fputs ("\n"
         "The first disk:\n"
         "  (umask 077; head -c 32 /dev/urandom > kek)\n"
         "  keyfence create disk.img --size 1G --key file://$PWD/kek\n"
         "  keyfence serve disk.img\n"
         "\n"
         "Exit codes: 0 done or active, 1 failed, 2 wrong command line, 3 fenced or denied,\n"
         "4 grace.  More in keyfence(1).\n",
         f);
}

static void
print_synopsis (FILE *f, const struct command *command)
{
  fprintf (f, "Usage: keyfence %s", command->name);
  for (const struct option_spec *o = command->options; o && o->name; o++)
    if (o->required)
      fprintf (f, " --%s %s", o->name, o->value);
  if (command->options && command->options[0].name)
    fputs (" [options]", f);
  for (size_t i = 0; i < OPERANDS_MAX && command->operands[i].name; i++) {
    const struct operand_spec *o = &command->operands[i];

    fprintf (f, o->many ? " [%s ...]" : o->optional ? " [%s]" : " %s", o->name);
  }
  if (command->rest)
    fprintf (f, " [-- %s]", command->rest);
  fputc ('\n', f);
}

/* "  name" and, in its column, "help (default: initial)". */
static void
print_entry (FILE *f, const char *name, const char *help, const char *initial)
{
  CLEANUP_FREE char *text = NULL;
  int column = fprintf (f, "  %s", name);

  if (column + 2 > OPTION_COLUMN) {
    fputc ('\n', f);
    column = 0;
  }
  if (initial && asprintf (&text, "%s (default: %s)", help, initial) < 0)
    text = NULL;
  print_filled (f, text ? text : help, OPTION_COLUMN, column);
}

static void
print_option (FILE *f, const struct option_spec *option)
{
  char name[64];

  snprintf (name, sizeof name, "--%s%s%s", option->name, option->value ? " " : "",
            option->value ? option->value : "");
  print_entry (f, name, option->help, NULL);
}

static void
print_parameters (FILE *f)
{
  fputs ("\nParameters, as NAME=VALUE (see nbdkit-keyfence-plugin(1)):\n", f);
  for (size_t i = 0; parameter_name (i); i++) {
    char name[64];

    snprintf (name, sizeof name, "%s=%s", parameter_name (i), parameter_values (i));
    print_entry (f, name, parameter_help (i), parameter_default (i));
  }
}

static bool
takes_parameters (const struct command *command)
{
  for (size_t i = 0; i < OPERANDS_MAX && command->operands[i].name; i++)
    if (command->operands[i].kind == VALUE_PARAMETER)
      return true;
  return false;
}

void
usage_print_command (FILE *f, const struct command *command)
{
  print_synopsis (f, command);
  fprintf (f, "\nkeyfence %s: ", command->name);
  print_filled (f, command->summary, 0, (int)strlen (command->name) + 11);
  if (command->details) {
    fputc ('\n', f);
    print_filled (f, command->details, 0, 0);
  }
  fputs ("\nOptions:\n", f);
  for (const struct option_spec *o = command->options; o && o->name; o++)
    print_option (f, o);
  print_entry (f, "--help", "print this text", NULL);
  if (takes_parameters (command))
    print_parameters (f);
}

static const char *
kind_name (enum value_kind kind)
{
  static const char *const names[] = {
      [VALUE_TEXT] = "text",
      [VALUE_FILE] = "file",
      [VALUE_VOLUME] = "volume",
      [VALUE_KEY] = "key",
      [VALUE_CHOICE] = "choice",
      [VALUE_COMMAND] = "command",
      [VALUE_PARAMETER] = "parameter",
      [VALUE_KEY_OR_VOLUME] = "key-or-volume",
      [VALUE_VOLUME_FILE] = "volume-file",
      [VALUE_CONFIG] = "config",
  };

  return (size_t)kind < ARRAY_SIZE (names) ? names[kind] : "text";
}

void
usage_print_list (FILE *f)
{
  for (size_t i = 0; commands[i]; i++) {
    const struct command *c = commands[i];

    fprintf (f, "command\t%s\t%s\n", c->name, c->summary);
    for (size_t j = 0; j < OPERANDS_MAX && c->operands[j].name; j++)
      fprintf (f, "operand\t%s\t%s\t%s\n", c->name, c->operands[j].name,
               kind_name (c->operands[j].kind));
    for (const struct option_spec *o = c->options; o && o->name; o++)
      fprintf (f, "option\t%s\t--%s\t%s\t%s\t%s\n", c->name, o->name, o->value ? o->value : "-",
               kind_name (o->kind), o->choices ? o->choices : "-");
    fprintf (f, "option\t%s\t--help\t-\ttext\t-\n", c->name);
  }
  for (size_t i = 0; parameter_name (i); i++)
    fprintf (f, "parameter\t%s\t%s\n", parameter_name (i), parameter_values (i));
}
