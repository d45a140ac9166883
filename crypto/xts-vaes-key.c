/* xts-vaes-key.c owns AES-256's key schedule (FIPS 197, section 5.2), by AES instructions.
 *
 * Compiled for processors with AES and AVX: nothing here may be called before the choice of a
 * kernel.
 */
#include "crypto/xts-vaes.h"

#include <immintrin.h>

#include "common/wrap.h"
#include "crypto/xts-vaes-clear.h"

#define LAST_ROUND (XTS_VAES_ROUND_KEYS - 1)

typedef uint8_t (*schedule)[XTS_VAES_BLOCK];

static inline __attribute__ ((always_inline)) __m128i
get (const uint8_t block[XTS_VAES_BLOCK])
{
  return _mm_loadu_si128 ((const __m128i *)block);
}

static inline __attribute__ ((always_inline)) void
put (uint8_t block[XTS_VAES_BLOCK], __m128i value)
{
  _mm_storeu_si128 ((__m128i *)block, value);
}

/* Each word is the sum of all words up to it, and of `word` in all places. */
static inline __attribute__ ((always_inline)) __m128i
sum_words (__m128i words, __m128i word)
{
  words = _mm_xor_si128 (words, _mm_slli_si128 (words, 4));
  words = _mm_xor_si128 (words, _mm_slli_si128 (words, 8));
  return _mm_xor_si128 (words, word);
}

/* SubWord of the key's last word (0xff, with the constant added to RotWord of it) or of its third
 * (0xaa), in all places.  Constants are parts of the instructions.
 */
#define SUB_WORD(key, constant, word) \
  _mm_shuffle_epi32 (_mm_aeskeygenassist_si128 (get (key), constant), word)

/* Round keys 2 i and, but for the last, 2 i + 1. */
#define EXPAND(k, i, constant)                                                               \
  do {                                                                                       \
    put (k[2 * i], sum_words (get (k[2 * i - 2]), SUB_WORD (k[2 * i - 1], constant, 0xff))); \
    if (2 * i < LAST_ROUND)                                                                  \
      put (k[2 * i + 1], sum_words (get (k[2 * i - 1]), SUB_WORD (k[2 * i], 0, 0xaa)));      \
  } while (0)

static inline __attribute__ ((always_inline)) void
expand (const uint8_t key[2 * XTS_VAES_BLOCK], schedule k)
{
  put (k[0], get (key));
  put (k[1], get (key + XTS_VAES_BLOCK));
  EXPAND (k, 1, 0x01);
  EXPAND (k, 2, 0x02);
  EXPAND (k, 3, 0x04);
  EXPAND (k, 4, 0x08);
  EXPAND (k, 5, 0x10);
  EXPAND (k, 6, 0x20);
  EXPAND (k, 7, 0x40);
}

/* The equivalent inverse cipher's (FIPS 197, section 5.3.5). */
static inline __attribute__ ((always_inline)) void
invert (const uint8_t (*encrypt)[XTS_VAES_BLOCK], schedule decrypt)
{
  put (decrypt[0], get (encrypt[LAST_ROUND]));
  for (unsigned r = 1; r < LAST_ROUND; r++)
    put (decrypt[r], _mm_aesimc_si128 (get (encrypt[LAST_ROUND - r])));
  put (decrypt[LAST_ROUND], get (encrypt[0]));
}

static __attribute__ ((noinline)) void
expand_all (const uint8_t *volume_key, struct xts_vaes_keys *keys)
{
  expand (volume_key, keys->encrypt);
  invert (keys->encrypt, keys->decrypt);
  expand (volume_key + VOLUME_KEY_SIZE / 2, keys->tweak);
}

void
xts_vaes_expand (const uint8_t *volume_key, struct xts_vaes_keys *ret_keys)
{
  expand_all (volume_key, ret_keys);
  clear_ymm ();
  clear_stack_below ();
}
