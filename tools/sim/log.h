/* The log of requests: requests.jsonl in the state folder, one JSON object a line.
 *
 * Members: time, service, operation, key, outcome, status, request_id, principal, bytes_in,
 * bytes_out, duration_ms, and fault where one was applied.  Nothing secret is in it: no bodies,
 * tokens, signatures.
 */
#ifndef SIM_LOG_H
#define SIM_LOG_H

#include <stdint.h>

#include "common/error.h"
#include "common/json.h"
#include "tools/sim/sim.h"

int log_open (struct sim *sim, struct error *err) MUST_CHECK;

/* Appends a line, in one write. */
void log_exchange (const struct exchange *ex, uint64_t duration_ms);

/* The text of `ctl log [--op NAME] [--key TEXT] [--outcome TEXT] [--count] [--clear]`: a new
 * string. The caller holds sim->lock. */
int log_command (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
    MUST_CHECK;

#endif
