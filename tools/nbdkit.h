/* nbdkit as keyfence serve runs it: its command line, and its start. */
#ifndef TOOLS_NBDKIT_H
#define TOOLS_NBDKIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

/* Strings belong to others and must stay. */
struct nbdkit_plan {
  const char *path;    /* the volume */
  const char *socket;  /* a path; or */
  const char *port;    /* this; or neither: on the sockets that a service manager has opened */
  const char *pidfile; /* NULL: none */
  bool foreground, read_only;
  const char *const *parameters; /* NAME=VALUE */
  size_t parameter_count;
  char *const *options; /* more options of nbdkit; NULL-terminated */
};

/* The command line, quoted for a shell, as a new string. */
int nbdkit_dry_run (const struct nbdkit_plan *plan, char **ret_text, struct error *err) MUST_CHECK;

/* Becomes nbdkit; returns on failure only. */
int nbdkit_exec (const struct nbdkit_plan *plan, struct error *err) MUST_CHECK;

/* Starts nbdkit in the background and waits until its start-up is over.  *ret_status is the
 * plugin's status object.  What nbdkit said on stderr goes to ours or, its error, into *err.
 */
int nbdkit_start (const struct nbdkit_plan *plan, struct json **ret_status, struct error *err)
    MUST_CHECK;

#endif
