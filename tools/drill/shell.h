/* The operator's command lines: run by /bin/sh -c as they were typed, in a process group of their
 * own that no Ctrl-C of the terminal reaches, within a time-out.
 */
#ifndef DRILL_SHELL_H
#define DRILL_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

#define SHELL_OUTPUT_MAX 2048

struct shell {
  const char *line;
  pid_t pid;           /* 0: does not run */
  int output_fd;       /* what it says, both ways */
  uint64_t end_by_ms;  /* on clock_ms () */
  uint64_t kill_by_ms; /* 0: nobody has told it to end */
  bool timed_out;
  int exit_status;               /* as shells count: 128 + n for signal n */
  char output[SHELL_OUTPUT_MAX]; /* its last part, cleaned; after the end */
};

/* `line` must stay. */
int shell_start (const char *line, uint64_t timeout_ms, struct shell *ret, struct error *err)
    MUST_CHECK;

/* Whether it has ended; ends what has run for too long. */
bool shell_ended (struct shell *shell) MUST_CHECK;

/* Tells it to end: SIGTERM, and SIGKILL after two seconds.  To be followed by shell_ended. */
void shell_stop (struct shell *shell);

bool shell_succeeded (const struct shell *shell);

#endif
