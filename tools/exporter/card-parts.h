/* The parts of a volume's card, in the order in which they stand there; each is left out when the
 * server has told nothing for it.
 */
#ifndef EXPORTER_CARD_PARTS_H
#define EXPORTER_CARD_PARTS_H

#include "tools/exporter/condition.h"
#include "tools/exporter/text.h"

/* The figures: lease, bound, checks, I/O. */
void card_tiles (const struct json *facts, double now_s, struct text *text);

/* What folds out: transitions (from the start when `open`), key operations, everything else. */
void card_transitions (const struct json *facts, bool open, const char *id, struct text *text);
void card_operations (const struct json *facts, const char *id, struct text *text);
void card_details (const struct json *facts, const char *id, struct text *text);

/* "12 s ago" and "in 3 min 20 s" in an element that app.js keeps running, `at_s` also as its title.
 */
void card_moment (double at_s, double now_s, struct text *text);

/* The same of a member that has a time; nothing when it has none.  Returns whether it has. */
bool card_moment_of (const struct json *facts, const char *member, const char *before, double now_s,
                     struct text *text);

#endif
