/* Known answers for AES-256-XTS: published vectors and digests of larger runs.  Nothing here is
 * secret.
 */
#ifndef CRYPTO_XTS_VECTORS_H
#define CRYPTO_XTS_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#define XTS_ANSWER_MAX 512 /* the longest text, in bytes */
#define XTS_RUN_MAX 16384  /* the longest run, in bytes */

/* One data unit of `size` bytes.  Key, text and ciphertext in hex; plain == NULL is 00 01 … ff,
 * repeated.
 */
struct xts_answer {
  const char *name;
  const char *key;
  uint64_t tweak;
  size_t size;
  const char *plain, *cipher;
};

/* `count` sectors of `sector_size` bytes under xts_run_key; byte i of the text is i mod 251; the
 * digest is the ciphertext's SHA-256 in hex.
 */
struct xts_run {
  uint64_t first_tweak;
  size_t sector_size, count;
  const char *sha256;
};

extern const struct xts_answer xts_answers[];
extern const size_t xts_answer_count;
extern const char xts_run_key[];
extern const struct xts_run xts_runs[];
extern const size_t xts_run_count;

#endif
