/* The plugin's parameters as keyfence serve takes them: all but those that it sets itself. */
#ifndef TOOLS_PARAMETERS_H
#define TOOLS_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Of parameter number i: its name (NULL past the last one), its values ("on|off", "PATH"), what it
 * does, and its default in words (NULL: none).
 */
const char *parameter_name (size_t i);
const char *parameter_values (size_t i);
const char *parameter_help (size_t i);
const char *parameter_default (size_t i);

/* Whether there is a parameter of that name, and whether its value is a path. */
bool parameter_exists (const char *name);
bool parameter_is_path (const char *name);

/* Whether `text` is NAME=VALUE of a parameter, with a value that the plugin will take. */
int parameter_check (const char *text, struct error *err) MUST_CHECK;

#endif
