/* nbd-model.c owns the question whether the disk is an array of bytes, asked by many at once.
 *
 *   nbd-model own URI SEED REQUESTS THREADS
 *     Each thread, over a connection of its own, reads, writes and zeroes at random offsets and
 * sizes inside bytes that are its own.  The borders lie anywhere, so that neighbours share sectors:
 * each must always read what it wrote last, whatever the others do.
 *
 *   nbd-model overlap URI SEED ROUNDS CONNECTIONS
 *     In each round, overlapping writes and reads are in flight together.  After it, each byte must
 *     hold what one of the round's writes put there, or, where none did, what was there before; and
 * a read may have seen only bytes from before or from the round's writes.
 *
 * The same seed makes the same requests.  At the end a new connection reads all of it once more.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "common/checked.h"
#include "common/cleanup.h"

#define REQUEST_MAX (300 * 1024)
#define FLIGHT 12 /* requests of one round */

static const char *uri;
static uint64_t disk_bytes;
static uint8_t *model; /* what the disk must hold; each thread touches its own bytes only */

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016. */
static uint64_t
random_next (uint64_t *state)
{
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C (2685821657736338717);
}

static uint64_t
random_below (uint64_t *state, uint64_t limit)
{
  return random_next (state) % limit;
}

/* Small and large sizes alike, and often the sector's own. */
static uint64_t
random_size (uint64_t *state, uint64_t max)
{
  static const uint64_t favourites[] = {1, 511, 512, 4095, 4096, 4097, 8192, 65536, 131072, 262144};
  uint64_t size;

  if (random_below (state, 3) == 0)
    size = favourites[random_below (state, ARRAY_SIZE (favourites))];
  else
    size = 1 + random_below (state, UINT64_C (1) << (1 + random_below (state, 18)));
  return MIN (MIN (size, max), REQUEST_MAX);
}

static struct nbd_handle *
connection_new (void)
{
  struct nbd_handle *nbd = nbd_create ();

  /* Not held back by what the server would rather have: it must take any alignment. */
  if (!nbd || nbd_set_strict_mode (nbd, 0) < 0 || nbd_connect_uri (nbd, uri) < 0)
    errx (1, "%s", nbd_get_error ());
  return nbd;
}

static void
connection_free (struct nbd_handle *nbd)
{
  nbd_shutdown (nbd, 0);
  nbd_close (nbd);
}

static uint8_t *
buffer_new (uint64_t size)
{
  uint8_t *buf = malloc (size);

  if (!buf)
    err (1, "malloc");
  return buf;
}

static void
expect_equal (const uint8_t *found, uint64_t offset, uint64_t size, const char *when)
{
  for (uint64_t i = 0; i < size; i++)
    if (found[i] != model[offset + i])
      errx (1,
            "%s: byte %" PRIu64 " is 0x%02x, expected 0x%02x (request at %" PRIu64 ", %" PRIu64
            " bytes)",
            when, offset + i, found[i], model[offset + i], offset, size);
}

static void
expect_whole_disk (void)
{
  struct nbd_handle *nbd = connection_new ();
  CLEANUP_FREE uint8_t *buf = buffer_new (REQUEST_MAX);

  for (uint64_t at = 0; at < disk_bytes; at += REQUEST_MAX) {
    uint64_t n = MIN (REQUEST_MAX, disk_bytes - at);

    if (nbd_pread (nbd, buf, n, at, 0) < 0)
      errx (1, "%s", nbd_get_error ());
    expect_equal (buf, at, n, "at the end");
  }
  connection_free (nbd);
}

/* ---- own bytes ------------------------------------------------------------------------------- */

struct owner {
  pthread_t thread;
  uint64_t start, end; /* its bytes */
  uint64_t requests;
  uint64_t random;
};

static void
fill (uint8_t *bytes, uint64_t size, uint64_t *random)
{
  uint64_t word = random_next (random);

  for (uint64_t i = 0; i < size; i++) {
    if (i % 8 == 0)
      word = random_next (random);
    bytes[i] = (uint8_t)(word >> (i % 8 * 8));
  }
}

