/* The snapshot as Prometheus reads it: text format 0.0.4, keyfence(1) lists the metrics.
 *
 * What a server did not tell, or what is no number where one belongs, is left out: no value is
 * better than a wrong one.
 */
#ifndef EXPORTER_METRICS_H
#define EXPORTER_METRICS_H

#include "tools/exporter/snapshot.h"
#include "tools/exporter/text.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_write (const struct snapshot *snapshot, struct text *text);

#endif
