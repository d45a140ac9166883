/* The plugin's parameters: one table, from which parsing, help, `keyfence serve` and the manual's
 * list are made or checked.
 */
#ifndef NBD_PLUGIN_PARAMS_H
#define NBD_PLUGIN_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

enum cache_mode {
  CACHE_AUTO, /* none where the backing can do it, else writeback */
  CACHE_NONE,
  CACHE_WRITEBACK,
};

enum on_fence {
  ON_FENCE_ERROR, /* requests fail at once */
  ON_FENCE_STALL, /* they wait, until the volume has been fenced for stall_limit_ms */
};

/* Strings belong to who passed them in and must stay. */
struct params {
  const char *path;
  enum cache_mode cache;
  const char *engine;
  const char *crypto;
  bool discard;
  bool read_only;
  const char *control; /* NULL: the default place, where it can be written; "none": no socket */
  bool require_key;
  uint64_t check_interval_ms;
  uint64_t check_timeout_ms;
  uint64_t confirm_delay_ms;
  uint64_t grace_ms; /* 0: the first failed check fences */
  bool recover_manual;
  uint64_t recover_window_ms; /* 0: no limit */
  enum on_fence on_fence;
  uint64_t stall_limit_ms;
  int fence_errno;       /* what refused requests fail with: EIO, EPERM, ENOSPC */
  bool expiry_fences;    /* key-expiry=fence: a passed expiry date counts as a denial */
  const char *audit_log; /* NULL: none, as the two below */
  const char *hook;
  const char *notify_url;
  const char *uuid;         /* NULL: whatever volume is there */
  const char *agent;        /* NULL: the one that belongs to the plugin */
  const char *agent_socket; /* where one listens; NULL: one is started */
  int ready_fd;             /* -1: none */
};

struct param {
  const char *name;
  const char *values;  /* as the help shows them: "none|writeback", "PATH" */
  const char *initial; /* the default, in words; NULL when there is none */
  const char *help;    /* one line, without a full stop */
  int (*set) (struct params *params, const char *value, struct error *err);
};

extern const struct param params_table[]; /* ends with a NULL name */

/* All defaults. */
struct params params_default (void);

/* Sets one parameter from its text: ERROR_USAGE names the parameter, the value and what is allowed.
 */
int params_set (struct params *params, const char *name, const char *value, struct error *err)
    MUST_CHECK;

/* Whether all of them together make sense. */
int params_check (const struct params *params, struct error *err) MUST_CHECK;

/* The table's entry of that name, or NULL. */
const struct param *params_find (const char *name);

/* Whether its value is a path, which then may be a relative one. */
bool param_is_path (const struct param *param);

/* One line a parameter, as nbdkit --help shows it; a new string. */
char *params_help (void) MUST_CHECK;

#endif
