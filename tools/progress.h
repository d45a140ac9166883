/* A line on the terminal for work that takes longer than a second: what is done, how far it is,
 * how long it takes.  Nothing is shown where stderr is no terminal.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdint.h>

#include "common/cleanup.h"

struct progress;

/* Starts a thread that shows the line, from the first second on; `what` must stay.  `total` is in
 * any unit; 0: not known, the seconds are counted instead.  NULL (which all functions accept) when
 * there is nobody to show it to.
 */
struct progress *progress_start (const char *what, uint64_t total);

void progress_set (struct progress *progress, uint64_t done);

/* Removes the line. */
void progress_end (struct progress *progress);
void cleanup_progress (struct progress **progress);
#define CLEANUP_PROGRESS CLEANUP (cleanup_progress) __attribute__ ((unused))

#endif
