/* Several machines at once: one that hangs or lies holds up none of the others. */
#ifndef TOOLS_MACHINES_MACHINES_H
#define TOOLS_MACHINES_MACHINES_H

#include <stddef.h>

#include "tools/machines/machine.h"

/* machine_resume for each socket, in a process of its own, which is killed a second after the
 * timeout.  A report for each, in their order.
 */
void machines_resume (const char *const *socket_paths, size_t count,
                      const struct machine_wish *wish, struct machine_report *ret_reports);

#endif
