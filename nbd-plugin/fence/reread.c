/* reread.c owns the thread that reads the header again. */
#include "nbd-plugin/fence/reread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

struct rereader {
  const struct volume *volume;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  bool ends;
  uint64_t wanted, done; /* numbers of readings: the latest that is wanted, and that is done */
  struct header *header; /* of `done`; NULL: `err` says why */
  struct error err;
};

static int
load (const struct volume *volume, struct header **ret_header, struct error *err)
{
  CLEANUP_HEADER struct header *header = NULL;
  const struct header_info *info;

  if (header_load (volume->backing.meta_fd, volume->params.path, true, &header, err) < 0)
    return -1;
  info = header_info (header);
  if (strcmp (info->uuid, volume->info.uuid) != 0 || info->sector_size != volume->info.sector_size
      || info->data_offset_bytes != volume->info.data_offset_bytes)
    return error_set (err, ERROR_CORRUPT,
                      "%s now has the header of another volume (%s, not %s): restore its own",
                      volume->params.path, info->uuid, volume->info.uuid);
  *ret_header = header;
  header = NULL;
  return 0;
}

/* ---- the thread ---- */

/* The number of the reading that is wanted; 0 when the thread shall end. */
static uint64_t
wait_until_wanted (struct rereader *rereader)
{
  LOCK_FOR_SCOPE (&rereader->mutex);

  while (rereader->wanted == rereader->done && !rereader->ends)
    pthread_cond_wait (&rereader->changed, &rereader->mutex);
  return rereader->ends ? 0 : rereader->wanted;
}

static void *
run (void *opaque)
{
  struct rereader *rereader = opaque;
  uint64_t number;

  while ((number = wait_until_wanted (rereader)) != 0) {
    CLEANUP_HEADER struct header *header = NULL;
    struct error err = {0};

    (void)!load (rereader->volume, &header, &err); /* `err` says it */
    LOCK_FOR_SCOPE (&rereader->mutex);
    header_free (rereader->header);
    rereader->header = header;
    header = NULL;
    rereader->err = err;
    rereader->done = number;
    pthread_cond_broadcast (&rereader->changed);
  }
  return NULL;
}

/* ---- what others call ---- */

int
reread_header (struct rereader *rereader, uint32_t timeout_ms, struct header **ret_header,
               struct error *err)
{
  const struct timespec until = monotonic_after (timeout_ms);
  uint64_t number;
  LOCK_FOR_SCOPE (&rereader->mutex);

  number = ++rereader->wanted;
  pthread_cond_broadcast (&rereader->changed);
  while (rereader->done < number)
    if (rereader->ends
        || pthread_cond_clockwait (&rereader->changed, &rereader->mutex, CLOCK_MONOTONIC, &until)
               == ETIMEDOUT)
      return error_set (err, ERROR_SYSTEM,
                        "%s: its header can't be read within %u ms: the disk hangs",
                        rereader->volume->params.path, (unsigned)timeout_ms);
  if (!rereader->header) {
    *err = rereader->err;
    return -1;
  }
  *ret_header = rereader->header;
  rereader->header = NULL;
  return 0;
}

/* ---- start and stop ---- */

int
reread_start (const struct volume *volume, struct rereader **ret_rereader, struct error *err)
{
  struct rereader *rereader = calloc (1, sizeof *rereader);
  int r;

  if (!rereader)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  rereader->volume = volume;
  pthread_mutex_init (&rereader->mutex, NULL);
  pthread_cond_init (&rereader->changed, NULL);
  r = pthread_create (&rereader->thread, NULL, run, rereader);
  if (r != 0) {
    free (rereader);
    return error_set_errno (err, r, "starting a thread");
  }
  *ret_rereader = rereader;
  return 0;
}

void
reread_end (struct rereader *rereader)
{
  LOCK_FOR_SCOPE (&rereader->mutex);

  rereader->ends = true;
  pthread_cond_broadcast (&rereader->changed);
}

void
reread_stop (struct rereader *rereader)
{
  if (!rereader)
    return;
  reread_end (rereader);
  pthread_join (rereader->thread, NULL);
  header_free (rereader->header);
  pthread_cond_destroy (&rereader->changed);
  pthread_mutex_destroy (&rereader->mutex);
  free (rereader);
}
