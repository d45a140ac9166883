/* prober.c owns the thread that plays the volume's client. */
#include "tools/drill/prober.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "common/checked.h"
#include "common/io.h"
#include "tools/drill/nbd.h"
#include "tools/drill/sample.h"

#define CONNECT_MS 3000

struct prober {
  const char *uri;
  uint64_t start_ms, size_bytes;
  bool read_only, runs;
  pthread_t thread;
  atomic_bool stop;          /* pairs with nothing but itself */
  atomic_int mode;           /* release by who sets it, acquire by the thread */
  atomic_bool compared;      /* release by the thread */
  struct nbd_client *client; /* the thread's; NULL: no connection */
  /* The thread's alone, and everybody's when it has ended. */
  struct sample sample;
  struct scratch scratch;
  unsigned next;
  pthread_mutex_t mutex; /* guards what follows */
  struct probe *probes;
  size_t count, room, served;
};

static int64_t
now_ms (const struct prober *prober)
{
  return (int64_t)(clock_ms () - prober->start_ms);
}

/* Out of memory, a probe is left out: the drill must go on and restore. */
static void
note (struct prober *prober, const struct probe *probe)
{
  LOCK_FOR_SCOPE (&prober->mutex);

  if (prober->count == prober->room) {
    size_t room = prober->room ? prober->room * 2 : 1024;
    struct probe *probes = reallocarray (prober->probes, room, sizeof *probes);

    if (!probes)
      return;
    prober->probes = probes;
    prober->room = room;
  }
  prober->probes[prober->count++] = *probe;
  prober->served += probe->outcome == PROBE_SERVED;
}

/* r is what a request of nbd.h has returned; one that can't be used any more is closed. */
static bool
conclude (struct prober *prober, int64_t start_ms, bool write, int r)
{
  struct probe probe = {.start_ms = start_ms, .end_ms = now_ms (prober), .write = write};

  probe.outcome = r == 0 ? PROBE_SERVED : r > 0 ? PROBE_REFUSED : PROBE_LOST;
  probe.errnum = MAX (r, 0);
  note (prober, &probe);
  if (r < 0) {
    nbd_client_close (prober->client);
    prober->client = NULL;
  }
  return r == 0;
}

static enum prober_mode
current_mode (struct prober *prober)
{
  return (enum prober_mode)atomic_load_explicit (&prober->mode, memory_order_acquire);
}

static void
probe_read (struct prober *prober)
{
  unsigned i = prober->next++ % prober->sample.count;
  uint8_t block[NBD_BLOCK_BYTES];
  int64_t start_ms = now_ms (prober);
  enum prober_mode mode = current_mode (prober);
  int r =
      nbd_client_read (prober->client, prober->sample.blocks[i].offset_bytes, block, &prober->stop);

  /* What was asked for in one mode and answered in another says nothing. */
  if (conclude (prober, start_ms, false, r) && mode == current_mode (prober))
    sample_take (&prober->sample, i, block, mode);
}

static void
probe_write (struct prober *prober)
{
  uint8_t block[NBD_BLOCK_BYTES];
  unsigned i = scratch_next (&prober->scratch, block);
  int64_t start_ms = now_ms (prober);
  int r = nbd_client_write (prober->client,
                            prober->scratch.offset_bytes + (uint64_t)i * NBD_BLOCK_BYTES, block,
                            &prober->stop);

  if (conclude (prober, start_ms, true, r))
    scratch_acknowledge (&prober->scratch, i);
}

/* Reads the whole sample; false at the first error. */
static bool
sweep_sample (struct prober *prober, enum prober_mode mode)
{
  uint8_t block[NBD_BLOCK_BYTES];

  for (unsigned i = 0; i < prober->sample.count; i++) {
    if (nbd_client_read (prober->client, prober->sample.blocks[i].offset_bytes, block,
                         &prober->stop)
        != 0)
      return false;
    sample_take (&prober->sample, i, block, mode);
  }
  return true;
}

static bool
sweep_scratch (struct prober *prober)
{
  uint8_t block[NBD_BLOCK_BYTES];

  for (unsigned i = 0; i < prober->scratch.count; i++) {
    if (nbd_client_read (prober->client,
                         prober->scratch.offset_bytes + (uint64_t)i * NBD_BLOCK_BYTES, block,
                         &prober->stop)
        != 0)
      return false;
    scratch_take (&prober->scratch, i, block);
  }
  return true;
}

static void
compare (struct prober *prober)
{
  if (current_mode (prober) != PROBER_AFTER || prober_compared (prober))
    return;
  if (sweep_sample (prober, PROBER_AFTER) && sweep_scratch (prober))
    atomic_store_explicit (&prober->compared, true, memory_order_release);
}

