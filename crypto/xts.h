/* AES-256-XTS over sectors, as dm-crypt's aes-xts-plain64: the tweak is the sector's number in
 * units of 512 bytes, little endian, in the first 8 of 16 bytes (IEEE Std 1619-2018; Linux
 * dm-crypt.rst).
 *
 * One back end is one library, or our own code for some processors.  A context is keyed once and
 * serves both directions; after that only the tweak changes.  A context may be used by one thread
 * at a time; different contexts by different threads at once.
 */
#ifndef CRYPTO_XTS_H
#define CRYPTO_XTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/secret.h"

struct xts_context; /* each back end has its own */

struct xts_backend {
  const char *name;

  /* Whether contexts lie in locked memory (if not, the process should lock all of its memory);
   * known after load ().  A later context that does not makes secret_all_locked () false. */
  bool locks_memory;

  /* Makes the library ready; called before anything else, from one thread at a time.  Called again,
   * it only looks again. */
  int (*load) (struct error *err);

  /* A keyed context, or NULL.  `key` has VOLUME_KEY_SIZE bytes in secret memory and passes
   * xts_check_key; it is not needed afterwards. */
  struct xts_context *(*context_new) (const struct secret *key, struct error *err);

  /* Wipes and frees; NULL is accepted. */
  void (*context_free) (struct xts_context *context);

  /* `count` sectors of `sector_size` (512 or 4096) bytes from `in` to `out` (the same address, or
   * buffers that don't overlap), the first of which has the tweak `first_tweak` (its byte offset in
   * the data segment / 512).  No alignment is needed.  (The known answers use single sectors of any
   * whole number of 16-byte blocks.)  Returns 0; anything else means that the
   * library failed and `out` is undefined.
   */
  int (*encrypt) (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                  const uint8_t *in, uint8_t *out, size_t count);
  int (*decrypt) (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                  const uint8_t *in, uint8_t *out, size_t count);
};

/* The back end called `name` ("openssl", "gcrypt", "vaes", "auto"), loaded and proven by the known
 * answers of this folder's table in both directions, and against OpenSSL (where that has XTS) on
 * random sectors.  "auto" takes the one that a measurement of a few milliseconds shows to be the
 * fastest among those that pass.  Every call proves again.
 */
int
xts_select (const char *name, const struct xts_backend **ret_backend, struct error *err) MUST_CHECK;

/* Runs the known answers on a loaded back end. */
int xts_known_answers (const struct xts_backend *backend, struct error *err) MUST_CHECK;

/* Compares two loaded back ends on random sectors, in both directions; takes a quarter of a
 * millisecond.
 */
int xts_cross_check (const struct xts_backend *backend, const struct xts_backend *reference,
                     struct error *err) MUST_CHECK;

/* All back ends of this build, ending in NULL; for tests and benchmarks. */
extern const struct xts_backend *const xts_backends[];

/* Constant-time check that the halves of an XTS key differ (FIPS 140-3 IG C.I, SP 800-38E). */
int xts_check_key (const struct secret *key, struct error *err) MUST_CHECK;

#endif
