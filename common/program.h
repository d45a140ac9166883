/* What every program that a process with keys starts has in common: posix_spawn and never fork, so
 * that no copy of this process's memory comes to be; a process group of its own, so that a
 * terminal's Ctrl-C stays away and a time-out reaches what it has started itself; no signal blocked
 * or ignored; no file descriptor but those that are given to it.
 */
#ifndef COMMON_PROGRAM_H
#define COMMON_PROGRAM_H

#include <spawn.h>
#include <sys/types.h>

#include "common/cleanup.h"

static inline void
cleanup_actions (posix_spawn_file_actions_t *actions)
{
  posix_spawn_file_actions_destroy (actions);
}
#define CLEANUP_ACTIONS CLEANUP (cleanup_actions)

/* Starts the program at `path` with these words, of which the first is its name.  `actions` set up
 * all descriptors below `fd_count`; those from there on are closed.  0, or a positive errno, that
 * of exec included.
 */
int program_start (const char *path, char *const words[], char *const environment[],
                   posix_spawn_file_actions_t *actions, int fd_count, pid_t *ret_pid) MUST_CHECK;

/* The same with this process's environment, nothing to read and `output_fd` to write to. */
int program_start_with_output (const char *path, char *const words[], int output_fd, pid_t *ret_pid)
    MUST_CHECK;

#endif
