/* What crypto/xts.h promises: the published answers, and one result from every back end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/wrap.h"
#include "crypto/xts-vectors.h"
#include "crypto/xts.h"
#include "tests/xts-variants.h"

static const struct xts_backend *variants[XTS_VARIANTS_MAX];

#define FOR_EACH_BACKEND(b) for (size_t b##_ = 0; (b = variants[b##_]); b##_++)

/* xorshift64*: the same numbers in every run. */
static uint64_t random_state = 0x6b657966656e6365;

static uint64_t
random_number (void)
{
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 0x2545f4914f6cdd1d;
}

static void
fill_random (uint8_t *bytes, size_t size)
{
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(random_number () >> 32);
}

static void
make_key (struct secret *ret_key)
{
  assert_int_equal (secret_init (ret_key, VOLUME_KEY_SIZE, NULL), 0);
  fill_random (ret_key->bytes, ret_key->size);
}

static struct xts_context *
new_context (const struct xts_backend *backend, const struct secret *key)
{
  struct error err = {0};
  struct xts_context *context = backend->context_new (key, &err);

  assert_string_equal (err.text, "");
  assert_non_null (context);
  return context;
}

static int
load_backends (void **state)
{
  (void)state;
  return xts_variants (variants) > 0 && variants[0] == &xts_openssl ? 0 : -1;
}

static void
every_back_end_gives_the_published_answers (void **state)
{
  const struct xts_backend *backend;

  (void)state;
  assert_int_equal (xts_answer_count, 18); /* 5 of IEEE 1619, 13 of Wycheproof */
  FOR_EACH_BACKEND (backend) for (size_t i = 0; i < xts_answer_count; i++)
  {
    const struct xts_answer *answer = &xts_answers[i];
    uint8_t plain[XTS_ANSWER_MAX], cipher[XTS_ANSWER_MAX], out[XTS_ANSWER_MAX];
    CLEANUP_SECRET struct secret key = {0};
    struct xts_context *context;

    assert_int_equal (secret_init (&key, VOLUME_KEY_SIZE, NULL), 0);
    assert_int_equal (hex_decode (answer->key, key.bytes, key.size), 0);
    assert_int_equal (hex_decode (answer->cipher, cipher, answer->size), 0);
    for (size_t j = 0; j < answer->size; j++)
      plain[j] = (uint8_t)j;
    if (answer->plain)
      assert_int_equal (hex_decode (answer->plain, plain, answer->size), 0);
    context = new_context (backend, &key);
    assert_int_equal (backend->encrypt (context, answer->tweak, answer->size, plain, out, 1), 0);
    assert_memory_equal (out, cipher, answer->size);
    assert_int_equal (backend->decrypt (context, answer->tweak, answer->size, out, out, 1), 0);
    assert_memory_equal (out, plain, answer->size);
    backend->context_free (context);
  }
}

static void
every_back_end_passes_its_own_proof (void **state)
{
  const struct xts_backend *backend;

  (void)state;
  FOR_EACH_BACKEND (backend)
  {
    struct error err = {0};

    assert_int_equal (xts_known_answers (backend, &err), 0);
    assert_int_equal (err.class, ERROR_NONE);
  }
}

/* ---- one back end against another ---------------------------------------------------------- */

#define COMPARED_SECTORS 10000
#define RUN_SECTORS_MAX 16
#define MISALIGNMENT_MAX 63
#define BUFFER_BYTES (RUN_SECTORS_MAX * 4096 + MISALIGNMENT_MAX)

struct comparison {
  const struct xts_backend *a, *b;
  struct xts_context *context_a, *context_b;
  uint8_t plain[BUFFER_BYTES], one[BUFFER_BYTES], other[BUFFER_BYTES];
};

/* Of all magnitudes, the last ones beyond 2^55. */
static uint64_t
random_tweak (size_t sector_size)
{
  uint64_t below = UINT64_C (1) << (random_number () % 56);

  return round_down (below + random_number () % below, sector_size / 512);
}

/* `a` takes the run in one call, `b` sector by sector; then each decrypts the other's. */
static void
compare_run (struct comparison *c, uint64_t tweak, size_t sector_size, size_t count)
{
  uint8_t *plain = c->plain + random_number () % (MISALIGNMENT_MAX + 1);
  uint8_t *one = c->one + random_number () % (MISALIGNMENT_MAX + 1);
  uint8_t *other = c->other + random_number () % (MISALIGNMENT_MAX + 1);
  size_t size = sector_size * count;
  bool in_place = random_number () % 2;

  if (in_place)
    memcpy (one, plain, size);
  assert_int_equal (
      c->a->encrypt (c->context_a, tweak, sector_size, in_place ? one : plain, one, count), 0);
  for (size_t i = 0; i < count; i++)
    assert_int_equal (c->b->encrypt (c->context_b, tweak + i * (sector_size / 512), sector_size,
                                     plain + i * sector_size, other + i * sector_size, 1),
                      0);
  assert_memory_equal (one, other, size);
  assert_memory_not_equal (one, plain, size);

  assert_int_equal (c->a->decrypt (c->context_a, tweak, sector_size, other, other, count), 0);
  assert_memory_equal (other, plain, size);
  assert_int_equal (
      c->b->decrypt (c->context_b, tweak, sector_size, one, in_place ? one : other, count), 0);
  assert_memory_equal (in_place ? one : other, plain, size);
}

/* A new key every hundred sectors or so. */
static void
compare_under_one_key (struct comparison *c, size_t sector_size)
{
  CLEANUP_SECRET struct secret key = {0};

  make_key (&key);
  c->context_a = new_context (c->a, &key);
  c->context_b = new_context (c->b, &key);
  fill_random (c->plain, sector_size * RUN_SECTORS_MAX + MISALIGNMENT_MAX);
  for (size_t done = 0; done < 100;) {
    size_t count = 1 + random_number () % RUN_SECTORS_MAX;

    compare_run (c, random_tweak (sector_size), sector_size, count);
    done += count;
  }
  c->a->context_free (c->context_a);
  c->b->context_free (c->context_b);
}

