/* params.c owns the plugin's parameters. */
#include "nbd-plugin/params.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "common/unix-socket.h"

static int
set_path (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name a volume's file or block device");
  params->path = value;
  return 0;
}

/* Which of the `count` words `value` is. */
static int
choose (const char *value, const char *const *known, size_t count, size_t *ret_choice,
        struct error *err)
{
  char list[128] = "";

  for (size_t i = 0; i < count; i++) {
    if (strcmp (value, known[i]) == 0) {
      *ret_choice = i;
      return 0;
    }
    snprintf (list + strlen (list), sizeof list - strlen (list), "%s%s", i > 0 ? ", " : "",
              known[i]);
  }
  return error_set (err, ERROR_USAGE, "\"%s\" is none of %s", value, list);
}

static int
set_cache (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"none", "writeback"};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->cache = choice == 0 ? CACHE_NONE : CACHE_WRITEBACK;
  return 0;
}

static int
set_engine (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"auto", "uring", "sync"};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->engine = known[choice];
  return 0;
}

static int
set_crypto (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"auto", "vaes", "openssl", "gcrypt"};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->crypto = known[choice];
  return 0;
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

/* As one would write it: "100ms", "24h". */
static void
limit_text (uint64_t ms, char ret[32])
{
  static const struct {
    const char *name;
    uint64_t ms;
  } units[] = {
      {"d", 24 * 3600 * 1000}, {"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};
  size_t i = 0;

  while (i + 1 < ARRAY_SIZE (units) && (ms < units[i].ms || ms % units[i].ms != 0))
    i++;
  snprintf (ret, 32, "%llu%s", (unsigned long long)(ms / units[i].ms), ms > 0 ? units[i].name : "");
}

static int
set_time (uint64_t *ret_ms, const char *value, uint64_t min_ms, uint64_t max_ms, struct error *err)
{
  char min[32], max[32];
  uint64_t ms;

  if (parse_duration (value, &ms, err) < 0)
    return -1;
  if (ms < min_ms || ms > max_ms) {
    limit_text (min_ms, min);
    limit_text (max_ms, max);
    return error_set (err, ERROR_USAGE, "\"%s\" is not between %s and %s", value, min, max);
  }
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
set_confirm_delay (struct params *params, const char *value, struct error *err)
{
  return set_time (&params->confirm_delay_ms, value, 0, 3600 * 1000, err);
}

static int
set_grace (struct params *params, const char *value, struct error *err)
{
  return set_time (&params->grace_ms, value, 0, UINT64_C (30) * 24 * 3600 * 1000, err);
}

static int
set_recover (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"auto", "manual"};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->recover_manual = choice == 1;
  return 0;
}

static int
set_recover_window (struct params *params, const char *value, struct error *err)
{
  return set_time (&params->recover_window_ms, value, 0, UINT64_C (365) * 24 * 3600 * 1000, err);
}

static int
set_on_fence (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {[ON_FENCE_ERROR] = "error", [ON_FENCE_STALL] = "stall"};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->on_fence = (enum on_fence)choice;
  return 0;
}

static int
set_stall_limit (struct params *params, const char *value, struct error *err)
{
  return set_time (&params->stall_limit_ms, value, 100, 24 * 3600 * 1000, err);
}

/* Never ESHUTDOWN: Linux clients take it as the end of the connection. */
static int
set_fence_errno (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"EIO", "EPERM", "ENOSPC"};
  static const int numbers[] = {EIO, EPERM, ENOSPC};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->fence_errno = numbers[choice];
  return 0;
}

static int
set_key_expiry (struct params *params, const char *value, struct error *err)
{
  static const char *const known[] = {"warn", "fence"};
  size_t choice = 0;

  if (choose (value, known, ARRAY_SIZE (known), &choice, err) < 0)
    return -1;
  params->expiry_fences = choice == 1;
  return 0;
}

static int
set_audit_log (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name a file");
  params->audit_log = value;
  return 0;
}

static int
set_hook (struct params *params, const char *value, struct error *err)
{
  if (*value != '/')
    return error_set (err, ERROR_USAGE, "\"%s\" is no absolute path of a program", value);
  params->hook = value;
  return 0;
}

static int
set_notify_url (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name an https:// address, or +FILE with one");
  params->notify_url = value;
  return 0;
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
set_agent_socket (struct params *params, const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "it is empty: name the socket's path");
  if (strlen (value) > UNIX_SOCKET_PATH_MAX)
    return error_set (err, ERROR_USAGE, "the path of a socket has at most %zu bytes",
                      UNIX_SOCKET_PATH_MAX);
  params->agent_socket = value;
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
    {"engine", "auto|uring|sync", "auto", "how the backing is read and written", set_engine},
    {"crypto", "auto|vaes|openssl|gcrypt", "auto", "what encrypts; auto takes the fastest",
     set_crypto},
    {"discard", "on|off", "off", "punch holes for trimmed ranges, which shows what is unused",
     set_discard},
    {"read-only", "yes|no", "no", "open the volume for reading only", set_read_only},
    {"control", "PATH|none", "/run/keyfence/UUID.sock", "the control socket", set_control},
    {"require-key", "yes|no", "no", "exit with an error when there is no key access at start-up",
     set_require_key},
    {"check-interval", "TIME", "30s", "how often key access is checked, or tried for while fenced",
     set_check_interval},
    {"check-timeout", "TIME", "5s", "how long one answer of the key service may take",
     set_check_timeout},
    {"confirm-delay", "TIME", "5s", "after a denial, how long until it is asked once more",
     set_confirm_delay},
    {"grace", "TIME", "1h", "how long to serve while the key service can't be asked; 0: not at all",
     set_grace},
    {"recover", "auto|manual", "auto",
     "open again when access is back, or wait for keyfence unfence", set_recover},
    {"recover-window", "TIME", "0, no limit",
     "fenced for longer than this, wait for keyfence unfence", set_recover_window},
    {"on-fence", "error|stall", "error", "what requests do while fenced: fail, or wait",
     set_on_fence},
    {"stall-limit", "TIME", "30s", "with on-fence=stall, fail after being fenced for so long",
     set_stall_limit},
    {"fence-errno", "EIO|EPERM|ENOSPC", "EIO", "the error that refused requests get",
     set_fence_errno},
    {"key-expiry", "warn|fence", "warn", "what the key's expiry date does once it has passed",
     set_key_expiry},
    {"audit-log", "PATH", NULL, "append every key operation and state change as a line of JSON",
     set_audit_log},
    {"hook", "PROGRAM", NULL, "run at each state change, with the facts in its environment",
     set_hook},
    {"notify-url", "URL|+FILE", NULL, "post each state change there as JSON", set_notify_url},
    {"uuid", "UUID", NULL, "serve this volume only, should the path hold another", set_uuid},
    {"agent", "PATH", "the installed one", "the keyfence-agent program", set_agent},
    {"agent-socket", "PATH", NULL,
     "ask the agent that listens there (keyfence-agent@.socket), and start none", set_agent_socket},
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
                         .confirm_delay_ms = 5 * 1000,
                         .grace_ms = 3600 * 1000,
                         .stall_limit_ms = 30 * 1000,
                         .fence_errno = EIO,
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

bool
param_is_path (const struct param *param)
{
  return strncmp (param->values, "PATH", 4) == 0;
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

int
params_check (const struct params *params, struct error *err)
{
  if (!params->path)
    return error_set (err, ERROR_USAGE,
                      "no volume is named: nbdkit keyfence PATH [parameter=value ...]");
  if (params->agent && params->agent_socket)
    return error_set (err, ERROR_USAGE,
                      "parameters agent and agent-socket exclude each other: remove one");
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