static int
own_request (struct nbd_handle *nbd, struct owner *o, uint8_t *buf)
{
  uint64_t offset = o->start + random_below (&o->random, o->end - o->start);
  uint64_t size = random_size (&o->random, o->end - offset);
  uint32_t fua = random_below (&o->random, 8) == 0 ? LIBNBD_CMD_FLAG_FUA : 0;

  switch (random_below (&o->random, 16)) {
  case 0:
    return nbd_flush (nbd, 0);
  case 1:
    memset (model + offset, 0, size);
    return nbd_zero (nbd, size, offset, fua);
  case 2:
    memset (model + offset, 0, size);
    return nbd_zero (nbd, size, offset, fua | LIBNBD_CMD_FLAG_NO_HOLE);
  case 3:
    return nbd_can_cache (nbd) == 1 ? nbd_cache (nbd, size, offset, 0) : 0;
  case 4:
  case 5:
  case 6:
  case 7:
  case 8:
    if (nbd_pread (nbd, buf, size, offset, 0) < 0)
      return -1;
    expect_equal (buf, offset, size, "reading one's own bytes");
    return 0;
  default:
    fill (model + offset, size, &o->random);
    return nbd_pwrite (nbd, model + offset, size, offset, fua);
  }
}

static void *
own_thread (void *arg)
{
  struct owner *o = arg;
  struct nbd_handle *nbd = connection_new ();
  CLEANUP_FREE uint8_t *buf = buffer_new (REQUEST_MAX);

  for (uint64_t i = 0; i < o->requests; i++)
    if (own_request (nbd, o, buf) < 0)
      errx (1, "%s", nbd_get_error ());
  connection_free (nbd);
  return NULL;
}

/* One run of bytes for each thread, with odd borders; on a disk that is small for that many
 * threads, several lie in one sector.
 */
static void
own_bytes (uint64_t seed, uint64_t requests, uint64_t threads)
{
  CLEANUP_FREE struct owner *owners = calloc (threads, sizeof *owners);

  if (!owners)
    err (1, "calloc");
  for (uint64_t i = 0; i < threads; i++) {
    owners[i].start = i == 0 ? 0 : owners[i - 1].end;
    owners[i].end = i == threads - 1 ? disk_bytes : disk_bytes / threads * (i + 1) + i % 7 + 1;
    owners[i].requests = requests;
    owners[i].random = seed * UINT64_C (0x9e3779b97f4a7c15) + i + 1;
    if (pthread_create (&owners[i].thread, NULL, own_thread, &owners[i]) != 0)
      errx (1, "pthread_create");
  }
  for (uint64_t i = 0; i < threads; i++)
    pthread_join (owners[i].thread, NULL);
}

/* ---- overlapping bytes ----------------------------------------------------------------------- */

struct flight {
  bool write;
  uint64_t offset, size;
  uint8_t byte; /* of a write: all of it is this byte, no other in flight has it */
  uint8_t *buf;
  unsigned connection;
  int64_t cookie;
};

static void
flight_start (struct nbd_handle **nbds, struct flight *f)
{
  struct nbd_handle *nbd = nbds[f->connection];

  f->cookie = f->write ? nbd_aio_pwrite (nbd, f->buf, f->size, f->offset, NBD_NULL_COMPLETION, 0)
                       : nbd_aio_pread (nbd, f->buf, f->size, f->offset, NBD_NULL_COMPLETION, 0);
  if (f->cookie < 0)
    errx (1, "%s", nbd_get_error ());
}

static void
flight_finish (struct nbd_handle **nbds, const struct flight *f)
{
  struct nbd_handle *nbd = nbds[f->connection];
  int done;

  while ((done = nbd_aio_command_completed (nbd, (uint64_t)f->cookie)) == 0)
    if (nbd_poll (nbd, -1) < 0)
      errx (1, "%s", nbd_get_error ());
  if (done < 0)
    errx (1, "%s", nbd_get_error ());
}

/* Around one spot, so that they do overlap, in the same sectors and across them. */
static void
flight_plan (struct flight *flights, uint64_t first_byte, unsigned connections, uint64_t *random)
{
  uint64_t spread = UINT64_C (1) << (6 + random_below (random, 13));
  uint64_t base = random_below (random, disk_bytes - MIN (spread, disk_bytes - 1));

  for (unsigned i = 0; i < FLIGHT; i++) {
    struct flight *f = &flights[i];

    f->write = random_below (random, 3) != 0;
    f->offset = MIN (base + random_below (random, spread), disk_bytes - 1);
    if (random_below (random, 3) == 0)
      f->offset = round_down (f->offset, 4096);
    f->size = random_size (random, disk_bytes - f->offset);
    f->size = MIN (f->size, 4 * spread);
    if (random_below (random, 3) == 0)
      f->size = MIN (round_up (f->size, 4096), disk_bytes - f->offset);
    f->byte = (uint8_t)(first_byte + i);
    f->connection = (unsigned)random_below (random, connections);
    memset (f->buf, f->write ? f->byte : 0, f->size);
  }
}

