/* The time line of a drill, as an SVG picture inside a page. */
#ifndef DRILL_PICTURE_H
#define DRILL_PICTURE_H

#include "tools/drill/drill.h"
#include "tools/exporter/text.h"

void picture_write (const struct drill *drill, struct text *text);

#endif
