/* Programs of the system (mount, losetup …) run to their end.  Never by a shell. */
#ifndef ATTACH_RUN_H
#define ATTACH_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

/* The path of a program in PATH or, as ordinary users' PATH has none of them, a folder of the
 * system's own; a new string.  ERROR_NOT_FOUND names the Debian package that has it.
 */
int run_find (const char *name, const char *package, char **ret_path, struct error *err) MUST_CHECK;

/* Runs it and waits for its end.  *ret_output (may be NULL) is what it wrote to stdout and stderr,
 * without white space at its end.  -1 when it fails, with what it said as the error's text, or is
 * not done within `timeout_ms`.
 */
int run_program (const char *path, const char *const words[], uint64_t timeout_ms,
                 char **ret_output, struct error *err) MUST_CHECK;

/* Starts a program that stays; what it says goes to `output_fd`.  It gets the memory of last
 * resort, since the file system's write-back depends on it (prctl PR_SET_IO_FLUSHER).
 */
int run_start (const char *path, const char *const words[], int output_fd, pid_t *ret_pid,
               struct error *err) MUST_CHECK;

/* Whether process `pid` runs and has `mark` in its command line: who has taken a dead process's
 * number over is another.
 */
bool run_is (pid_t pid, const char *mark);

/* Ends such a process: SIGTERM, and SIGKILL after `patience_ms`.  0 when it is gone. */
int run_stop (pid_t pid, const char *mark, uint64_t patience_ms, struct error *err) MUST_CHECK;

#endif
