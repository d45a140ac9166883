/* What the subcommands say: errors and warnings on stderr, facts on stdout.
 *
 * Bytes that a terminal would act on (labels and key names come from disks and other processes)
 * are shown as "?".
 */
#ifndef TOOLS_PRINT_H
#define TOOLS_PRINT_H

#include "common/error.h"
#include "common/json.h"

/* The subcommand that messages name from now on; a string that stays. */
void print_set_command (const char *name);

/* "keyfence: COMMAND: text" */
void print_error (const struct error *err);

/* "keyfence: COMMAND: warning: text" */
void print_warning (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* "name:   value", the values of all facts in one column. */
void print_fact (const char *name, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/* A sentence on stdout. */
void print_line (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* The object, indented, on stdout. */
int print_json (const struct json *json, struct error *err) MUST_CHECK;

#endif