static bool
covers (const struct flight *f, uint64_t at)
{
  return at >= f->offset && at - f->offset < f->size;
}

/* Whether `byte` may be at `at` now; `old_too`: also what was there before the round. */
static bool
possible (const struct flight *flights, uint64_t at, uint8_t byte, bool old_too)
{
  bool written = false;

  for (unsigned i = 0; i < FLIGHT; i++)
    if (flights[i].write && covers (&flights[i], at)) {
      written = true;
      if (flights[i].byte == byte)
        return true;
    }
  return (!written || old_too) && model[at] == byte;
}

/* Reads seen in the round against before and during; then the disk now, which the model adopts. */
static void
flight_check (struct nbd_handle *nbd, const struct flight *flights, uint8_t *buf)
{
  uint64_t low = disk_bytes, high = 0;

  for (unsigned i = 0; i < FLIGHT; i++) {
    const struct flight *f = &flights[i];

    low = MIN (low, f->offset);
    high = MAX (high, f->offset + f->size);
    for (uint64_t j = 0; !f->write && j < f->size; j++)
      if (!possible (flights, f->offset + j, f->buf[j], true))
        errx (1, "a read among writes saw 0x%02x at %" PRIu64 ", which nobody wrote", f->buf[j],
              f->offset + j);
  }
  if (nbd_pread (nbd, buf, high - low, low, 0) < 0)
    errx (1, "%s", nbd_get_error ());
  for (uint64_t j = 0; j < high - low; j++)
    if (!possible (flights, low + j, buf[j], false))
      errx (1, "byte %" PRIu64 " is 0x%02x after overlapping writes: a write was lost", low + j,
            buf[j]);
  memcpy (model + low, buf, high - low);
}

static void
overlap (uint64_t seed, uint64_t rounds, unsigned connections)
{
  struct flight flights[FLIGHT];
  uint64_t random = seed * UINT64_C (0x9e3779b97f4a7c15) + 1;
  CLEANUP_FREE uint8_t *buf = buffer_new (4 * UINT64_C (1048576)) /* more than a round spans */;
  CLEANUP_FREE struct nbd_handle **nbds = calloc (connections, sizeof *nbds);

  if (!nbds)
    err (1, "calloc");
  for (unsigned i = 0; i < connections; i++)
    nbds[i] = connection_new ();
  for (unsigned i = 0; i < FLIGHT; i++)
    flights[i].buf = buffer_new (REQUEST_MAX + 4096);
  for (uint64_t round = 0; round < rounds; round++) {
    flight_plan (flights, round * FLIGHT, connections, &random);
    for (unsigned i = 0; i < FLIGHT; i++)
      flight_start (nbds, &flights[i]);
    for (unsigned i = 0; i < FLIGHT; i++)
      flight_finish (nbds, &flights[i]);
    flight_check (nbds[round % connections], flights, buf);
  }
  for (unsigned i = 0; i < FLIGHT; i++)
    free (flights[i].buf);
  for (unsigned i = 0; i < connections; i++)
    connection_free (nbds[i]);
}

/* ---- main ------------------------------------------------------------------------------------ */

/* Everything random first, so that no zero is where none was written. */
static void
fill_disk (uint64_t seed)
{
  struct nbd_handle *nbd = connection_new ();
  uint64_t random = ~seed;

  disk_bytes = (uint64_t)nbd_get_size (nbd);
  model = buffer_new (disk_bytes);
  fill (model, disk_bytes, &random);
  for (uint64_t at = 0; at < disk_bytes; at += REQUEST_MAX)
    if (nbd_pwrite (nbd, model + at, MIN (REQUEST_MAX, disk_bytes - at), at, 0) < 0)
      errx (1, "%s", nbd_get_error ());
  connection_free (nbd);
}

int
main (int argc, char **argv)
{
  uint64_t seed, count, parallel;

  if (argc != 6)
    errx (2, "usage: nbd-model own|overlap URI SEED COUNT PARALLEL");
  uri = argv[2];
  seed = strtoull (argv[3], NULL, 0);
  count = strtoull (argv[4], NULL, 0);
  parallel = strtoull (argv[5], NULL, 0);
  fill_disk (seed);
  if (strcmp (argv[1], "own") == 0)
    own_bytes (seed, count, parallel);
  else
    overlap (seed, count, (unsigned)parallel);
  expect_whole_disk ();
  free (model);
  return 0;
}
