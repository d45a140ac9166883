/* Feeds what a server may answer to the exporter: whatever it is, metrics stay metrics and the page
 * stays the page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/exporter-check.h"
#include "tools/exporter/metrics.h"
#include "tools/exporter/page.h"

static void
check (const struct snapshot *snapshot, void (*write) (const struct snapshot *, struct text *),
       const char *(*fault) (const char *))
{
  CLEANUP_TEXT struct text text = {0};
  const char *found;

  write (snapshot, &text);
  found = text.failed ? "out of memory" : fault (text.bytes);
  if (found) {
    fprintf (stderr, "%s in:\n%s\n", found, text.bytes);
    abort ();
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  CLEANUP_FREE char *answer = strndup ((const char *)data, size);
  CLEANUP_JSON struct json *facts = NULL;
  char name[] = "v", path[] = "/run/keyfence/v.sock", folder[] = "/run/keyfence";
  const char *why = "";
  struct volume volume = {.name = name, .path = path};
  struct snapshot snapshot = {
      .time_unix_ms = 1800000000000, .folder = folder, .volumes = &volume, .count = 1};

  if (!answer)
    return 0;
  facts = snapshot_parse (answer, &why);
  volume.facts = facts;
  volume.error = facts ? NULL : (char *)(uintptr_t)why;
  check (&snapshot, metrics_write, metrics_fault);
  check (&snapshot, page_write, page_fault);
  return 0;
}
