/* progress.c owns the progress line. */
#include "tools/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"

#define FIRST_SHOWN_MS 1000
#define INTERVAL_MS 200

struct progress {
  const char *what;
  uint64_t total, start_ms;
  _Atomic uint64_t done; /* a number to show; nothing is ordered by it */
  pthread_t thread;
  pthread_mutex_t mutex; /* guards ended */
  pthread_cond_t changed;
  bool ended;
};

static void
show (struct progress *p, uint64_t elapsed_ms)
{
  uint64_t done = atomic_load_explicit (&p->done, memory_order_relaxed);

  if (p->total > 0)
    fprintf (stderr, "\r%s: %3.0f %%", p->what, 100.0 * (double)done / (double)p->total);
  else
    fprintf (stderr, "\r%s: %" PRIu64 " s", p->what, elapsed_ms / 1000);
  fputs ("\033[K", stderr);
  fflush (stderr);
}

/* Waits until the end or the next time to show; true at the end.  The caller holds the mutex. */
static bool
wait_for_end (struct progress *p)
{
  const struct timespec until = monotonic_after (INTERVAL_MS);

  while (!p->ended)
    if (pthread_cond_timedwait (&p->changed, &p->mutex, &until) == ETIMEDOUT)
      break;
  return p->ended;
}

static void *
run (void *arg)
{
  struct progress *p = arg;
  bool shown = false;
  LOCK_FOR_SCOPE (&p->mutex);

  while (!wait_for_end (p)) {
    uint64_t elapsed_ms = clock_ms () - p->start_ms;

    if (elapsed_ms >= FIRST_SHOWN_MS) {
      show (p, elapsed_ms);
      shown = true;
    }
  }
  if (shown)
    fputs ("\r\033[K", stderr);
  return NULL;
}

struct progress *
progress_start (const char *what, uint64_t total)
{
  struct progress *p;
  pthread_condattr_t attr;

  if (!isatty (STDERR_FILENO))
    return NULL;
  p = calloc (1, sizeof *p);
  if (!p)
    return NULL;
  p->what = what;
  p->total = total;
  p->start_ms = clock_ms ();
  pthread_mutex_init (&p->mutex, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&p->changed, &attr);
  pthread_condattr_destroy (&attr);
  if (pthread_create (&p->thread, NULL, run, p) == 0)
    return p;
  free (p);
  return NULL;
}

void
progress_set (struct progress *progress, uint64_t done)
{
  if (progress)
    atomic_store_explicit (&progress->done, done, memory_order_relaxed);
}

void
progress_end (struct progress *progress)
{
  if (!progress)
    return;
  pthread_mutex_lock (&progress->mutex);
  progress->ended = true;
  pthread_cond_signal (&progress->changed);
  pthread_mutex_unlock (&progress->mutex);
  pthread_join (progress->thread, NULL);
  pthread_cond_destroy (&progress->changed);
  pthread_mutex_destroy (&progress->mutex);
  free (progress);
}

void
cleanup_progress (struct progress **progress)
{
  progress_end (*progress);
}
