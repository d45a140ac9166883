/* params.c owns the plugin's parameters. */
#include "nbd-plugin/params.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"

static int
set_path (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name a volume's file or block device");
  params->path = value;
  return 0;
}

static int
set_cache (struct params *params, const char *value, struct error *err)
{
  if (strcmp (value, "none") == 0)
    params->cache = CACHE_NONE;
  else if (strcmp (value, "writeback") == 0)
    params->cache = CACHE_WRITEBACK;
  else
    return error_set (err, ERROR_USAGE, "\"%s\" is neither none nor writeback", value);
  return 0;
}

static int
set_engine (struct params *params, const char *value, struct error *err)
{
  if (strcmp (value, "auto") != 0 && strcmp (value, "sync") != 0)
    return error_set (err, ERROR_USAGE, "\"%s\" is neither auto nor sync", value);
  params->engine = value;
  return 0;
}

static int
set_crypto (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"auto", "openssl", "gcrypt"};

  for (size_t i = 0; i < ARRAY_SIZE (known); i++) {
    if (strcmp (value, known[i]) == 0) {
      params->crypto = value;
      return 0;
    }
  }
  return error_set (err, ERROR_USAGE, "\"%s\" is none of auto, openssl, gcrypt", value);
}

static int
set_discard (struct params *params, const char *value, struct error *err)
{
  return parse_bool (value, &params->discard, err);
}

static int
set_read_only (struct params *params, const char *value, struct error *err)
{
  return parse_bool (value, &params->read_only, err);
}

static int
set_control (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name a socket's path, or none");
  params->control = value;
  return 0;
}

static int
set_require_key (struct params *params, const char *value, struct error *err)
{
  return parse_bool (value, &params->require_key, err);
}

static int
set_time (uint64_t *ret_ms, const char *value, uint64_t min_ms, uint64_t max_ms, struct error *err)
{
  uint64_t ms;

  if (parse_duration (value, &ms, err) < 0)
    return -1;
  if (ms < min_ms || ms > max_ms)
    return error_set (err, ERROR_USAGE, "\"%s\" is not between %gs and %gs", value,
                      (double)min_ms / 1000, (double)max_ms / 1000);
  *ret_ms = ms;
  return 0;
}

static int
set_check_interval (struct params *params, const char *value, struct error *err)
{
  return set_time (&params->check_interval_ms, value, 100, 24 * 3600 * 1000, err);
}

static int
set_check_timeout (struct params *params, const char *value, struct error *err)
{
  return set_time (&params->check_timeout_ms, value, 100, 300 * 1000, err);
}

static int
set_uuid (struct params *params, const char *value, struct error *err)
{
  if (!is_uuid (value))
    return error_set (err, ERROR_USAGE, "\"%s\" is not a uuid of 36 characters", value);
  params->uuid = value;
  return 0;
}

static int
set_agent (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name the program's path");
  params->agent = value;
  return 0;
}

static int
set_ready_fd (struct params *params, const char *value, struct error *err)
{
  uint64_t fd;

  if (parse_uint (value, 3, 65535, &fd, err) < 0)
    return -1;
  params->ready_fd = (int)fd;
  return 0;
}

const struct param params_table[] = {
    {"path", "PATH", NULL, "the volume: a file or block device made by keyfence create", set_path},
    {"cache", "none|writeback", "none where the backing can do it",
     "bypass the host's page cache (O_DIRECT), or use it", set_cache},
    {"engine", "auto|sync", "auto", "how the backing is read and written", set_engine},
    {"crypto", "auto|openssl|gcrypt", "auto", "which library encrypts; auto takes the faster",
     set_crypto},
    {"discard", "on|off", "off", "punch holes for trimmed ranges, which shows what is unused",
     set_discard},
    {"read-only", "yes|no", "no", "open the volume for reading only", set_read_only},
    {"control", "PATH|none", "/run/keyfence/UUID.sock", "the control socket", set_control},
    {"require-key", "yes|no", "no", "exit with an error when there is no key access at start-up",
     set_require_key},
    {"check-interval", "TIME", "30s", "how often key access is tried while there is none",
     set_check_interval},
    {"check-timeout", "TIME", "5s", "how long one answer of the key service may take",
     set_check_timeout},
    {"uuid", "UUID", NULL, "serve this volume only, should the path hold another", set_uuid},
    {"agent", "PATH", "the installed one", "the keyfence-agent program", set_agent},
    {"ready-fd", "N", NULL, "a descriptor that gets one line of JSON when start-up is over",
     set_ready_fd},
    {0}};

struct params
params_default (void)
{
  return (struct params){.cache = CACHE_AUTO,
                         .engine = "auto",
                         .crypto = "auto",
                         .check_interval_ms = 30 * 1000,
                         .check_timeout_ms = 5 * 1000,
                         .ready_fd = -1};
}

const struct param *
params_find (const char *name)
{
  for (const struct param *param = params_table; param->name; param++)
    if (strcmp (param->name, name) == 0)
      return param;
  return NULL;
}

int
params_set (struct params *params, const char *name, const char *value, struct error *err)
{
  const struct param *param = params_find (name);

  if (!param)
    return error_set (err, ERROR_USAGE, "there is no parameter \"%s\": see nbdkit keyfence --help",
                      name);
  if (param->set (params, value, err) < 0)
    return error_prefix (err, "parameter %s", name);
  return 0;
}

char *
params_help (void)
{
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream (&text, &size);

  if (!f)
    return NULL;
  for (const struct param *param = params_table; param->name; param++) {
    fprintf (f, "%s=%s\n    %s", param->name, param->values, param->help);
    if (param->initial)
      fprintf (f, " (default: %s)", param->initial);
    fputc ('\n', f);
  }
  if (fclose (f) != 0) {
    free (text);
    return NULL;
  }
  return text;
}
