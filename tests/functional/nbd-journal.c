/* nbd-journal.c owns the question whether what was acknowledged as durable is there after a crash.
 *
 *   nbd-journal load URI JOURNAL SEED BLOCK_SIZE THREADS
 *     Writes all blocks, prints "ready", and goes on writing numbered contents, now and then with
 * FUA, now and then a flush, until the server goes away; then leaves in JOURNAL what it knows.
 *   nbd-journal through URI JOURNAL SEED BLOCK_SIZE THREADS
 *     The same until SIGTERM, with reads that must find what was written last, and on through every
 * EIO of a server that is fenced now and then; what is left in JOURNAL is all that was
 * acknowledged, since a server that lives has lost none of it.
 *   nbd-journal day URI JOURNAL SEED BLOCK_SIZE THREADS BLOCKS
 *     The same at a leisurely pace in the disk's first BLOCKS blocks, and on through servers that
 * end or are killed and come again, too: none of them may lose what was acknowledged while the
 * machine lives.  Prints a line "UNIX_MS SERVED REFUSED LOST" (0 or 1 each) whenever what the
 * requests of the last TICK_MS came to is something else than before; lost are also attempts to
 * connect. nbd-journal verify URI JOURNAL Each block must hold a content no older than the last
 * that FUA or a flush made durable, and no newer than the last that was sent.
 *
 * BLOCK_SIZE is a multiple of 16: each 16 bytes tell which write they come from, so that a block
 * torn by the crash can be told from a lost one.  A block is written by one thread only.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libnbd.h>

#include "common/checked.h"
#include "common/cleanup.h"

#define UNIT 16
#define TICK_MS 10
#define PAUSE_US 2000    /* of a day's client, after each request */
#define CONNECT_US 20000 /* between attempts to connect */

/* What is known of a block: numbers of the writes to it, from 1. */
struct block {
  uint64_t sent, acknowledged, durable;
};

static struct {
  uint64_t block_bytes, count;
} shape; /* kept in the journal, before the blocks */
static struct block *blocks;
static const char *uri;
static unsigned thread_count;
static uint64_t durable_acks;
static bool goes_on;    /* "through", "day" */
static bool reconnects; /* "day" */
static volatile sig_atomic_t told_to_stop;
static _Atomic uint64_t refused, done, lost;

/* Guards `acknowledged` and `durable` of all blocks, and durable_acks. */
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t
mix (uint64_t a, uint64_t b, uint64_t c)
{
  uint64_t h = a * UINT64_C (0x9e3779b97f4a7c15) ^ b * UINT64_C (0xbf58476d1ce4e5b9)
               ^ c * UINT64_C (0x94d049bb133111eb);

  h ^= h >> 31;
  h *= UINT64_C (0x9e3779b97f4a7c15);
  return h ^ h >> 29;
}

static void
content (uint8_t *buf, uint64_t block, uint64_t number)
{
  for (uint64_t i = 0; i < shape.block_bytes / UNIT; i++) {
    uint64_t pair[2] = {number, mix (block, number, i)};

    memcpy (buf + i * UNIT, pair, UNIT);
  }
}

/* NULL when nobody listens, or not to the end. */
static struct nbd_handle *
connection_try (void)
{
  struct nbd_handle *nbd = nbd_create ();

  /* Not held back by what the server would rather have: it must take any alignment. */
  if (nbd && nbd_set_strict_mode (nbd, 0) == 0 && nbd_connect_uri (nbd, uri) == 0)
    return nbd;
  nbd_close (nbd);
  return NULL;
}

static struct nbd_handle *
connection_new (void)
{
  struct nbd_handle *nbd = connection_try ();

  if (!nbd)
    errx (1, "%s", nbd_get_error ());
  return nbd;
}

/* Another one for one that was lost; NULL when it is time to stop. */
static struct nbd_handle *
connection_again (struct nbd_handle *old)
{
  struct nbd_handle *nbd = NULL;

  nbd_close (old);
  lost++;
  while (!told_to_stop && !(nbd = connection_try ())) {
    lost++;
    usleep (CONNECT_US);
  }
  return nbd;
}

/* ---- load ------------------------------------------------------------------------------------ */

/* A flush covers the writes acknowledged before it was sent, on any connection. */
static int
flush (struct nbd_handle *nbd)
{
  CLEANUP_FREE uint64_t *before = calloc (shape.count, sizeof *before);

  if (!before)
    err (1, "calloc");
  pthread_mutex_lock (&blocks_lock);
  for (uint64_t i = 0; i < shape.count; i++)
    before[i] = blocks[i].acknowledged;
  pthread_mutex_unlock (&blocks_lock);
  if (nbd_flush (nbd, 0) < 0)
    return -1;
  LOCK_FOR_SCOPE (&blocks_lock);
  for (uint64_t i = 0; i < shape.count; i++)
    blocks[i].durable = MAX (blocks[i].durable, before[i]);
  durable_acks++;
  return 0;
}

