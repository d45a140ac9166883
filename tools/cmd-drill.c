/* cmd-drill.c owns `keyfence drill`. */
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "config.h"
#include "tools/arguments.h"
#include "tools/control.h"
#include "tools/drill/main.h"

enum {
  REVOKE,
  RESTORE,
  PRESET,
  URI,
  SCRATCH,
  MAX_FENCE,
  MAX_RECOVER,
  HOLD,
  GIVE_UP,
  COMMAND_TIMEOUT,
  REPORT,
  JSON,
  PLAN
};

static const struct option_spec options[] = {
    [REVOKE] = {"revoke", "COMMAND", "what takes the key away, for /bin/sh -c"},
    [RESTORE] = {"restore", "COMMAND", "what gives it back; must do no harm when it is there"},
    [PRESET] = {"preset", "NAME", "both for the volume's key: by the tools of its service",
                VALUE_CHOICE, DRILL_PRESETS},
    [URI] = {"uri", "URI", "of the NBD server, unless it is where keyfence serve puts it"},
    [SCRATCH] = {"scratch", "OFFSET:SIZE",
                 "a range of the disk to write to; WHAT IS THERE IS LOST (default: only reads)"},
    [MAX_FENCE] = {"max-fence", "TIME",
                   "fail when requests are served for longer after the revoke command"},
    [MAX_RECOVER] = {"max-recover", "TIME",
                     "fail when the first request is served later after the restore command"},
    [HOLD] = {"hold", "TIME", "to go on before, while fenced, and afterwards (default: 3s)"},
    [GIVE_UP] = {"give-up", "TIME",
                 "to wait at most for the fence, and for the recovery (default: 5m)"},
    [COMMAND_TIMEOUT] = {"command-timeout", "TIME", "for each command (default: 60s)"},
    [REPORT] = {"report", "FILE", "write the report as one HTML page", VALUE_FILE},
    [JSON] = {"json", NULL, "print the report as one JSON object"},
    [PLAN] = {"plan", NULL, "print what would be done, and do nothing"},
    {NULL},
};

static int
take_time (const struct arguments *args, unsigned option, uint64_t *ret_ms, struct error *err)
{
  if (!args->options[option])
    return 0;
  if (parse_duration (args->options[option], ret_ms, err) < 0)
    return error_prefix (err, "--%s", options[option].name);
  return 0;
}

static int
take_times (const struct arguments *args, struct drill_request *request, struct error *err)
{
  request->limit_fence = args->options[MAX_FENCE];
  request->limit_recover = args->options[MAX_RECOVER];
  if (take_time (args, MAX_FENCE, &request->max_fence_ms, err) < 0
      || take_time (args, MAX_RECOVER, &request->max_recover_ms, err) < 0
      || take_time (args, HOLD, &request->hold_ms, err) < 0
      || take_time (args, GIVE_UP, &request->give_up_ms, err) < 0)
    return -1;
  return take_time (args, COMMAND_TIMEOUT, &request->command_timeout_ms, err);
}

static int
check_commands (const struct drill_request *request, struct error *err)
{
  if (!request->preset && (!request->revoke || !request->restore))
    return error_set (
        err, ERROR_USAGE,
        "a drill needs both --revoke COMMAND and --restore COMMAND, or --preset NAME");
  if (request->preset && (request->revoke || request->restore))
    return error_set (err, ERROR_USAGE, "--preset excludes --revoke and --restore");
  return 0;
}

static int
run (const struct arguments *args, struct error *err)
{
  struct drill_request request = {.volume = args->operands[0],
                                  .revoke = args->options[REVOKE],
                                  .restore = args->options[RESTORE],
                                  .preset = args->options[PRESET],
                                  .uri = args->options[URI],
                                  .scratch = args->options[SCRATCH],
                                  .report = args->options[REPORT],
                                  .json = args->options[JSON],
                                  .plan = args->options[PLAN],
                                  .hold_ms = 3000,
                                  .give_up_ms = 300000,
                                  .command_timeout_ms = 60000};

  if (check_commands (&request, err) < 0 || take_times (args, &request, err) < 0)
    return -1;
#if HAVE_DRILL
  return drill_main (&request, err);
#else
  return error_set (err, ERROR_SYSTEM, "this program was built without libnbd, and has no drill");
#endif
}

const struct command command_drill = {
    .name = "drill",
    .summary = "take a served volume's key away and give it back, and measure it",
    .details = "Plays a client that asks ten times a second. The volume is NOT SERVED for a while: "
               "for all of its clients. Whatever happens, the restore command is run at the end. "
               "Exit code: 0 all checks passed; 1 one failed; 3 the volume is still fenced.",
    .operands = {{"VOLUME", VALUE_VOLUME}},
    .options = options,
    .run = run,
};
