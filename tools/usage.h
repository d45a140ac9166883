/* What the tables say, for people (--help) and for programs (help --list). */
#ifndef TOOLS_USAGE_H
#define TOOLS_USAGE_H

#include <stdio.h>

#include "tools/command.h"

/* The list of subcommands. */
void usage_print (FILE *f);

/* The help of one subcommand. */
void usage_print_command (FILE *f, const struct command *command);

/* Every subcommand, operand, option and plugin parameter, one a line, fields separated by tabs:
 *   command NAME SUMMARY
 *   operand COMMAND NAME KIND
 *   option COMMAND --NAME VALUE KIND CHOICES     (VALUE "-" for a switch, CHOICES "-" where none)
 *   parameter NAME CHOICES
 * Completion and the test of the man page read it.
 */
void usage_print_list (FILE *f);

#endif
