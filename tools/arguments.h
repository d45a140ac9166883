/* A subcommand's command line, taken apart by its table. */
#ifndef TOOLS_ARGUMENTS_H
#define TOOLS_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "tools/command.h"

/* Strings belong to argv. */
struct arguments {
  const char *options[OPTIONS_MAX]; /* by index in the table: the (first) value, "" for a switch, or
                                     * NULL */
  struct option_value {
    unsigned option; /* index in the table */
    const char *value;
  } * values; /* all that were given, in their order */
  size_t value_count;
  const char **operands; /* those that are not given are NULL */
  size_t operand_count;
  const char *config; /* the configuration that an operand named its volume by, or NULL */
  char **rest;        /* what follows "--"; NULL-terminated */
  bool help;          /* --help was there; nothing else was checked */
};

/* `argv` starts after the subcommand's name and ends with NULL.  Options may stand anywhere before
 * "--", as "--name VALUE" or "--name=VALUE", as often as the table permits.  -1 with ERROR_USAGE.
 */
int arguments_parse (const struct command *command, char **argv, struct arguments *ret_args,
                     struct error *err) MUST_CHECK;

/* Value number n (from 0) of an option that may be given several times; NULL past the last. */
const char *arguments_value (const struct arguments *args, unsigned option, size_t n);

void arguments_clear (struct arguments *args);
#define CLEANUP_ARGUMENTS CLEANUP (arguments_clear)

#endif
