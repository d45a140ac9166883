/* A drill: a key is taken away from a volume that is served, and given back, and what that does is
 * measured.  What is asked for, what came of it, and the running of it.
 */
#ifndef DRILL_DRILL_H
#define DRILL_DRILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"
#include "tools/drill/figures.h"
#include "tools/drill/follow.h"
#include "tools/drill/prober.h"
#include "tools/drill/shell.h"

#define DRILL_CHECKS_MAX 16
#define DRILL_COMMANDS_MAX 4 /* one revocation, and up to DRILL_RESTORES of the other */
#define DRILL_RESTORES 3

/* Strings belong to others and must stay. */
struct drill_options {
  const char *volume; /* as the user named it */
  const char *socket_path, *uri;
  const char *revoke, *restore;
  bool limit_fence, limit_recover;
  uint64_t max_fence_ms, max_recover_ms;
  uint64_t scratch_offset_bytes, scratch_bytes;
  uint64_t hold_ms;            /* before the revocation, while fenced, and after the recovery */
  uint64_t command_timeout_ms; /* of each command */
  uint64_t give_up_ms;         /* for the fence, and for the recovery */
  bool quiet;                  /* nothing on stdout */
};

enum drill_verdict { DRILL_PASSED, DRILL_FAILED, DRILL_NOT_JUDGED };

struct drill_check {
  const char *name; /* a literal */
  enum drill_verdict verdict;
  char text[256];
};

struct drill_command {
  const char *what; /* "revoke" or "restore"; a literal */
  int64_t started_ms, ended_ms;
  struct shell shell;
};

struct drill {
  struct drill_options options;
  struct follow follow;
  struct prober *prober; /* stopped when the drill is over */
  struct drill_command commands[DRILL_COMMANDS_MAX];
  size_t command_count;
  struct moments moments;
  struct figures figures;
  struct prober_data data;
  struct drill_check checks[DRILL_CHECKS_MAX];
  size_t check_count;
  uint64_t others_writes; /* while the drill ran, as far as the server knows */
  int64_t ended_ms;
  int64_t clock_set_ms;
  int interrupted_by; /* a signal, or 0 */
  char trouble[256];  /* what ended the drill before its time, or "" */
  bool key_in_doubt;  /* it was revoked, and no restore command has succeeded */
  bool fenced_at_end;
  enum drill_verdict verdict;
};

/* Looks at the volume, changes nothing: -1 when it is not as it must be to begin. */
int drill_prepare (const struct drill_options *options, struct drill *ret, struct error *err)
    MUST_CHECK;

/* All of it.  Whatever happens after the revocation has begun, the restore command runs. */
void drill_run (struct drill *drill);

/* Judges what drill_run has left (judge.c). */
void drill_judge (struct drill *drill);

void drill_clear (struct drill *drill);
#define CLEANUP_DRILL CLEANUP (drill_clear)

/* The status object's number, or 0. */
double drill_number (const struct json *status, const char *name);

#endif
