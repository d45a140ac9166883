/* xts-known-answers.c owns the proof that a back end computes AES-256-XTS, in both directions. */
#include "crypto/xts.h"

#include <stdlib.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/encode.h"
#include "common/wrap.h"
#include "crypto/xts-vectors.h"

/* What a proof works with.  The texts are public, so they may lie on the heap. */
struct proof {
  const struct xts_backend *backend;
  struct xts_context *context;
  struct secret key;
  uint8_t plain[XTS_RUN_MAX], cipher[XTS_RUN_MAX], result[XTS_RUN_MAX];
};

static void
proof_free (struct proof **proof)
{
  if (!*proof)
    return;
  (*proof)->backend->context_free ((*proof)->context);
  secret_clear (&(*proof)->key);
  free (*proof);
}

static int
wrong (const struct proof *proof, const char *direction, const char *name, struct error *err)
{
  return error_set (err, ERROR_SYSTEM,
                    "crypto=%s: %s gives a wrong answer (%s): the library or this machine is "
                    "broken; use another back end and check the machine",
                    proof->backend->name, direction, name);
}

static bool
differ (const uint8_t *a, const uint8_t *b, size_t size)
{
  return CRYPTO_memcmp (a, b, size) != 0;
}

/* The key comes from the tables, where it is no secret. */
static int
use_key (struct proof *proof, const char *hex, struct error *err)
{
  proof->backend->context_free (proof->context);
  proof->context = NULL;
  if (hex_decode (hex, proof->key.bytes, proof->key.size) < 0)
    return error_set (err, ERROR_SYSTEM, "a known answer's key is not %zu bytes of hex",
                      proof->key.size);
  proof->context = proof->backend->context_new (&proof->key, err);
  return proof->context ? 0 : error_prefix (err, "crypto=%s", proof->backend->name);
}

static int
load_texts (struct proof *proof, const struct xts_answer *answer, struct error *err)
{
  for (size_t i = 0; i < answer->size && !answer->plain; i++)
    proof->plain[i] = (uint8_t)i;
  if ((answer->plain && hex_decode (answer->plain, proof->plain, answer->size) < 0)
      || hex_decode (answer->cipher, proof->cipher, answer->size) < 0)
    return error_set (err, ERROR_SYSTEM, "the known answer %s is not hex of its size",
                      answer->name);
  return 0;
}

static int
check_answer (struct proof *proof, const struct xts_answer *answer, struct error *err)
{
  const struct xts_backend *backend = proof->backend;
  size_t size = answer->size;

  if (use_key (proof, answer->key, err) < 0 || load_texts (proof, answer, err) < 0)
    return -1;
  if (backend->encrypt (proof->context, answer->tweak, size, proof->plain, proof->result, 1) != 0
      || differ (proof->result, proof->cipher, size))
    return wrong (proof, "encryption", answer->name, err);
  if (backend->decrypt (proof->context, answer->tweak, size, proof->cipher, proof->result, 1) != 0
      || differ (proof->result, proof->plain, size))
    return wrong (proof, "decryption", answer->name, err);
  return 0;
}

static bool
has_digest (const uint8_t *bytes, size_t size, const char *sha256)
{
  uint8_t expected[32], digest[32];

  return hex_decode (sha256, expected, sizeof expected) == 0
         && EVP_Digest (bytes, size, digest, NULL, EVP_sha256 (), NULL) == 1
         && !differ (digest, expected, sizeof digest);
}

static int
check_run (struct proof *proof, const struct xts_run *run, struct error *err)
{
  const struct xts_backend *backend = proof->backend;
  size_t size = run->sector_size * run->count;
  char name[64];

  snprintf (name, sizeof name, "%zu sectors of %zu bytes, tweak 0x%llx", run->count,
            run->sector_size, (unsigned long long)run->first_tweak);
  if (backend->encrypt (proof->context, run->first_tweak, run->sector_size, proof->plain,
                        proof->result, run->count)
          != 0
      || !has_digest (proof->result, size, run->sha256))
    return wrong (proof, "encryption", name, err);
  if (backend->decrypt (proof->context, run->first_tweak, run->sector_size, proof->result,
                        proof->result, run->count)
          != 0
      || differ (proof->result, proof->plain, size))
    return wrong (proof, "decryption", name, err);
  return 0;
}

/* One context for all runs, forwards and then backwards: what came before must not matter. */
static int
check_runs (struct proof *proof, struct error *err)
{
  if (use_key (proof, xts_run_key, err) < 0)
    return -1;
  for (size_t i = 0; i < XTS_RUN_MAX; i++)
    proof->plain[i] = (uint8_t)(i % 251);
  for (size_t i = 0; i < 2 * xts_run_count; i++) {
    size_t which = i < xts_run_count ? i : 2 * xts_run_count - 1 - i;

    if (check_run (proof, &xts_runs[which], err) < 0)
      return -1;
  }
  return 0;
}

int
xts_known_answers (const struct xts_backend *backend, struct error *err)
{
  CLEANUP (proof_free) struct proof *proof = calloc (1, sizeof *proof);

  if (!proof)
    return error_set (err, ERROR_SYSTEM, "no memory for the known answers of crypto=%s",
                      backend->name);
  proof->backend = backend;
  if (secret_init (&proof->key, VOLUME_KEY_SIZE, err) < 0)
    return -1;
  for (size_t i = 0; i < xts_answer_count; i++)
    if (check_answer (proof, &xts_answers[i], err) < 0)
      return -1;
  return check_runs (proof, err);
}
