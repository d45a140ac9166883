/* A lane: one way of telling, with a bounded queue and a thread of its own, so that what hangs in
 * one holds up no other.
 *
 * Who puts a record in holds a mutex for a few instructions and never waits for the thread.  When
 * the queue is full the lowest kind goes first (operations, then events and results, then state
 * changes; the oldest of its kind), and is counted.
 */
#ifndef NBD_PLUGIN_TELL_LANE_H
#define NBD_PLUGIN_TELL_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nbd-plugin/tell.h"
#include "nbd-plugin/tell/record.h"

#define LANE_QUEUE_MAX 256 /* records */

struct lane;

/* One way of telling.  deliver and finish run in the lane's thread and may block. */
struct lane_work {
  const char *name; /* as the records of what was dropped call it */
  unsigned kinds;   /* RECORD_BIT of what it takes */
  /* *ret_self is NULL, and it is no error, when `params` don't want it. */
  int (*open) (const struct tell_params *params, void **ret_self, struct error *err);
  void (*deliver) (struct lane *lane, const struct record *record);
  void (*finish) (struct lane *lane); /* after the last record, unless abandoned; may be NULL */
  void (*close) (void *self);         /* NULL is accepted */
};

struct lane {
  const struct lane_work *work;
  void *self;            /* what work->open made; NULL: the lane is not wanted */
  struct teller *teller; /* which the thread has a reference to */
  pthread_t thread;
  bool thread_runs;
  atomic_bool abandoned; /* its time is over: children are to be killed, nothing else begun */

  pthread_mutex_t mutex;  /* guards what follows; never held over a system call */
  pthread_cond_t changed; /* CLOCK_MONOTONIC */
  struct record *queue[LANE_QUEUE_MAX];
  size_t count;
  uint64_t dropped; /* since it was last told */
  bool stopping;    /* what is queued is still told */
  bool ended;       /* the thread needs nothing more than to be joined */
};

/* Neither fails. */
void lane_init (struct lane *lane, const struct lane_work *work, struct teller *teller);
/* The thread must have ended, or never have run. */
void lane_clear (struct lane *lane);

int lane_start (struct lane *lane, struct error *err) MUST_CHECK;

/* From any thread.  Takes a reference of its own; nothing happens when the lane does not want the
 * record's kind.  NULL counts as one dropped (there was no memory for it).
 */
void lane_put (struct lane *lane, struct record *record);

/* For deliver: lets `ms` pass, but not past the wish to stop; nor, with `until_newer`, past the
 * moment when a newer record waits.
 */
enum lane_pause { LANE_PAUSE_OVER, LANE_PAUSE_NEWER, LANE_PAUSE_STOPPING };
enum lane_pause lane_pause (struct lane *lane, uint32_t ms, bool until_newer);

/* For deliver: how many records were dropped since it was last told, which is now. */
uint64_t lane_take_dropped (struct lane *lane);

/* The end, in three steps: what is queued is told until the deadline (clock_ms ()); then the lane
 * is abandoned; and who has not ended a little later hangs, and is left alone for ever.
 */
void lane_stop (struct lane *lane);
void lane_await (struct lane *lane, uint64_t deadline_ms);
void lane_abandon (struct lane *lane);
void lane_join_or_leave (struct lane *lane);

/* How many records wait. */
size_t lane_waiting (struct lane *lane);

#endif
