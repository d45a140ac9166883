/* main.c owns what a drill is made of, and what is said and written when it is over. */
#include "tools/drill/main.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "common/paths.h"
#include "common/unix-socket.h"
#include "tools/command.h"
#include "tools/control.h"
#include "tools/drill/drill.h"
#include "tools/drill/nbd.h"
#include "tools/drill/preset.h"
#include "tools/drill/report.h"
#include "tools/drill/signals.h"
#include "tools/print.h"
#include "tools/volume-config.h"
#include "tools/volume.h"
#include "tools/words.h"

/* What the texts of the options are kept in. */
struct texts {
  char *socket_path, *uri, *revoke, *restore;
};

static void
texts_clear (struct texts *texts)
{
  free (texts->socket_path);
  free (texts->uri);
  free (texts->revoke);
  free (texts->restore);
}

/* ---- where the NBD server listens ---- */

static char *
socket_uri (const char *path)
{
  size_t size;
  char *uri = NULL;
  FILE *f = open_memstream (&uri, &size);

  if (!f)
    return NULL;
  words_nbd_uri (f, path);
  if (fclose (f) == 0)
    return uri;
  free (uri);
  return NULL;
}

/* Of a volume that was named by its configuration: what that says. */
static int
find_configured_socket (const char *name, char **ret_path, struct error *err)
{
  CLEANUP_CONFIG struct config config = {0};

  if (config_load (name, &config, err) < 0)
    return -1;
  if (config.port)
    return error_set (err, ERROR_USAGE, "%s serves it by TCP, at port %s: give --uri URI",
                      config.file, config.port);
  return config_socket (&config, false, ret_path, err);
}

/* Where keyfence serve has it listen. */
static int
find_uri (const char *volume, const struct json *status, char **ret_uri, struct error *err)
{
  const char *uuid = json_get_string (status, "volume");
  CLEANUP_FREE char *path = NULL;
  CLEANUP_CLOSE int fd = -1;

  if (config_is_meant (volume)) {
    if (find_configured_socket (volume, &path, err) < 0)
      return -1;
  }
  else if (uuid) {
    path = path_socket (uuid, "nbd", false);
  }
  if (!path || unix_socket_connect (path, SOCK_STREAM, &fd) < 0)
    return error_set (err, ERROR_USAGE,
                      "no NBD server listens at %s, where keyfence serve puts it: give --uri URI",
                      path ? path : "the usual place");
  *ret_uri = socket_uri (path);
  return *ret_uri ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}

/* ---- the commands ---- */

/* The version of the key that the volume was wrapped with, where its header can be read. */
static void
find_version (const char *path, const char *key, char ret_version[WRAP_VERSION_MAX])
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  const struct token *token;
  struct error err = {0};

  ret_version[0] = '\0';
  if (!path || volume_open (path, false, &volume, &err) < 0
      || volume_load (&volume, true, &err) < 0)
    return;
  token = header_token (volume.header);
  for (size_t i = 0; i < token->wrap_count; i++)
    if (strcmp (token->wraps[i].key, key) == 0)
      snprintf (ret_version, WRAP_VERSION_MAX, "%s", token->wraps[i].key_version);
}

static int
find_commands (const struct drill_request *request, const struct json *status, struct texts *texts,
               struct error *err)
{
  const char *key = json_get_string (status, "key");
  char version[WRAP_VERSION_MAX];

  if (!request->preset) {
    texts->revoke = strdup (request->revoke);
    texts->restore = strdup (request->restore);
    return texts->revoke && texts->restore ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
  }
  if (!key)
    return error_set (err, ERROR_UNAVAILABLE, "the server does not say what its key is");
  find_version (json_get_string (status, "path"), key, version);
  return preset_commands (request->preset, key, version, &texts->revoke, &texts->restore, err);
}

/* "OFFSET:SIZE", both whole blocks. */
static int
parse_scratch (const char *text, struct drill_options *ret, struct error *err)
{
  CLEANUP_FREE char *copy = text ? strdup (text) : NULL;
  char *colon = copy ? strchr (copy, ':') : NULL;

  if (!text)
    return 0;
  if (!colon)
    return error_set (err, ERROR_USAGE, "--scratch %s: expected OFFSET:SIZE, as 0:1M", text);
  *colon = '\0';
  if (parse_size (copy, &ret->scratch_offset_bytes, err) < 0
      || parse_size (colon + 1, &ret->scratch_bytes, err) < 0)
    return error_prefix (err, "--scratch %s", text);
  if (ret->scratch_bytes == 0 || !is_aligned (ret->scratch_offset_bytes, NBD_BLOCK_BYTES)
      || !is_aligned (ret->scratch_bytes, NBD_BLOCK_BYTES))
    return error_set (err, ERROR_USAGE, "--scratch %s: expected multiples of %d bytes", text,
                      NBD_BLOCK_BYTES);
  return 0;
}

/* ---- before ---- */

static int
make_options (const struct drill_request *request, struct texts *texts, struct drill_options *ret,
              struct error *err)
{
  CLEANUP_JSON struct json *status = NULL;

