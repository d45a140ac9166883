/* One volume on the page. */
#ifndef EXPORTER_CARD_H
#define EXPORTER_CARD_H

#include "tools/exporter/snapshot.h"
#include "tools/exporter/text.h"

void card_write (const struct volume *volume, double now_s, struct text *text);

#endif
