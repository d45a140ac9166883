/* xts.c owns the choice of a back end, and the check that every XTS key must pass. */
#include "crypto/xts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/wrap.h"
#include "config.h"
#include "crypto/xts-backend.h"
#include "crypto/xts-vectors.h"

/* The measurement: 64 KiB there and back, the best of several, for at most 2 ms a back end. */
#define MEASURE_SECTOR 4096
#define MEASURE_COUNT 16
#define MEASURE_ROUNDS 24
#define MEASURE_NS 2000000

const struct xts_backend *const xts_backends[] = {
    &xts_openssl,
#if HAVE_GCRYPT
    &xts_gcrypt,
#endif
#if HAVE_VAES
    &xts_vaes,
#endif
    NULL,
};

int
xts_check_key (const struct secret *key, struct error *err)
{
  if (key->size != VOLUME_KEY_SIZE)
    return error_set (err, ERROR_FOREIGN, "an AES-256-XTS key has %d bytes, this one has %zu",
                      VOLUME_KEY_SIZE, key->size);
  if (CRYPTO_memcmp (key->bytes, key->bytes + VOLUME_KEY_SIZE / 2, VOLUME_KEY_SIZE / 2) == 0)
    return error_set (err, ERROR_FOREIGN,
                      "the two halves of the volume key are equal, which AES-XTS forbids (NIST SP "
                      "800-38E, FIPS 140-3 IG C.I): make a new volume with a random key");
  return 0;
}

static int
prove (const struct xts_backend *backend, struct error *err)
{
  if (backend->load (err) < 0 || xts_known_answers (backend, err) < 0)
    return -1;
  if (backend == &xts_openssl || xts_openssl.load (NULL) < 0)
    return 0;
  return xts_cross_check (backend, &xts_openssl, err);
}

static uint64_t
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The shortest time for `buf` there and back; UINT64_MAX when the back end fails. */
static uint64_t
time_rounds (const struct xts_backend *backend, struct xts_context *context, uint8_t *buf)
{
  uint64_t start = now_ns (), before = start, best = UINT64_MAX;

  for (unsigned i = 0; i < MEASURE_ROUNDS && before - start < MEASURE_NS; i++) {
    uint64_t after;

    if (backend->encrypt (context, 0, MEASURE_SECTOR, buf, buf, MEASURE_COUNT) != 0
        || backend->decrypt (context, 0, MEASURE_SECTOR, buf, buf, MEASURE_COUNT) != 0)
      return UINT64_MAX;
    after = now_ns ();
    best = MIN (best, after - before);
    before = after;
  }
  return best;
}

/* With a key of the tables, so that nobody's volume key is in the loser's memory. */
static uint64_t
measure (const struct xts_backend *backend)
{
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_FREE uint8_t *buf = calloc (MEASURE_COUNT, MEASURE_SECTOR);
  struct xts_context *context;
  uint64_t best;

  if (!buf || secret_init (&key, VOLUME_KEY_SIZE, NULL) < 0
      || hex_decode (xts_run_key, key.bytes, key.size) < 0)
    return UINT64_MAX;
  context = backend->context_new (&key, NULL);
  if (!context)
    return UINT64_MAX;
  best = time_rounds (backend, context, buf);
  backend->context_free (context);
  return best;
}

/* No measurement where there is no choice. */
static const struct xts_backend *
fastest (const struct xts_backend *const *backends, size_t count)
{
  const struct xts_backend *best = backends[0];
  uint64_t best_ns = count > 1 ? measure (best) : 0;

  for (size_t i = 1; i < count; i++) {
    uint64_t ns = measure (backends[i]);

    if (ns < best_ns) {
      best = backends[i];
      best_ns = ns;
    }
  }
  return best;
}

static int
select_auto (const struct xts_backend **ret_backend, struct error *err)
{
  const struct xts_backend *proven[ARRAY_SIZE (xts_backends)];
  struct error why = {0};
  size_t count = 0;

  for (size_t i = 0; xts_backends[i]; i++)
    if (prove (xts_backends[i], &why) == 0)
      proven[count++] = xts_backends[i];
  if (count == 0)
    return error_set (err, why.class, "crypto=auto: no back end works; the last one says: %s",
                      why.text);
  *ret_backend = fastest (proven, count);
  return 0;
}

static int
unknown_name (const char *name, struct error *err)
{
  char names[128] = "auto";
  size_t used = strlen (names);

  for (size_t i = 0; xts_backends[i] && used < sizeof names; i++)
    used += (size_t)snprintf (names + used, sizeof names - used, ", %s", xts_backends[i]->name);
  return error_set (err, ERROR_USAGE, "crypto=%s: this build has %s", name, names);
}

int
xts_select (const char *name, const struct xts_backend **ret_backend, struct error *err)
{
  if (strcmp (name, "auto") == 0)
    return select_auto (ret_backend, err);
  for (size_t i = 0; xts_backends[i]; i++)
    if (strcmp (name, xts_backends[i]->name) == 0) {
      if (prove (xts_backends[i], err) < 0)
        return -1;
      *ret_backend = xts_backends[i];
      return 0;
    }
  return unknown_name (name, err);
}
