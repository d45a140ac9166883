/* cmd-check.c owns `keyfence check`. */
#include <stdlib.h>
#include <string.h>

#include "common/parse.h"
#include "common/text.h"
#include "tools/arguments.h"
#include "tools/key-service.h"
#include "tools/order.h"
#include "tools/print.h"
#include "tools/progress.h"
#include "tools/volume.h"

/* For the whole report.  A service that needs longer than this would not serve a volume either. */
#define TIMEOUT_MS 15000

enum { REGION, RUN_ONLY, VOLUME, JSON };

static const struct option_spec options[] = {
    [REGION] = {"region", "REGION", "where the data is, as the key's cloud names it"},
    [RUN_ONLY] = {"run-only", NULL,
                  "only what running a volume needs: an identity that may not create one passes"},
    [VOLUME] =
        {"volume", "UUID|PATH",
         "for that volume: by its encryption context, and of a PATH its own probe is unwrapped",
         VALUE_FILE},
    [JSON] = {"json", NULL, "print the facts as one JSON object"},
    {NULL},
};

static bool
has_failed (const struct kms_report *report)
{
  for (size_t i = 0; i < report->count; i++)
    if (report->lines[i].verdict == KMS_FAIL)
      return true;
  return false;
}

static bool
is_denied (const struct kms_report *report)
{
  for (size_t i = 0; i < report->count; i++)
    if (report->lines[i].denied)
      return true;
  return false;
}

static void
print_report (const struct kms_report *report)
{
  for (size_t i = 0; i < report->count; i++) {
    const struct kms_report_line *line = &report->lines[i];

    print_line ("%s  %s: %s%s%s%s", kms_verdict_name (line->verdict), line->name, line->detail,
                *line->request_id ? " (request id " : "", line->request_id,
                *line->request_id ? ")" : "");
    if (*line->mend)
      print_line ("      to mend it: %s", line->mend);
  }
}

static int
print_report_json (const struct kms_inspection *what, const struct kms_report *report,
                   struct error *err)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  struct json *lines;

  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  json_set_string (json, "key", what->key);
  json_set_string (json, "volume", what->volume);
  json_set_bool (json, "run_only", what->run_only);
  json_set_bool (json, "usable", !has_failed (report));
  lines = json_set_array (json, "checks");
  for (size_t i = 0; i < report->count; i++) {
    const struct kms_report_line *line = &report->lines[i];
    struct json *item = json_append_object (lines);

    json_set_string (item, "verdict", kms_verdict_name (line->verdict));
    json_set_string (item, "name", line->name);
    json_set_string (item, "detail", line->detail);
    json_set_string (item, "mend", *line->mend ? line->mend : NULL);
    json_set_string (item, "request_id", *line->request_id ? line->request_id : NULL);
  }
  return print_json (json, err);
}

/* ---- the volume ---- */

/* A key without its version is the key of each version's wraps; grant tokens are not stored. */
static bool
is_by (const struct wrap *wrap, const char *key)
{
  size_t length = strcspn (key, "?");

  return strncmp (wrap->key, key, length) == 0
         && (wrap->key[length] == '\0' || wrap->key[length] == '/');
}

static int
no_wrap (const struct volume *volume, const char *key, struct error *err)
{
  const struct token *token = header_token (volume->header);
  char keys[WRAP_KEY_MAX] = "none";

  for (size_t i = 0; token && i < token->wrap_count; i++) {
    char others[sizeof keys];

    memcpy (others, keys, sizeof others);
    text_print (keys, sizeof keys, "%s%s%s", i ? others : "", i ? ", " : "", token->wraps[i].key);
  }
  return error_set (err, ERROR_USAGE,
                    "%s has no wrap by %s: name the key as the volume does (its keys: %s)",
                    volume->path, key, keys);
}

/* `name` is a uuid or a path; what is filled in of *what belongs to *volume. */
static int
find_volume (const char *name, struct volume *volume, struct kms_inspection *what,
             struct error *err)
{
  const struct token *token;

  if (is_uuid (name)) {
    what->volume = name;
    return 0;
  }
  if (volume_open (name, false, volume, err) < 0 || volume_load_copy (volume, err) < 0)
    return -1;
  what->volume = header_info (volume->header)->uuid;
  token = header_token (volume->header);
  for (size_t i = 0; token && i < token->wrap_count && !what->wrap; i++)
    if (is_by (&token->wraps[i], what->key))
      what->wrap = &token->wraps[i];
  return what->wrap ? 0 : no_wrap (volume, what->key, err);
}

/* ---- asking ---- */

static int
ask (const struct kms_inspection *what, struct kms_report *report, struct error *err)
{
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_PROGRESS struct progress *progress = progress_start ("asking the key service", 0);
  struct kms_outcome outcome = {0};

  if (key_service_open (&client, err) < 0)
    return -1;
  if (kms_client_inspect (client, what, TIMEOUT_MS, report, &outcome) < 0)
    return kms_outcome_error (&outcome, err);
  return 0;
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_FREE struct kms_report *report = calloc (1, sizeof *report);
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  struct kms_inspection what = {
      .key = args->operands[0],
      .region = args->options[REGION],
      .run_only = args->options[RUN_ONLY] != NULL,
  };

  if (!report)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (args->options[VOLUME] && find_volume (args->options[VOLUME], &volume, &what, err) < 0)
    return -1;
  if (ask (&what, report, err) < 0)
    return -1;
  if (!args->options[JSON])
    print_report (report);
  else if (print_report_json (&what, report, err) < 0)
    return -1;
  if (is_denied (report))
    return EXIT_FENCED;
  return has_failed (report) ? EXIT_FAILED : EXIT_DONE;
}

static int
run_either (const struct arguments *args, struct error *err)
{
  if (order_names_key (args->operands[0]))
    return run (args, err);
  for (size_t i = 0; i < JSON; i++)
    if (args->options[i])
      return error_set (err, ERROR_USAGE, "--%s goes with a key, and \"%s\" is not the name of one",
                        options[i].name, args->operands[0]);
  return order_check_volume (args->operands[0], args->options[JSON], err);
}

const struct command command_check = {
    .name = "check",
    .summary = "test a key before it is used, or check a served volume's key now",
    .details =
        "Prints one line for each requirement of a key, and how to mend what fails. A key "
        "is written as file:///absolute/path, arn:aws:kms:REGION:ACCOUNT:key/ID or "
        "https://VAULT.vault.azure.net/keys/NAME. A service that is slow gets 15 seconds for "
        "all of it. Exit code: 0 usable, 1 not usable, 3 the key's owner denies it.\nFor anything "
        "else, a volume that is served (its path, "
        "uuid, label or control socket), the server asks for its key now, and what came of "
        "it is printed. Exit code: 0 active, 3 fenced or denied, 4 grace, 1 not checked.",
    .operands = {{"KEY|VOLUME", VALUE_KEY_OR_VOLUME}},
    .options = options,
    .run = run_either,
};