  if (parse_scratch (request->scratch, ret, err) < 0
      || control_find (request->volume, &texts->socket_path, err) < 0
      || control_ask (texts->socket_path, "status", &status, err) < 0
      || find_commands (request, status, texts, err) < 0)
    return -1;
  if (!request->uri && find_uri (request->volume, status, &texts->uri, err) < 0)
    return -1;
  ret->volume = request->volume;
  ret->socket_path = texts->socket_path;
  ret->uri = request->uri ? request->uri : texts->uri;
  ret->revoke = texts->revoke;
  ret->restore = texts->restore;
  ret->limit_fence = request->limit_fence;
  ret->limit_recover = request->limit_recover;
  ret->max_fence_ms = request->max_fence_ms;
  ret->max_recover_ms = request->max_recover_ms;
  ret->hold_ms = request->hold_ms;
  ret->give_up_ms = request->give_up_ms;
  ret->command_timeout_ms = request->command_timeout_ms;
  ret->quiet = request->json;
  return 0;
}

static void
print_plan_text (const struct drill *drill)
{
  const struct drill_options *o = &drill->options;

  print_fact ("volume", "%s", json_get_string (drill->follow.first, "path"));
  print_fact ("uuid", "%s", json_get_string (drill->follow.first, "volume"));
  print_fact ("key", "%s", json_get_string (drill->follow.first, "key"));
  print_fact ("state", "%s", follow_state (&drill->follow));
  print_fact ("uri", "%s", o->uri);
  print_fact ("requests", "a read every %d ms%s", PROBE_EVERY_MS,
              o->scratch_bytes > 0 ? ", and a write" : "; no writes");
  if (o->scratch_bytes > 0)
    print_fact ("overwritten", "%" PRIu64 " bytes from byte %" PRIu64, o->scratch_bytes,
                o->scratch_offset_bytes);
  print_fact ("1. serve", "%g s", (double)o->hold_ms / 1000);
  print_fact ("2. revoke", "%s", o->revoke);
  print_fact ("3. wait", "for the fence, for %g s at most (the server's bound: %g s)",
              (double)o->give_up_ms / 1000, drill_number (drill->follow.first, "fence_bound_s"));
  print_fact ("4. hold", "%g s, fenced: no client is served", (double)o->hold_ms / 1000);
  print_fact ("5. restore", "%s", o->restore);
  print_fact ("6. wait", "to be served again, for %g s at most", (double)o->give_up_ms / 1000);
  print_fact ("7. settle", "for another %g s, and until a check has been good",
              (double)o->hold_ms / 1000);
  print_fact ("8. compare", "the data with those of before");
  print_line ("Nothing was done.");
}

static int
print_plan (const struct drill *drill, bool as_json, struct error *err)
{
  CLEANUP_JSON struct json *json = NULL;

  if (!as_json) {
    print_plan_text (drill);
    return EXIT_DONE;
  }
  json = json_object_new ();
  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  json_set_string (json, "report", "keyfence drill --plan");
  json_set_string (json, "volume", json_get_string (drill->follow.first, "volume"));
  json_set_string (json, "key", json_get_string (drill->follow.first, "key"));
  json_set_string (json, "uri", drill->options.uri);
  json_set_string (json, "revoke", drill->options.revoke);
  json_set_string (json, "restore", drill->options.restore);
  return print_json (json, err) < 0 ? -1 : EXIT_DONE;
}

/* A report that can't be written is known before anything is done. */
static int
check_report (const char *path, struct error *err)
{
  CLEANUP_FREE char *folder = path ? strdup (path) : NULL;
  char *slash = folder ? strrchr (folder, '/') : NULL;

  if (!path)
    return 0;
  if (slash)
    *(slash == folder ? slash + 1 : slash) = '\0';
  if (access (slash ? folder : ".", W_OK) < 0)
    return error_set (err, ERROR_USAGE, "--report %s: its folder can't be written to", path);
  return 0;
}

/* ---- afterwards ---- */

static void
warn_of_key (const struct drill *drill)
{
  if (!drill->key_in_doubt && !drill->fenced_at_end)
    return;
  fprintf (stderr, "\n*** %s ***\n",
           drill->key_in_doubt
               ? "THE KEY MAY STILL BE REVOKED: no restore command has succeeded"
               : "THE VOLUME IS STILL FENCED, though the restore command succeeded");
  fprintf (stderr, "*** Restore it by hand:\n\n    %s\n\n*** and see that it is served again:\n\n",
           drill->options.restore);
  fprintf (stderr, "    keyfence status %s\n\n", drill->options.volume);
}

static int
tell (const struct drill *drill, const struct drill_request *request, struct error *err)
{
  CLEANUP_JSON struct json *json = report_json (drill);
  int r = 0;

  warn_of_key (drill);
  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (request->report)
    r = report_write_page (drill, json, request->report, err);
  if (request->json && r == 0)
    r = print_json (json, err);
  else if (!request->json)
    report_print (drill);
  if (r == 0 && request->report && !request->json)
    print_fact ("report", "%s", request->report);
  return r;
}

static int
exit_code (const struct drill *drill, bool told)
{
  if (drill->fenced_at_end)
    return EXIT_FENCED;
  return drill->verdict == DRILL_PASSED && told ? EXIT_DONE : EXIT_FAILED;
}

int
drill_main (const struct drill_request *request, struct error *err)
{
  CLEANUP (texts_clear) struct texts texts = {0};
  CLEANUP_DRILL struct drill drill = {0};
  struct drill_options options = {0};
  int r;

  if (make_options (request, &texts, &options, err) < 0 || check_report (request->report, err) < 0)
    return -1;
  signals_catch ();
  if (drill_prepare (&options, &drill, err) < 0)
    return -1;
  if (request->plan)
    return print_plan (&drill, request->json, err);
  drill_run (&drill);
  r = tell (&drill, request, err);
  if (r < 0)
    print_error (err);
  return exit_code (&drill, r == 0);
}
