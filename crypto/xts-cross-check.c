/* xts-cross-check.c owns the comparison of a back end with another one on random sectors: known
 * answers are the same each time, and a fault may show with other data, sizes or addresses.
 */
#include "crypto/xts.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "common/checked.h"
#include "common/wrap.h"
#include "crypto/xts-backend.h"

/* Of each run the count is random, from `least` on: few sectors and many, and at least one run that
 * the kernels take in two batches.
 */
static const struct {
  size_t sector_size;
  uint8_t least, span;
} runs[] = {{512, 1, 32}, {4096, 2, 7}, {512, 65, 8}};

#define RUN_BYTES_MAX ((size_t)72 * 512)
#define MISALIGNED_MAX 64

/* The key and the texts are random and never used again: no secrets. */
struct check {
  const struct xts_backend *backend, *reference;
  struct xts_context *context, *reference_context;
  struct secret key;
  uint8_t plain[RUN_BYTES_MAX], expected[RUN_BYTES_MAX], result[RUN_BYTES_MAX + MISALIGNED_MAX];
};

/* What is random of a run. */
struct choice {
  uint64_t tweak;
  uint8_t count, misaligned, in_place;
};

static void
check_free (struct check **check)
{
  struct check *c = *check;

  if (!c)
    return;
  c->backend->context_free (c->context);
  c->reference->context_free (c->reference_context);
  secret_clear (&c->key);
  free (c);
}

static int
new_check (const struct xts_backend *backend, const struct xts_backend *reference,
           struct check **ret_check, struct error *err)
{
  CLEANUP (check_free) struct check *c = calloc (1, sizeof *c);

  if (!c)
    return error_set (err, ERROR_SYSTEM, "no memory for the check of crypto=%s", backend->name);
  c->backend = backend;
  c->reference = reference;
  if (secret_random (&c->key, VOLUME_KEY_SIZE, err) < 0
      || !(c->context = backend->context_new (&c->key, err))
      || !(c->reference_context = reference->context_new (&c->key, err)))
    return -1;
  if (RAND_bytes (c->plain, sizeof c->plain) != 1)
    return error_set (err, ERROR_SYSTEM, "OpenSSL's random generator failed");
  *ret_check = c;
  c = NULL;
  return 0;
}

static bool
agrees (struct check *c, size_t sector_size, size_t count, const struct choice *choice)
{
  uint8_t *result = c->result + choice->misaligned % MISALIGNED_MAX;
  const uint8_t *in = choice->in_place % 2 ? result : c->plain;
  uint64_t tweak = round_down (choice->tweak, sector_size / XTS_TWEAK_UNIT);
  size_t size = sector_size * count;

  memcpy (result, c->plain, size);
  return c->reference->encrypt (c->reference_context, tweak, sector_size, c->plain, c->expected,
                                count)
             == 0
         && c->backend->encrypt (c->context, tweak, sector_size, in, result, count) == 0
         && CRYPTO_memcmp (result, c->expected, size) == 0
         && c->backend->decrypt (c->context, tweak, sector_size, result, result, count) == 0
         && CRYPTO_memcmp (result, c->plain, size) == 0;
}

int
xts_cross_check (const struct xts_backend *backend, const struct xts_backend *reference,
                 struct error *err)
{
  CLEANUP (check_free) struct check *c = NULL;

  if (new_check (backend, reference, &c, err) < 0)
    return -1;
  for (size_t i = 0; i < ARRAY_SIZE (runs); i++) {
    struct choice choice;

    if (RAND_bytes ((uint8_t *)&choice, sizeof choice) != 1)
      return error_set (err, ERROR_SYSTEM, "OpenSSL's random generator failed");
    if (!agrees (c, runs[i].sector_size, runs[i].least + (size_t)choice.count % runs[i].span,
                 &choice))
      return error_set (err, ERROR_SYSTEM,
                        "crypto=%s: random sectors of %zu bytes come out otherwise than by "
                        "crypto=%s: one of the libraries or this machine is broken; check the "
                        "machine",
                        backend->name, runs[i].sector_size, reference->name);
  }
  return 0;
}
