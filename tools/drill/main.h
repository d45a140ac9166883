/* `keyfence drill`, from what the command line says to the exit code. */
#ifndef DRILL_MAIN_H
#define DRILL_MAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define DRILL_PRESETS "aws azure sim file"

/* Texts are as they were typed; NULL: not given. */
struct drill_request {
  const char *volume, *revoke, *restore, *preset, *uri, *scratch, *report;
  bool json, plan, limit_fence, limit_recover;
  uint64_t max_fence_ms, max_recover_ms, hold_ms, give_up_ms, command_timeout_ms;
};

/* The exit code, or -1 when the drill did not begin. */
int drill_main (const struct drill_request *request, struct error *err) MUST_CHECK;

#endif
