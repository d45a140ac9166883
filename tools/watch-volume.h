/* The picture of one volume in a live view. */
#ifndef TOOLS_WATCH_VOLUME_H
#define TOOLS_WATCH_VOLUME_H

#include "tools/screen.h"
#include "tools/watched.h"

/* Everything that is known of it, in the rows that are left; what matters most comes first. */
void watch_put_volume (struct screen *screen, const struct watched *watched);

#endif
