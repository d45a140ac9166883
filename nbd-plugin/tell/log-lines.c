/* log-lines.c owns the lines of the log: one for each state change, and what telling itself has to
 * say.  It has a lane of its own, since stderr may be a pipe that nobody empties.
 */
#include <string.h>

#include "nbd-plugin/log.h"
#include "nbd-plugin/tell/teller.h"

static int
log_open (const struct tell_params *params, void **ret_self, struct error *err)
{
  static char always;

  (void)params;
  (void)err;
  *ret_self = &always;
  return 0;
}

/* "; key K" or nothing. */
#define OPTIONAL(label, text) (text)[0] ? (label) : "", (text)

static void
log_change (const struct tell_change *change, const char *path)
{
  bool good = strcmp (change->state, "active") == 0;

  (good ? log_notice : log_error) ("%s: %s, was %s: %s%s%s%s%s%s%s", path, change->state,
                                   change->from, change->reason, OPTIONAL (": ", change->detail),
                                   OPTIONAL ("; key ", change->key),
                                   OPTIONAL ("; request ", change->request_id));
}

static void
log_deliver (struct lane *lane, const struct record *record)
{
  if (record->kind == RECORD_CHANGE)
    log_change (&record->change, lane->teller->about.path);
  else
    (record->line.error ? log_error : log_notice) ("%s", record->line.text);
}

static void
log_close (void *self)
{
  (void)self;
}

const struct lane_work work_log = {
    .name = "log",
    .kinds = RECORD_BIT (RECORD_CHANGE) | RECORD_BIT (RECORD_LINE),
    .open = log_open,
    .deliver = log_deliver,
    .close = log_close,
};
