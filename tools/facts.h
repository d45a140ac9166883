/* The facts of a volume's header as a JSON object: what create, adopt and inspect print. */
#ifndef TOOLS_FACTS_H
#define TOOLS_FACTS_H

#include "common/cleanup.h"
#include "common/error.h"
#include "common/wrap.h"
#include "tools/volume.h"

/* "primary", "secondary". */
const char *facts_role_name (enum wrap_role role);

/* Prints them; the volume's header must be loaded. */
int facts_print_json (const struct volume *volume, struct error *err) MUST_CHECK;

/* What create and adopt say at the end: the object (`json`), or "VERB PATH: SIZE, uuid UUID" and
 * how it is served, by its configuration where it was named by that (else NULL).  Loads the header
 * again.
 */
int facts_print_done (const char *verb, const char *path, const char *config, bool json,
                      struct error *err) MUST_CHECK;

#endif