static int
write_block (struct nbd_handle *nbd, uint64_t block, bool fua, uint8_t *buf)
{
  struct block *b = &blocks[block];

  content (buf, block, ++b->sent);
  if (nbd_pwrite (nbd, buf, shape.block_bytes, block * shape.block_bytes,
                  fua ? LIBNBD_CMD_FLAG_FUA : 0)
      < 0)
    return -1;
  LOCK_FOR_SCOPE (&blocks_lock);
  b->acknowledged = b->sent;
  if (fua) {
    b->durable = b->sent;
    durable_acks++;
  }
  return 0;
}

/* A block of this thread's: what was acknowledged last, or something sent since that was refused.
 */
static int
read_block (struct nbd_handle *nbd, uint64_t block, uint8_t *buf)
{
  const struct block *b = &blocks[block];

  if (nbd_pread (nbd, buf, shape.block_bytes, block * shape.block_bytes, 0) < 0)
    return -1;
  for (uint64_t i = 0; i < shape.block_bytes / UNIT; i++) {
    uint64_t pair[2];

    memcpy (pair, buf + i * UNIT, UNIT);
    if (pair[1] != mix (block, pair[0], i) || pair[0] > b->sent || pair[0] < b->acknowledged)
      errx (1, "block %" PRIu64 " reads as write %" PRIu64 ", and %" PRIu64 " was acknowledged",
            block, pair[0], b->acknowledged);
  }
  return 0;
}

/* Whether the load goes on after a request that failed. */
static bool
is_refusal (struct nbd_handle *nbd)
{
  if (!goes_on || (nbd_get_errno () != EIO && nbd_get_errno () != ENOSPC))
    return false;
  if (nbd_aio_is_ready (nbd) != 1)
    return false;
  refused++;
  usleep (500);
  return true;
}

static int
one_request (struct nbd_handle *nbd, uint64_t block, int dice, uint8_t *buf)
{
  if (dice == 0)
    return flush (nbd);
  if (goes_on && dice > 9)
    return read_block (nbd, block, buf);
  return write_block (nbd, block, dice < 5, buf);
}

static void *
load_thread (void *arg)
{
  unsigned seed = *(unsigned *)arg, self = seed % thread_count;
  struct nbd_handle *nbd = connection_new ();
  CLEANUP_FREE uint8_t *buf = malloc (shape.block_bytes);
  int r = 0;

  if (!buf)
    err (1, "malloc");
  while (r == 0 && !told_to_stop) {
    uint64_t block = (uint64_t)rand_r (&seed) % (shape.count / thread_count) * thread_count + self;

    r = one_request (nbd, block, rand_r (&seed) % 16, buf);
    done += r == 0;
    if (r < 0 && is_refusal (nbd))
      r = 0;
    else if (r < 0 && reconnects) {
      nbd = connection_again (nbd);
      r = 0;
    }
    if (reconnects)
      usleep (PAUSE_US);
  }
  if (goes_on && r < 0)
    errx (1, "%s", nbd_get_error ());
  nbd_close (nbd);
  return NULL;
}

static int64_t
wall_clock_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until told to stop: what came of requests, where it changes.  A line has the time from which on
 * it was so.
 */
static void
tell_outcomes (void)
{
  uint64_t before[3] = {0};
  int told = -1;

  while (!told_to_stop) {
    int64_t since_ms = wall_clock_ms ();
    uint64_t now[3];
    int outcome = 0;

    usleep (TICK_MS * 1000);
    now[0] = done;
    now[1] = refused;
    now[2] = lost;
    for (int i = 0; i < 3; i++)
      outcome |= (now[i] != before[i]) << i;
    memcpy (before, now, sizeof before);
    if (outcome != told)
      printf ("%" PRId64 " %" PRId64 " %d %d %d\n", since_ms, wall_clock_ms () - since_ms,
              outcome & 1, outcome >> 1 & 1, outcome >> 2);
    told = outcome;
    fflush (stdout);
  }
  printf ("%" PRId64 " 0 0 0 0\n", wall_clock_ms ());
}

static void
write_journal (const char *path)
{
  CLEANUP_FCLOSE FILE *f = fopen (path, "w");

  if (!f || fwrite (&shape, sizeof shape, 1, f) != 1
      || fwrite (blocks, sizeof *blocks, shape.count, f) != shape.count)
    err (1, "%s", path);
}

