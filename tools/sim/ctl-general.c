/* ctl-general.c owns the commands on faults and the log. */
#include <string.h>

#include "tools/sim/ctl.h"
#include "tools/sim/demo-env.h"
#include "tools/sim/log.h"

static int
run_fault (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *operation = ctl_option (words, "--op");

  if (operation && *operation && !sim_knows_operation (operation, ret_text))
    return error_set (err, ERROR_USAGE, "no operation is called '%.60s'; there are", operation);
  return faults_add (&sim->faults, words, err);
}

static int
run_faults (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  CLEANUP_JSON struct json *list = faults_print (&sim->faults);

  (void)words;
  *ret_text = json_print (list, true);
  return *ret_text ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}

static int
run_clear (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  (void)ret_text;
  return faults_clear (&sim->faults, ctl_word (words, 0), err);
}

static int
run_log (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  return log_command (sim, words, ret_text, err);
}

static int
run_env (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  return demo_env (sim, ctl_option (words, "--aws"), ctl_option (words, "--azure"), ret_text, err);
}

const struct ctl_command ctl_general[] = {
    {"fault", "KIND [VALUE] [--op NAME] [--key TEXT] [--count N] [--for TIME]", "switch a fault on",
     run_fault},
    {"faults", "", "the faults that are on", run_faults},
    {"clear", "[KIND]", "switch all faults off, or those of a kind", run_clear},
    {"log", "[--op NAME] [--key TEXT] [--outcome TEXT] [--count] [--clear]",
     "the requests seen, as JSON lines, or their number; --clear empties the log after that",
     run_log},
    {"env", "[--aws SOURCE] [--azure SOURCE]", "the same as demo-env", run_env},
    {NULL},
};
