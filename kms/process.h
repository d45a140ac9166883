/* The agent as a child process, or as a connection to one that listens: its start, its end, and how
 * often there may be either.
 *
 * A connection has all that a child has but the process id: it is asked for when it is needed, its
 * end is the agent's, and to close it is to kill the agent, which listen.h sees to at the other
 * end.
 *
 * Used by client.c in the thread whose turn it is, which alone writes.  `pid` and `fd` are atomic
 * so that kms_client_pid and kms_client_fd can read them, as a hint, while a call is under way.
 */
#ifndef KMS_PROCESS_H
#define KMS_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "kms/outcome.h"

#define AGENT_BACKOFF_MIN_MS 100
#define AGENT_BACKOFF_MAX_MS 10000 /* also the age at which an agent no longer dies young */
#define AGENT_STUCK_MAX 4
#define AGENT_KILL_MS 100

struct agent_process {
  char *path;              /* of the program or, … */
  bool connects;           /* … when this is true, of the socket at which it listens */
  _Atomic pid_t pid;       /* 0: none, or not ours */
  _Atomic int fd;          /* our end of its socket, or -1 */
  pthread_mutex_t closing; /* held while fd is closed, and by who interrupts */
  uint64_t started_ms;
  uint32_t backoff_ms; /* from one start to the next; 0: none */
  /* Killed, but not gone yet: most likely in an uninterruptible system call.  0: free. */
  pid_t stuck[AGENT_STUCK_MAX];
};

/* 0, or -1 when out of memory. */
int agent_process_init (struct agent_process *agent, const char *path, bool connects) MUST_CHECK;

/* The agent runs when this returns 0; else *outcome is KMS_OUTAGE with agent_backoff, agent_start
 * or agent_stuck.
 */
int agent_process_ensure (struct agent_process *agent, struct kms_outcome *outcome) MUST_CHECK;

/* SIGKILL for the agent and its children.  Waits for its end no longer than AGENT_KILL_MS: one that
 * takes longer is reaped by a later agent_process_ensure.
 */
void agent_process_kill (struct agent_process *agent);

/* Makes a call that is under way end at once, as by the agent's death.  From any thread. */
void agent_process_interrupt (struct agent_process *agent);

/* Closes the socket, which asks it to go; kills it when it has not within a second, and waits for
 * that for a second more.  Frees.
 */
void agent_process_clear (struct agent_process *agent);

#endif
