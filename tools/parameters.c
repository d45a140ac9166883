/* parameters.c owns which of the plugin's parameters keyfence serve hands on. */
#include "tools/parameters.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "nbd-plugin/params.h"

/* keyfence serve sets these from its own command line. */
static bool
is_own (const char *name)
{
  static const char *const own[] = {"path", "ready-fd"};

  for (size_t i = 0; i < ARRAY_SIZE (own); i++)
    if (strcmp (name, own[i]) == 0)
      return true;
  return false;
}

static const struct param *
parameter (size_t i)
{
  for (const struct param *param = params_table; param->name; param++)
    if (!is_own (param->name) && i-- == 0)
      return param;
  return NULL;
}

const char *
parameter_name (size_t i)
{
  const struct param *param = parameter (i);

  return param ? param->name : NULL;
}

const char *
parameter_values (size_t i)
{
  return parameter (i)->values;
}

const char *
parameter_help (size_t i)
{
  return parameter (i)->help;
}

const char *
parameter_default (size_t i)
{
  return parameter (i)->initial;
}

bool
parameter_exists (const char *name)
{
  return !is_own (name) && params_find (name);
}

bool
parameter_is_path (const char *name)
{
  return parameter_exists (name) && param_is_path (params_find (name));
}

static int
refuse (const char *text, size_t name_length, struct error *err)
{
  char list[256] = "";

  for (size_t i = 0, used = 0; parameter_name (i) && used < sizeof list; i++)
    used += (size_t)snprintf (list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                              parameter_name (i));
  return error_set (err, ERROR_USAGE, "there is no parameter \"%.*s\"; known are: %s",
                    (int)name_length, text, list);
}

int
parameter_check (const char *text, struct error *err)
{
  const char *equals = strchr (text, '=');
  size_t name_length = strcspn (text, "=");
  struct params ignored = params_default ();

  if (!equals)
    return error_set (err, ERROR_USAGE, "\"%s\" is no parameter: they are written NAME=VALUE",
                      text);
  for (size_t i = 0; parameter_name (i); i++)
    if (strlen (parameter_name (i)) == name_length
        && memcmp (parameter_name (i), text, name_length) == 0)
      return params_set (&ignored, parameter_name (i), equals + 1, err);
  return refuse (text, name_length, err);
}
