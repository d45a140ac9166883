/* cmd-check.c owns `keyfence check`. */
#include <stdlib.h>
#include <string.h>

#include "tools/arguments.h"
#include "tools/key-service.h"
#include "tools/print.h"
#include "tools/progress.h"

enum { REGION, JSON };

static const struct option_spec options[] = {
    [REGION] = {"region", "REGION", "where the data is, as the key's cloud names it"},
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

    print_line ("%s  %s: %s", kms_verdict_name (line->verdict), line->name, line->detail);
    if (*line->mend)
      print_line ("      to mend it: %s", line->mend);
  }
}

static int
print_report_json (const char *key, const struct kms_report *report, struct error *err)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  struct json *lines;

  if (!json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  json_set_string (json, "key", key);
  json_set_bool (json, "usable", !has_failed (report));
  lines = json_set_array (json, "checks");
  for (size_t i = 0; i < report->count; i++) {
    struct json *line = json_append_object (lines);

    json_set_string (line, "verdict", kms_verdict_name (report->lines[i].verdict));
    json_set_string (line, "name", report->lines[i].name);
    json_set_string (line, "detail", report->lines[i].detail);
    json_set_string (line, "mend", *report->lines[i].mend ? report->lines[i].mend : NULL);
  }
  return print_json (json, err);
}

static int
ask (const char *key, const char *region, struct kms_report *report, struct kms_outcome *outcome,
     struct error *err)
{
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_PROGRESS struct progress *progress = progress_start ("asking the key service", 0);

  if (key_service_open (&client, err) < 0)
    return -1;
  if (kms_client_inspect (client, key, region, KEY_SERVICE_TIMEOUT_MS, report, outcome) < 0)
    return kms_outcome_error (outcome, err);
  return 0;
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_FREE struct kms_report *report = calloc (1, sizeof *report);
  const char *key = args->operands[0];
  struct kms_outcome outcome = {0};

  if (!report)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (ask (key, args->options[REGION], report, &outcome, err) < 0)
    return -1;
  if (!args->options[JSON])
    print_report (report);
  else if (print_report_json (key, report, err) < 0)
    return -1;
  if (is_denied (report))
    return EXIT_FENCED;
  return has_failed (report) ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_check = {
    .name = "check",
    .summary = "test a key before it is used",
    .details = "Prints one line for each requirement, and how to mend what fails. KEY is written "
               "as file:///absolute/path, arn:aws:kms:REGION:ACCOUNT:key/ID or "
               "https://VAULT.vault.azure.net/keys/NAME. Exit code: 0 usable, 1 not usable, 3 the "
               "key's owner denies it.",
    .operands = {{"KEY", VALUE_KEY}},
    .options = options,
    .run = run,
};