static void
load (const char *journal, unsigned seed, uint64_t most_blocks)
{
  struct nbd_handle *nbd = connection_new ();
  CLEANUP_FREE uint8_t *buf = malloc (shape.block_bytes);
  CLEANUP_FREE pthread_t *threads = calloc (thread_count, sizeof *threads);
  CLEANUP_FREE unsigned *seeds = calloc (thread_count, sizeof *seeds);

  shape.count = MIN ((uint64_t)nbd_get_size (nbd) / shape.block_bytes, most_blocks);
  shape.count = shape.count / thread_count * thread_count;
  blocks = calloc (shape.count, sizeof *blocks);
  if (!buf || !threads || !seeds || !blocks)
    err (1, "calloc");
  for (uint64_t i = 0; i < shape.count; i++)
    if (write_block (nbd, i, false, buf) < 0)
      errx (1, "%s", nbd_get_error ());
  if (flush (nbd) < 0)
    errx (1, "%s", nbd_get_error ());
  printf ("ready\n");
  fflush (stdout);
  for (unsigned i = 0; i < thread_count; i++) {
    seeds[i] = seed * thread_count + i;
    if (pthread_create (&threads[i], NULL, load_thread, &seeds[i]) != 0)
      errx (1, "pthread_create");
  }
  if (reconnects)
    tell_outcomes ();
  for (unsigned i = 0; i < thread_count; i++)
    pthread_join (threads[i], NULL);
  nbd_close (nbd);
  for (uint64_t i = 0; goes_on && i < shape.count; i++)
    blocks[i].durable = blocks[i].acknowledged;
  write_journal (journal);
  printf ("%" PRIu64 " durable writes and flushes\n", durable_acks);
  if (goes_on)
    printf ("%" PRIu64 " requests done, %" PRIu64 " refused\n", done, refused);
}

static void
on_sigterm (int sig)
{
  (void)sig;
  told_to_stop = 1;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static void
read_journal (const char *path)
{
  CLEANUP_FCLOSE FILE *f = fopen (path, "r");

  if (!f || fread (&shape, sizeof shape, 1, f) != 1)
    err (1, "%s", path);
  blocks = calloc (shape.count, sizeof *blocks);
  if (!blocks || fread (blocks, sizeof *blocks, shape.count, f) != shape.count)
    err (1, "%s", path);
}

static void
verify_block (const uint8_t *buf, uint64_t block)
{
  const struct block *b = &blocks[block];

  for (uint64_t i = 0; i < shape.block_bytes / UNIT; i++) {
    uint64_t pair[2];

    memcpy (pair, buf + i * UNIT, UNIT);
    if (pair[1] != mix (block, pair[0], i) || pair[0] > b->sent)
      errx (1, "block %" PRIu64 ", byte %" PRIu64 ": nothing that was ever written there", block,
            i * UNIT);
    if (pair[0] < b->durable)
      errx (1,
            "block %" PRIu64 ", byte %" PRIu64 ": from write %" PRIu64 ", though %" PRIu64
            " was acknowledged as durable",
            block, i * UNIT, pair[0], b->durable);
  }
}

static void
verify (const char *journal)
{
  struct nbd_handle *nbd = connection_new ();
  CLEANUP_FREE uint8_t *buf = NULL;

  read_journal (journal);
  buf = malloc (shape.block_bytes);
  if (!buf)
    err (1, "malloc");
  for (uint64_t i = 0; i < shape.count; i++) {
    if (nbd_pread (nbd, buf, shape.block_bytes, i * shape.block_bytes, 0) < 0)
      errx (1, "%s", nbd_get_error ());
    verify_block (buf, i);
  }
  nbd_shutdown (nbd, 0);
  nbd_close (nbd);
}

static void
usage (void)
{
  errx (2, "usage: nbd-journal load|through URI JOURNAL SEED BLOCK_SIZE THREADS"
           " | day URI JOURNAL SEED BLOCK_SIZE THREADS BLOCKS | verify URI JOURNAL");
}

/* Everything behind the kind of load. */
static void
load_as_told (int argc, char **argv)
{
  reconnects = strcmp (argv[1], "day") == 0;
  goes_on = reconnects || strcmp (argv[1], "through") == 0;
  if ((!goes_on && strcmp (argv[1], "load") != 0) || argc != 7 + reconnects)
    usage ();
  signal (SIGTERM, on_sigterm);
  uri = argv[2];
  shape.block_bytes = strtoull (argv[5], NULL, 0);
  thread_count = (unsigned)strtoul (argv[6], NULL, 0);
  if (shape.block_bytes == 0 || shape.block_bytes % UNIT != 0 || thread_count == 0)
    errx (2, "BLOCK_SIZE must be a multiple of 16, THREADS at least 1");
  load (argv[3], (unsigned)strtoul (argv[4], NULL, 0),
        reconnects ? strtoull (argv[7], NULL, 0) : UINT64_MAX);
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "verify") == 0) {
    uri = argv[2];
    verify (argv[3]);
  }
  else if (argc >= 2)
    load_as_told (argc, argv);
  else
    usage ();
  free (blocks);
  return 0;
}
