/* settle.c owns the flush after a fence. */
#include "nbd-plugin/fence/settle.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/io.h"

struct settler {
  struct backing *backing;
  void (*settled) (void *opaque, int result, uint64_t took_ms);
  void *opaque;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  bool wanted, ends;
};

/* False when the thread shall end. */
static bool
wait_until_wanted (struct settler *settler)
{
  LOCK_FOR_SCOPE (&settler->mutex);

  while (!settler->wanted && !settler->ends)
    pthread_cond_wait (&settler->changed, &settler->mutex);
  if (!settler->wanted)
    return false;
  settler->wanted = false;
  return true;
}

static void *
run (void *opaque)
{
  struct settler *settler = opaque;

  while (wait_until_wanted (settler)) {
    uint64_t start_ms = clock_ms ();
    int r = backing_flush (settler->backing);

    settler->settled (settler->opaque, r, clock_ms () - start_ms);
  }
  return NULL;
}

int
settle_start (struct backing *backing, void (*settled) (void *opaque, int result, uint64_t took_ms),
              void *opaque, struct settler **ret_settler, struct error *err)
{
  struct settler *settler = calloc (1, sizeof *settler);
  int r;

  if (!settler)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  settler->backing = backing;
  settler->settled = settled;
  settler->opaque = opaque;
  pthread_mutex_init (&settler->mutex, NULL);
  pthread_cond_init (&settler->changed, NULL);
  r = pthread_create (&settler->thread, NULL, run, settler);
  if (r != 0) {
    free (settler);
    return error_set_errno (err, r, "starting a thread");
  }
  *ret_settler = settler;
  return 0;
}

static void
change (struct settler *settler, bool *what)
{
  LOCK_FOR_SCOPE (&settler->mutex);

  *what = true;
  pthread_cond_signal (&settler->changed);
}

void
settle_now (struct settler *settler)
{
  change (settler, &settler->wanted);
}

void
settle_stop (struct settler *settler)
{
  if (!settler)
    return;
  change (settler, &settler->ends);
  pthread_join (settler->thread, NULL);
  pthread_cond_destroy (&settler->changed);
  pthread_mutex_destroy (&settler->mutex);
  free (settler);
}
