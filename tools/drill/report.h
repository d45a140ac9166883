/* The reports of a drill: as JSON, in words, and as one HTML page without anything from elsewhere.
 */
#ifndef DRILL_REPORT_H
#define DRILL_REPORT_H

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"
#include "tools/drill/drill.h"

/* Everything; a new object, or NULL when out of memory. */
struct json *report_json (const struct drill *drill) MUST_CHECK;

/* The figures and checks, on stdout. */
void report_print (const struct drill *drill);

/* Writes the page to `path`, whole or not at all.  `json` is report_json's: the page shows it as
 * json_print makes it (pretty, and a newline behind it), with the SHA-256 of those bytes.
 */
int report_write_page (const struct drill *drill, const struct json *json, const char *path,
                       struct error *err) MUST_CHECK;

/* "passed", "failed", "interrupted", "fenced". */
const char *report_result (const struct drill *drill);

#endif
