/* Inside of telling: the teller itself, and what its ways of telling have in common. */
#ifndef NBD_PLUGIN_TELL_TELLER_H
#define NBD_PLUGIN_TELL_TELLER_H

#include <stdatomic.h>

#include "nbd-plugin/tell.h"
#include "nbd-plugin/tell/lane.h"
#include "nbd-plugin/tell/record.h"

/* In the order in which they are stopped: each may have something to tell by those behind it. */
enum { LANE_SYSTEMD, LANE_HOOK, LANE_NOTIFY, LANE_AUDIT, LANE_LOG, LANE_COUNT };

extern const struct lane_work work_systemd, work_hook, work_notify, work_audit, work_log;

struct teller {
  atomic_uint refs; /* of its owner and of each thread: a thread that hangs may outlive tell_stop */
  struct about about;
  struct lane lanes[LANE_COUNT];
};

/* Puts it into every lane that wants it, and drops the caller's reference.  NULL: it is counted as
 * dropped.
 */
void teller_put (struct teller *teller, struct record *record, enum record_kind kind);

/* A line for the log, told by its lane. */
void teller_log (struct teller *teller, bool error, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

void teller_unref (struct teller *teller);

#endif
