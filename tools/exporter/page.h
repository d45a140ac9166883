/* The snapshot as people read it: one HTML page that needs nothing but /page.css and, to be renewed
 * without blinking, /app.js.
 */
#ifndef EXPORTER_PAGE_H
#define EXPORTER_PAGE_H

#include "tools/exporter/snapshot.h"
#include "tools/exporter/text.h"

void page_write (const struct snapshot *snapshot, struct text *text);

#endif
