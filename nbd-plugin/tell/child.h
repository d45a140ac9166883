/* A program that is run and waited for, within a time: no shell, no fork of this process (which
 * holds keys), a process group of its own, and nothing of ours but what is named here.
 */
#ifndef NBD_PLUGIN_TELL_CHILD_H
#define NBD_PLUGIN_TELL_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct child {
  char *const *words; /* the program's absolute path and its arguments, NULL at the end */
  char *const *environment;
  int io_fd; /* its stdin and stdout; -1: /dev/null, and its stdout goes where stderr goes */
  uint32_t limit_ms;
  const atomic_bool *abandoned; /* turns true when it is to be ended at once */
};

#define CHILD_WHY_MAX 256

/* 0 when it has ended with status 0; else -1 and why not, for people ("it ended with status 3").
 * When its time is over its process group is killed; what has left the group, or goes on after its
 * end, is left alone.  It is reaped when this returns.
 */
int child_run (const struct child *child, char ret_why[CHILD_WHY_MAX]) MUST_CHECK;

#endif
