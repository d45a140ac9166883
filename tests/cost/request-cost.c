/* request-cost.c: serves requests of 4 KiB under callgrind, which counts what they cost.
 *
 * The cipher of this volume does nothing, so what is counted is all but the cipher; a system call
 * counts as its entry.  Each case is dumped by its name; check.py reads and judges the dumps.  The
 * requests run in a thread of their own, as in a server: libc does less where there is only one.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <valgrind/callgrind.h>

#include "common/checked.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/request.h"

#define REQUEST_BYTES 4096
#define DISK_BYTES ((uint64_t)1024 * 1024)
#define DATA_OFFSET_BYTES ((uint64_t)1024 * 1024)
#define WARM_UP 100

void
log_error (const char *fmt, ...)
{
  (void)fmt;
  abort (); /* every request succeeds */
}

void
log_notice (const char *fmt, ...)
{
  (void)fmt;
}

/* ---- a cipher and an engine that do nothing ---- */

static struct xts_context *
null_context_new (const struct secret *key, struct error *err)
{
  static char context;

  (void)key;
  (void)err;
  return (struct xts_context *)&context;
}

static void
null_context_free (struct xts_context *context)
{
  (void)context;
}

/* Something more is done a request, for check.py to notice. */
static bool waste;
static void *volatile wasted;

static int
null_crypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
            const uint8_t *in, uint8_t *out, size_t count)
{
  (void)context;
  (void)first_tweak;
  (void)sector_size;
  (void)in;
  (void)out;
  (void)count;
  if (waste) {
    wasted = malloc (64);
    free (wasted);
  }
  return 0;
}

static const struct xts_backend null_cipher = {.name = "null",
                                               .context_new = null_context_new,
                                               .context_free = null_context_free,
                                               .encrypt = null_crypt,
                                               .decrypt = null_crypt};

struct engine_queue {
  struct transfer *done;
};

static int
null_queue_new (struct backing *backing, void *buffers, struct engine_queue **ret_queue)
{
  (void)backing;
  (void)buffers;
  *ret_queue = calloc (1, sizeof **ret_queue);
  return *ret_queue ? 0 : -1;
}

static void
null_queue_free (struct engine_queue *queue)
{
  free (queue);
}

static void
null_submit (struct engine_queue *queue, struct transfer *transfer)
{
  transfer->result = 0;
  queue->done = transfer;
}

static struct transfer *
null_wait (struct engine_queue *queue)
{
  struct transfer *transfer = queue->done;

  queue->done = NULL;
  return transfer;
}

static const struct engine engine_null = {.name = "null",
                                          .depth = 1,
                                          .queue_new = null_queue_new,
                                          .queue_free = null_queue_free,
                                          .submit = null_submit,
                                          .wait = null_wait};

/* ---- a volume on them ---- */

static struct volume *
make_volume (const struct engine *engine)
{
  struct volume *volume = volume_new ();
  struct error err = {0};

  if (!volume)
    abort ();
  volume->params = params_default ();
  volume->params.path = "test";
  volume->engine = engine;
  volume->xts = &null_cipher;
  volume->info.sector_size = 4096;
  volume->info.data_offset_bytes = DATA_OFFSET_BYTES;
  volume->unit_bytes = 4096;
  volume->backing.fd = memfd_create ("data", MFD_CLOEXEC);
  volume->backing.meta_fd = memfd_create ("meta", MFD_CLOEXEC);
  if (ftruncate (volume->backing.fd, (off_t)(DATA_OFFSET_BYTES + DISK_BYTES)) < 0
      || ftruncate (volume->backing.meta_fd, (off_t)(DATA_OFFSET_BYTES + DISK_BYTES)) < 0
      || keys_new (volume->xts, &volume->keys, &err) < 0 || keys_set (volume->keys, NULL, &err) < 0)
    abort ();
  gate_open (&volume->gate, UINT64_MAX);
  return volume;
}

/* ---- the cases ---- */

static uint8_t buf[REQUEST_BYTES];

static int
read_one (struct connection *connection, uint64_t offset_bytes)
{
  return request_read (connection, buf, REQUEST_BYTES, offset_bytes);
}

static int
write_one (struct connection *connection, uint64_t offset_bytes)
{
  return request_write (connection, buf, REQUEST_BYTES, offset_bytes, false);
}

static const struct {
  const char *name;
  const struct engine *engine;
  int (*request) (struct connection *, uint64_t);
} cases[] = {
    {"null-read", &engine_null, read_one},
    {"null-write", &engine_null, write_one},
    {"sync-read", &engine_sync, read_one},
    {"sync-write", &engine_sync, write_one},
};

static unsigned requests;

static void
serve (struct connection *connection, int (*request) (struct connection *, uint64_t),
       unsigned count)
{
  for (unsigned i = 0; i < count; i++)
    if (request (connection, i * REQUEST_BYTES % DISK_BYTES) != 0)
      abort ();
}

static void *
run_case (void *opaque)
{
  size_t i = *(size_t *)opaque;
  struct volume *volume = make_volume (cases[i].engine);
  struct connection *connection = connection_new (volume, false, NULL);

  if (!connection)
    abort ();
  serve (connection, cases[i].request, WARM_UP);
  CALLGRIND_DUMP_STATS_AT ("other");
  serve (connection, cases[i].request, requests);
  CALLGRIND_DUMP_STATS_AT (cases[i].name);
  volume_free (volume);
  return NULL;
}

int
main (int argc, char **argv)
{
  requests = argc >= 2 ? (unsigned)atoi (argv[1]) : 0;
  waste = argc == 3 && strcmp (argv[2], "waste") == 0;
  if (requests == 0 || argc > 2 + waste) {
    fprintf (stderr, "usage: %s REQUESTS [waste]\n", argv[0]);
    return 2;
  }
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    pthread_t thread;

    if (pthread_create (&thread, NULL, run_case, &i) != 0 || pthread_join (thread, NULL) != 0)
      abort ();
  }
  return 0;
}
