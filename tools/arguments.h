/* A subcommand's command line, taken apart by its table. */
#ifndef TOOLS_ARGUMENTS_H
#define TOOLS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "tools/command.h"

/* Strings belong to argv. */
struct arguments {
  const char *options[OPTIONS_MAX]; /* by index in the table: the value, "" for a switch, or NULL */
  const char **operands;            /* those that are not given are NULL */
  size_t operand_count;
  char **rest; /* what follows "--"; NULL-terminated */
  bool help;   /* --help was there; nothing else was checked */
};

/* `argv` starts after the subcommand's name and ends with NULL.  Options may stand anywhere before
 * "--", as "--name VALUE" or "--name=VALUE", once each.  -1 with ERROR_USAGE.
 */
int arguments_parse (const struct command *command, char **argv, struct arguments *ret_args,
                     struct error *err) MUST_CHECK;

void arguments_clear (struct arguments *args);
#define CLEANUP_ARGUMENTS CLEANUP (arguments_clear)

#endif
