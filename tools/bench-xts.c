/* bench-xts.c owns the measurement of XTS alone. */
#include "tools/bench-xts.h"

#include <stdlib.h>
#include <time.h>

#include "common/checked.h"
#include "common/wrap.h"
#include "crypto/secret.h"

#define ROUNDS 9
#define ROUND_NS 5000000
#define LOOK_BYTES ((size_t)1 << 20)
#define ALIGNMENT 4096 /* as the server's buffers */

const struct bench_xts_case bench_xts_cases[] = {
    {4096, 4096}, {4096, 65536}, {4096, 1048576}, {512, 4096}, {512, 65536}, {512, 1048576},
};
const size_t bench_xts_case_count = ARRAY_SIZE (bench_xts_cases);

typedef int (*crypt_fn) (struct xts_context *, uint64_t, size_t, const uint8_t *, uint8_t *,
                         size_t);

struct bench {
  const struct xts_backend *backend;
  const struct bench_xts_case *which;
  struct xts_context *context;
  uint8_t *buf;
};

static void
bench_clear (struct bench *bench)
{
  bench->backend->context_free (bench->context);
  free (bench->buf);
}

/* What is written is a page of its own each, and not one of zeros that all share. */
static int
bench_init (struct bench *bench, struct error *err)
{
  CLEANUP_SECRET struct secret key = {0};

  if (secret_random (&key, VOLUME_KEY_SIZE, err) < 0
      || !(bench->context = bench->backend->context_new (&key, err)))
    return -1;
  bench->buf = aligned_alloc (ALIGNMENT, bench->which->buffer_bytes);
  if (!bench->buf)
    return error_set (err, ERROR_SYSTEM, "no memory for %zu bytes", bench->which->buffer_bytes);
  for (size_t i = 0; i < bench->which->buffer_bytes; i++)
    bench->buf[i] = (uint8_t)i;
  return 0;
}

/* This thread's processor time, so that other work counts less. */
static uint64_t
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* As many calls as fill the time, by the clock looked at once every MiB.  Bytes a
 * second, or -1.
 */
static double
time_round (const struct bench *bench, crypt_fn crypt)
{
  size_t sector_size = bench->which->sector_size, size = bench->which->buffer_bytes;
  size_t calls = MAX (LOOK_BYTES / size, 1), count = size / sector_size;
  uint64_t start = now_ns (), spent = 0, bytes = 0;

  while (spent < ROUND_NS) {
    for (size_t i = 0; i < calls; i++)
      if (crypt (bench->context, bytes / 512, sector_size, bench->buf, bench->buf, count) != 0)
        return -1;
    bytes += calls * size;
    spent = now_ns () - start;
  }
  return (double)bytes * 1e9 / (double)spent;
}

static int
by_size (const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

int
bench_xts (const struct xts_backend *backend, const struct bench_xts_case *which,
           struct bench_xts_speed *ret_speed, struct error *err)
{
  CLEANUP (bench_clear) struct bench bench = {.backend = backend, .which = which};
  double encrypt[ROUNDS], decrypt[ROUNDS];

  if (bench_init (&bench, err) < 0)
    return -1;
  for (size_t i = 0; i < ROUNDS; i++) {
    encrypt[i] = time_round (&bench, backend->encrypt);
    decrypt[i] = time_round (&bench, backend->decrypt);
    if (encrypt[i] < 0 || decrypt[i] < 0)
      return error_set (err, ERROR_SYSTEM, "crypto=%s failed", backend->name);
  }
  qsort (encrypt, ROUNDS, sizeof encrypt[0], by_size);
  qsort (decrypt, ROUNDS, sizeof decrypt[0], by_size);
  *ret_speed = (struct bench_xts_speed){encrypt[ROUNDS / 2], decrypt[ROUNDS / 2]};
  return 0;
}
