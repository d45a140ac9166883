/* Orders to the server of a volume, as fence or check now: sent over its control socket, and what
 * came of them.
 */
#ifndef TOOLS_ORDER_H
#define TOOLS_ORDER_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Sends `line` (the command, and behind a space what it takes along) to the server of `volume` (see
 * control_find), waits for the end of it for at most a minute, and prints what came of it, or with
 * `json` the server's answer.  Returns the exit code:
 *
 *   EXIT_DONE    it was done and left the volume active (after "fence": fenced)
 *   EXIT_FENCED  the volume is fenced, or the key's owner said no
 *   EXIT_GRACE   the volume is in grace
 *   EXIT_FAILED  it was not done, and the volume is as active as it was
 *
 * or -1 when no answer came or the server refused the command.
 */
int order_run (const char *line, const char *volume, bool json, struct error *err) MUST_CHECK;

/* `keyfence check` of a volume: the order "check". */
int order_check_volume (const char *volume, bool json, struct error *err) MUST_CHECK;

/* Whether a word that may mean a key or a volume is written as a key. */
bool order_names_key (const char *word);

#endif
