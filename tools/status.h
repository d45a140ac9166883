/* The status object of a server: what the states mean for exit codes, and its form for people. */
#ifndef TOOLS_STATUS_H
#define TOOLS_STATUS_H

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

/* active 0, fenced 3, grace 4; ERROR_UNAVAILABLE for an object without a state that we know. */
int status_exit_code (const struct json *status, int *ret_code, struct error *err) MUST_CHECK;

/* The facts that are there, one a line; and only those that say which volume it is, its state, and
 * why.
 */
void status_print (const struct json *status);
void status_print_state (const struct json *status);

#endif
