/* The picture of `keyfence status --watch`. */
#ifndef TOOLS_WATCH_VIEW_H
#define TOOLS_WATCH_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "tools/screen.h"
#include "tools/watched.h"

/* Draws one frame: of several volumes a list, and below it volume number `selected` (smaller than
 * the count, or 0) in full.
 */
void watch_view_draw (struct screen *screen, const struct watched_set *set, size_t selected,
                      uint64_t interval_ms);

#endif
