/* The telling of a state change to somebody who may fail: up to three tries, 1 and 4 seconds apart,
 * given up when a newer state change waits; what came of it is told by the audit log, and a failure
 * by the log.
 */
#ifndef NBD_PLUGIN_TELL_TRIES_H
#define NBD_PLUGIN_TELL_TRIES_H

#include "nbd-plugin/tell/lane.h"

#define TRIES_WHY_MAX 256

/* One try: 0, or -1 and why not. */
typedef int try_fn (struct lane *lane, const struct record *record, char ret_why[TRIES_WHY_MAX]);

/* `event` ("hook") and `to` (what the results call the other side) are literals or live as long as
 * the lane.
 */
void tries_deliver (struct lane *lane, const struct record *record, const char *event,
                    const char *to, try_fn *once);

#endif