static void
reconnect (struct prober *prober)
{
  int64_t start_ms = now_ms (prober);

  if (nbd_client_open (prober->uri, CONNECT_MS, &prober->client, NULL) < 0) {
    prober->client = NULL;
    conclude (prober, start_ms, false, -1);
  }
}

static void *
run (void *opaque)
{
  struct prober *prober = opaque;
  uint64_t next_ms = clock_ms ();

  while (!atomic_load_explicit (&prober->stop, memory_order_relaxed)) {
    uint64_t now;

    if (!prober->client)
      reconnect (prober);
    if (prober->client)
      compare (prober);
    if (prober->client)
      probe_read (prober);
    if (prober->client && prober->scratch.count > 0)
      probe_write (prober);
    now = clock_ms ();
    next_ms = MAX (next_ms + PROBE_EVERY_MS, now);
    nanosleep (&(struct timespec){.tv_sec = (time_t)((next_ms - now) / 1000),
                                  .tv_nsec = (long)((next_ms - now) % 1000) * 1000000},
               NULL);
  }
  return NULL;
}

static int
first_look (struct prober *prober, const struct prober_params *params, struct error *err)
{
  if (nbd_client_open (params->uri, CONNECT_MS, &prober->client, err) < 0)
    return -1;
  prober->size_bytes = nbd_client_size_bytes (prober->client);
  prober->read_only = nbd_client_read_only (prober->client);
  sample_choose (&prober->sample, prober->size_bytes, params->scratch_offset_bytes,
                 params->scratch_bytes);
  prober->scratch.offset_bytes = params->scratch_offset_bytes;
  prober->scratch.count =
      (unsigned)MIN (params->scratch_bytes / NBD_BLOCK_BYTES, PROBE_SCRATCH_MAX);
  if (params->scratch_bytes > prober->size_bytes
      || params->scratch_offset_bytes > prober->size_bytes - params->scratch_bytes)
    return error_set (err, ERROR_USAGE, "--scratch reaches beyond the end of the disk");
  if (params->scratch_bytes > 0 && prober->read_only)
    return error_set (err, ERROR_USAGE, "--scratch: %s is served read-only", params->uri);
  if (prober->sample.count == 0)
    return error_set (err, ERROR_USAGE, "the disk has nothing to read outside of --scratch");
  if (!sweep_sample (prober, PROBER_BEFORE))
    return error_set (err, ERROR_UNAVAILABLE, "%s: the disk can't be read", params->uri);
  return 0;
}

int
prober_start (const struct prober_params *params, struct prober **ret, struct error *err)
{
  struct prober *prober = calloc (1, sizeof *prober);
  int r;

  if (!prober)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  prober->uri = params->uri;
  prober->start_ms = params->start_ms;
  atomic_init (&prober->mode, PROBER_BEFORE);
  pthread_mutex_init (&prober->mutex, NULL);
  if (first_look (prober, params, err) < 0) {
    prober_free (prober);
    return -1;
  }
  r = pthread_create (&prober->thread, NULL, run, prober);
  if (r != 0) {
    prober_free (prober);
    return error_set_errno (err, r, "starting a thread");
  }
  prober->runs = true;
  *ret = prober;
  return 0;
}

uint64_t
prober_size_bytes (const struct prober *prober)
{
  return prober->size_bytes;
}

bool
prober_read_only (const struct prober *prober)
{
  return prober->read_only;
}

void
prober_set_mode (struct prober *prober, enum prober_mode mode)
{
  atomic_store_explicit (&prober->mode, mode, memory_order_release);
}

bool
prober_compared (const struct prober *prober)
{
  return atomic_load_explicit (&prober->compared, memory_order_acquire);
}

struct prober_state
prober_state (struct prober *prober)
{
  LOCK_FOR_SCOPE (&prober->mutex);
  struct prober_state state = {.count = prober->count, .served = prober->served};

  if (state.count > 0) {
    state.last = prober->probes[state.count - 1].outcome;
    state.last_end_ms = prober->probes[state.count - 1].end_ms;
  }
  return state;
}

void
prober_stop (struct prober *prober)
{
  if (!prober->runs)
    return;
  atomic_store_explicit (&prober->stop, true, memory_order_relaxed);
  pthread_join (prober->thread, NULL);
  prober->runs = false;
}

const struct probe *
prober_probes (const struct prober *prober, size_t *ret_count)
{
  *ret_count = prober->count;
  return prober->probes;
}

struct prober_data
prober_data (const struct prober *prober)
{
  struct prober_data data;

  sample_report (&prober->sample, &prober->scratch, &data);
  return data;
}

void
prober_free (struct prober *prober)
{
  if (!prober)
    return;
  prober_stop (prober);
  nbd_client_close (prober->client);
  pthread_mutex_destroy (&prober->mutex);
  free (prober->probes);
  free (prober);
}
