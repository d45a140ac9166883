/* lane.c owns the queues of telling and their threads. */
#include "nbd-plugin/tell/lane.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "nbd-plugin/tell/teller.h"

/* The whole process may be locked into memory: a thread's stack is no larger than it needs. */
#define STACK_BYTES ((size_t)256 * 1024)

void
lane_init (struct lane *lane, const struct lane_work *work, struct teller *teller)
{
  pthread_condattr_t attr;

  *lane = (struct lane){.work = work, .teller = teller};
  pthread_mutex_init (&lane->mutex, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&lane->changed, &attr);
  pthread_condattr_destroy (&attr);
}

void
lane_clear (struct lane *lane)
{
  for (size_t i = 0; i < lane->count; i++)
    record_unref (lane->queue[i]);
  lane->count = 0;
  lane->work->close (lane->self);
  lane->self = NULL;
  pthread_cond_destroy (&lane->changed);
  pthread_mutex_destroy (&lane->mutex);
}

/* ---- the queue ---- */

/* Who goes first when there is no room. */
static int
rank (const struct record *record)
{
  static const int ranks[] = {
      [RECORD_OPERATION] = 0, [RECORD_EVENT] = 1,  [RECORD_RESULT] = 1,
      [RECORD_LINE] = 1,      [RECORD_CHANGE] = 2, [RECORD_DROPPED] = 2,
  };

  return ranks[record->kind];
}

static struct record *
remove_at (struct lane *lane, size_t at)
{
  struct record *record = lane->queue[at];

  lane->count--;
  memmove (lane->queue + at, lane->queue + at + 1, (lane->count - at) * sizeof lane->queue[0]);
  return record;
}

/* The record that a full queue loses for `record`: the oldest of the lowest rank, or itself. */
static struct record *
make_room (struct lane *lane, struct record *record)
{
  size_t lowest = 0;

  for (size_t i = 1; i < lane->count; i++)
    if (rank (lane->queue[i]) < rank (lane->queue[lowest]))
      lowest = i;
  return rank (lane->queue[lowest]) <= rank (record) ? remove_at (lane, lowest) : record;
}

static struct record *
enqueue (struct lane *lane, struct record *record)
{
  struct record *lost = NULL;
  LOCK_FOR_SCOPE (&lane->mutex);

  if (record && lane->count == LANE_QUEUE_MAX)
    lost = make_room (lane, record);
  if (record && lost != record)
    lane->queue[lane->count++] = record;
  if (lost || !record)
    lane->dropped++;
  pthread_cond_broadcast (&lane->changed);
  return lost;
}

void
lane_put (struct lane *lane, struct record *record)
{
  if (!lane->self || (record && !(lane->work->kinds & RECORD_BIT (record->kind))))
    return;
  if (record)
    record_ref (record);
  record_unref (enqueue (lane, record)); /* freed outside of the lock */
}

/* Waits until there is something to do; false when that is to end. */
static bool
take (struct lane *lane, struct record **ret_record)
{
  LOCK_FOR_SCOPE (&lane->mutex);

  while (lane->count == 0 && lane->dropped == 0 && !lane->stopping)
    pthread_cond_wait (&lane->changed, &lane->mutex);
  if (atomic_load (&lane->abandoned) || (lane->count == 0 && lane->dropped == 0))
    return false;
  *ret_record = lane->count > 0 ? remove_at (lane, 0) : NULL;
  return true;
}

uint64_t
lane_take_dropped (struct lane *lane)
{
  uint64_t dropped;
  LOCK_FOR_SCOPE (&lane->mutex);

  dropped = lane->dropped;
  lane->dropped = 0;
  return dropped;
}

/* ---- waiting ---- */

enum lane_pause
lane_pause (struct lane *lane, uint32_t ms, bool until_newer)
{
  struct timespec until = monotonic_after (ms);
  LOCK_FOR_SCOPE (&lane->mutex);

  for (;;) {
    if (lane->stopping)
      return LANE_PAUSE_STOPPING;
    if (until_newer && lane->count > 0)
      return LANE_PAUSE_NEWER;
    if (pthread_cond_timedwait (&lane->changed, &lane->mutex, &until) != 0)
      return LANE_PAUSE_OVER;
  }
}

/* ---- the thread ---- */

/* That something was dropped is told by the audit log, whichever queue it was. */
static void
tell_dropped (struct lane *lane)
{
  uint64_t count = lane_take_dropped (lane);
  CLEANUP_RECORD struct record *record = NULL;

  if (count == 0)
    return;
  record = record_of_dropped (lane->work->name, count);
  if (!record)
    return;
  if (lane->work == &work_audit)
    lane->work->deliver (lane, record);
  else
    lane_put (&lane->teller->lanes[LANE_AUDIT], record);
}

static void
deliver_all (struct lane *lane)
{
  struct record *record;

  while (take (lane, &record)) {
    tell_dropped (lane);
    if (record)
      lane->work->deliver (lane, record);
    record_unref (record);
  }
  if (lane->work->finish && !atomic_load (&lane->abandoned))
    lane->work->finish (lane);
}

static void *
run (void *opaque)
{
  struct lane *lane = opaque;
  struct teller *teller = lane->teller;

  deliver_all (lane);
  pthread_mutex_lock (&lane->mutex);
  lane->ended = true;
  pthread_cond_broadcast (&lane->changed);
  pthread_mutex_unlock (&lane->mutex);
  teller_unref (teller);
  return NULL;
}

/* The server's signals are for its other threads. */
static int
create_thread (struct lane *lane)
{
  pthread_attr_t attr;
  sigset_t all, old;
  int r;

  sigfillset (&all);
  pthread_attr_init (&attr);
  pthread_attr_setstacksize (&attr, STACK_BYTES);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  r = pthread_create (&lane->thread, &attr, run, lane);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  pthread_attr_destroy (&attr);
  return r;
}

int
lane_start (struct lane *lane, struct error *err)
{
  int r;

  atomic_fetch_add (&lane->teller->refs, 1);
  r = create_thread (lane);
  if (r != 0) {
    atomic_fetch_sub (&lane->teller->refs, 1); /* the caller has one, too */
    return error_set_errno (err, r, "starting a thread");
  }
  lane->thread_runs = true;
  return 0;
}

/* ---- the end ---- */

void
lane_stop (struct lane *lane)
{
  LOCK_FOR_SCOPE (&lane->mutex);

  lane->stopping = true;
  pthread_cond_broadcast (&lane->changed);
}

void
lane_await (struct lane *lane, uint64_t deadline_ms)
{
  uint64_t now_ms = clock_ms ();
  struct timespec until = monotonic_after (deadline_ms > now_ms ? deadline_ms - now_ms : 0);
  LOCK_FOR_SCOPE (&lane->mutex);

  while (lane->thread_runs && !lane->ended
         && pthread_cond_timedwait (&lane->changed, &lane->mutex, &until) == 0)
    ;
}

void
lane_abandon (struct lane *lane)
{
  atomic_store (&lane->abandoned, true); /* seen by take, and by who waits for a child */
}

size_t
lane_waiting (struct lane *lane)
{
  LOCK_FOR_SCOPE (&lane->mutex);

  return lane->count;
}

static bool
has_ended (struct lane *lane)
{
  LOCK_FOR_SCOPE (&lane->mutex);

  return lane->ended;
}

void
lane_join_or_leave (struct lane *lane)
{
  if (!lane->thread_runs)
    return;
  if (has_ended (lane))
    pthread_join (lane->thread, NULL);
  else
    pthread_detach (lane->thread);
  lane->thread_runs = false;
}
