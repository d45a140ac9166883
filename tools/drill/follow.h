/* What the server itself says during a drill, by its control socket: its status now, and all state
 * changes and key operations since the start.  One thread.
 */
#ifndef DRILL_FOLLOW_H
#define DRILL_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

struct follow {
  const char *socket_path;
  uint64_t start_ms;     /* the drill's, on clock_ms () */
  int64_t start_unix_ms; /* the same moment on the wall clock */
  struct json *first;    /* the status at the start */
  struct json *last;     /* the last one that came */
  struct json *states;   /* arrays of what the server told, each with "at_ms" since the start */
  struct json *operations;
  int64_t last_answer_ms; /* since the start */
  bool gone;              /* nobody listens at the socket */
};

/* Asks for the first time. */
int follow_start (const char *socket_path, struct follow *ret, struct error *err) MUST_CHECK;
void follow_clear (struct follow *follow);

/* Asks again, waiting for a second at most.  Whether there was an answer. */
bool follow_poll (struct follow *follow);

int64_t follow_now_ms (const struct follow *follow);

/* Of the last status; "" when it has none. */
const char *follow_state (const struct follow *follow);

/* The first state change to `state`, or key operation with that class, not before `from_ms`;
 * DRILL_NEVER (figures.h) when there was none.
 */
int64_t follow_state_at (const struct follow *follow, const char *state, int64_t from_ms);
int64_t follow_operation_at (const struct follow *follow, const char *class, int64_t from_ms);

/* The first denial of an operation that had begun at `from_ms` or later. */
int64_t follow_denial_begun (const struct follow *follow, int64_t from_ms);

/* Whether the volume is active, and a whole check of its primary key was good: one that had begun
 * after `from_ms`, after the last denial, and after the volume had become active.
 */
bool follow_settled (const struct follow *follow, int64_t from_ms);

/* By how much the wall clock has been set since the start. */
int64_t follow_clock_set_ms (const struct follow *follow);

#endif