static void
compare_with (const struct xts_backend *other, size_t sector_size)
{
  static struct comparison c;

  c.a = variants[0];
  c.b = other;
  for (size_t i = 0; i < COMPARED_SECTORS / 100; i++) {
    const struct xts_backend *a = c.a;

    compare_under_one_key (&c, sector_size);
    c.a = c.b;
    c.b = a;
  }
}

static void
compare_all (size_t sector_size)
{
  if (!variants[1]) {
    print_message ("skipped: only one back end here: nothing to compare it with\n");
    skip ();
  }
  for (size_t i = 1; variants[i]; i++)
    compare_with (variants[i], sector_size);
}

static void
back_ends_agree_on_random_sectors_of_512_bytes (void **state)
{
  (void)state;
  compare_all (512);
}

static void
back_ends_agree_on_random_sectors_of_4096_bytes (void **state)
{
  (void)state;
  compare_all (4096);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void
a_key_with_equal_halves_is_refused_everywhere (void **state)
{
  const struct xts_backend *backend;
  CLEANUP_SECRET struct secret key = {0};
  struct error err = {0};

  (void)state;
  make_key (&key);
  memcpy (key.bytes + 32, key.bytes, 32);
  assert_int_equal (xts_check_key (&key, &err), -1);
  assert_int_equal (err.class, ERROR_FOREIGN);
  assert_non_null (strstr (err.text, "halves"));
  FOR_EACH_BACKEND (backend)
  assert_null (backend->context_new (&key, NULL));
}

static void
a_key_whose_halves_differ_in_one_bit_is_taken (void **state)
{
  CLEANUP_SECRET struct secret key = {0};

  (void)state;
  make_key (&key);
  memcpy (key.bytes + 32, key.bytes, 32);
  for (unsigned bit = 0; bit < 256; bit++) {
    key.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    assert_int_equal (xts_check_key (&key, NULL), 0);
    key.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
  }
}

static void
a_key_of_another_size_is_refused (void **state)
{
  static const size_t sizes[] = {1, 32, 63, 65, 128};
  const struct xts_backend *backend;

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (sizes); i++) {
    CLEANUP_SECRET struct secret key = {0};

    assert_int_equal (secret_random (&key, sizes[i], NULL), 0);
    assert_int_equal (xts_check_key (&key, NULL), -1);
    FOR_EACH_BACKEND (backend)
    assert_null (backend->context_new (&key, NULL));
  }
}

/* ---- threads ------------------------------------------------------------------------------- */

#define THREADS 4
#define THREAD_ROUNDS 50

struct worker {
  const struct xts_backend *backend;
  const struct secret *key;
  const uint8_t *plain, *cipher; /* four sectors of 4096 bytes from tweak 64 on */
  int failures;
};

static void *
work (void *arg)
{
  struct worker *w = arg;

  for (int i = 0; i < THREAD_ROUNDS; i++) {
    struct xts_context *context = w->backend->context_new (w->key, NULL);
    uint8_t out[4 * 4096];

    if (!context || w->backend->encrypt (context, 64, 4096, w->plain, out, 4) != 0
        || memcmp (out, w->cipher, sizeof out) != 0
        || w->backend->decrypt (context, 64, 4096, out, out, 4) != 0
        || memcmp (out, w->plain, sizeof out) != 0)
      w->failures++;
    w->backend->context_free (context);
  }
  return NULL;
}

static void
threads_with_contexts_of_their_own_do_not_disturb_each_other (void **state)
{
  static uint8_t plain[4 * 4096], cipher[4 * 4096];
  const struct xts_backend *backend;
  CLEANUP_SECRET struct secret key = {0};

  (void)state;
  make_key (&key);
  fill_random (plain, sizeof plain);
  FOR_EACH_BACKEND (backend)
  {
    struct xts_context *context = new_context (backend, &key);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    assert_int_equal (backend->encrypt (context, 64, 4096, plain, cipher, 4), 0);
    backend->context_free (context);
    for (size_t i = 0; i < THREADS; i++) {
      workers[i] = (struct worker){backend, &key, plain, cipher, 0};
      assert_int_equal (pthread_create (&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
      pthread_join (threads[i], NULL);
      assert_int_equal (workers[i].failures, 0);
    }
  }
}

/* ---- random sectors ------------------------------------------------------------------------- */

static void
every_back_end_passes_many_cross_checks (void **state)
{
  const struct xts_backend *backend;

  (void)state;
  FOR_EACH_BACKEND (backend) for (int i = 0; i < 50; i++)
  {
    struct error err = {0};

    assert_int_equal (xts_cross_check (backend, &xts_openssl, &err), 0);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_back_end_gives_the_published_answers),
      cmocka_unit_test (every_back_end_passes_its_own_proof),
      cmocka_unit_test (back_ends_agree_on_random_sectors_of_512_bytes),
      cmocka_unit_test (back_ends_agree_on_random_sectors_of_4096_bytes),
      cmocka_unit_test (a_key_with_equal_halves_is_refused_everywhere),
      cmocka_unit_test (a_key_whose_halves_differ_in_one_bit_is_taken),
      cmocka_unit_test (a_key_of_another_size_is_refused),
      cmocka_unit_test (threads_with_contexts_of_their_own_do_not_disturb_each_other),
      cmocka_unit_test (every_back_end_passes_many_cross_checks),
  };

  return cmocka_run_group_tests (tests, load_backends, NULL);
}
