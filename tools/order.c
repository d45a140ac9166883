/* order.c owns what the operator's orders to a server lead to: time allowed, words, exit codes. */
#include "tools/order.h"

#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/json.h"
#include "common/parse.h"
#include "tools/command.h"
#include "tools/control.h"
#include "tools/print.h"
#include "tools/progress.h"
#include "tools/status.h"

/* An order may take the server some check-timeouts. */
#define ORDER_TIMEOUT_MS 60000

/* What the class of an order's result says about it. */
enum meaning {
  NOT_DONE, /* the volume's state says what it is like now */
  DONE,
  REFUSED_BY_OWNER,
  NEVER_TRIED,
};

static enum meaning
meaning_of (const char *class)
{
  static const struct {
    const char *class;
    enum meaning meaning;
  } meanings[] = {
      {"ok", DONE},          {"not_fenced", DONE},  {"denied", REFUSED_BY_OWNER},
      {"busy", NEVER_TRIED}, {"outage", NOT_DONE},  {"credentials", NOT_DONE},
      {"clock", NOT_DONE},   {"corrupt", NOT_DONE}, {"config", NOT_DONE},
  };

  for (size_t i = 0; class && i < ARRAY_SIZE (meanings); i++)
    if (strcmp (class, meanings[i].class) == 0)
      return meanings[i].meaning;
  return NOT_DONE;
}

static int
exit_code_of (const char *line, const struct json *answer, int state_code)
{
  const struct json *result = json_get (answer, "result");

  switch (meaning_of (json_get_string (result, "class"))) {
  case DONE:
    if (strncmp (line, "fence", 5) == 0)
      return state_code == EXIT_FENCED ? EXIT_DONE : EXIT_FAILED;
    return state_code;
  case REFUSED_BY_OWNER:
    return EXIT_FENCED;
  case NEVER_TRIED:
    return EXIT_FAILED;
  case NOT_DONE:
    break;
  }
  return state_code == EXIT_DONE ? EXIT_FAILED : state_code;
}

static const char *
text_of (const struct json *object, const char *name)
{
  const char *text = json_get_string (object, name);

  return text ? text : "";
}

static void
print_result (const struct json *result)
{
  const char *class = text_of (result, "class"), *reason = text_of (result, "reason");
  const char *detail = text_of (result, "detail"), *request_id = text_of (result, "request_id");
  bool same = !*reason || strcmp (class, reason) == 0;

  print_fact (text_of (result, "command"), "%s%s%s%s%s", class, same ? "" : ", ",
              same ? "" : reason, *detail ? ": " : "", detail);
  if (*request_id)
    print_fact ("request id", "%s", request_id);
}

int
order_run (const char *line, const char *volume, bool json, struct error *err)
{
  CLEANUP_FREE char *socket_path = NULL;
  CLEANUP_JSON struct json *answer = NULL;
  CLEANUP_PROGRESS struct progress *progress = NULL;
  int state_code;

  if (control_find (volume, &socket_path, err) < 0)
    return -1;
  progress = progress_start ("asking the server", 0);
  if (control_ask_within (socket_path, line, ORDER_TIMEOUT_MS, &answer, err) < 0
      || status_exit_code (answer, &state_code, err) < 0)
    return -1;
  progress_end (progress);
  progress = NULL;
  if (!json_is_object (json_get (answer, "result")))
    return error_set (err, ERROR_UNAVAILABLE,
                      "the server's answer does not say what came of it: are both of the same "
                      "version?");
  if (json && print_json (answer, err) < 0)
    return -1;
  if (!json) {
    status_print_state (answer);
    print_result (json_get (answer, "result"));
  }
  return exit_code_of (line, answer, state_code);
}

bool
order_names_key (const char *word)
{
  static const char *const schemes[] = {"arn:", "file:", "https:", "http:"};

  for (size_t i = 0; i < ARRAY_SIZE (schemes); i++)
    if (strncmp (word, schemes[i], strlen (schemes[i])) == 0)
      return true;
  return false;
}

int
order_check_volume (const char *volume, bool json, struct error *err)
{
  bool exists = strchr (volume, '/') || is_uuid (volume) || access (volume, F_OK) == 0;
  int r;

  r = order_run ("check", volume, json, err);
  if (r < 0 && err->class == ERROR_NOT_FOUND && !exists)
    return error_set (err, ERROR_USAGE,
                      "\"%s\" is neither the name of a key (file:///absolute/path, arn:aws:kms:… "
                      "or https://VAULT…/keys/NAME) nor a volume that is served",
                      volume);
  return r;
}
