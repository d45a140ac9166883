/* The live view of volumes: `keyfence status --watch`. */
#ifndef TOOLS_WATCH_H
#define TOOLS_WATCH_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Shows the volume of that name, or with NULL all that are served on this host, until the user
 * quits.  Where stdout is no terminal (or a dumb one), one plain block an interval is written,
 * until a signal ends the process or nobody reads it.  Returns 0 or -1.
 */
int watch_run (const char *name, uint64_t interval_ms, struct error *err) MUST_CHECK;

#endif
