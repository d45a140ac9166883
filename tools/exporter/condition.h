/* The condition of a volume as the exporter shows it: the server's state, or that there is no
 * server that tells one.  Worse comes first.
 */
#ifndef EXPORTER_CONDITION_H
#define EXPORTER_CONDITION_H

#include "tools/exporter/snapshot.h"

enum condition {
  CONDITION_FENCED,
  CONDITION_SILENT, /* no server answers */
  CONDITION_GRACE,
  CONDITION_UNKNOWN, /* a state that this program does not know */
  CONDITION_ACTIVE,
};
#define CONDITION_COUNT 5

/* Of a volume; and of a state's name (NULL: unknown). */
enum condition condition_of (const struct volume *volume);
enum condition condition_from_state (const char *state);

/* "fenced", "no answer", "grace", "unknown", "active": for people. */
const char *condition_word (enum condition condition);

/* The same in one word, for classes and file names: "silent" instead of "no answer". */
const char *condition_name (enum condition condition);

/* Of the icon, as "#rrggbb". */
const char *condition_colour (enum condition condition);

/* The worst of all volumes; CONDITION_ACTIVE where there is none. */
enum condition condition_worst (const struct snapshot *snapshot);

#endif
