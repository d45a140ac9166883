/* xts-vaes-kernel.h owns AES-256-XTS on vectors, for any width: included once each by the kernels'
 * files, which define before
 *
 *   vec                      a vector of LANES blocks
 *   LANES                    2 or 4
 *   vec_…                    the instructions, as inline functions
 *   KERNEL_FN (name)         the kernel's names
 *   CLEAR_VECTOR_REGISTERS   one of xts-vaes-clear.h
 *
 * A step is WIDTH vectors, enough to fill the pipeline of the AES units.  The tweak of block j of a
 * sector is T * x^j in GF(2^128) (IEEE 1619, section 5.2), with T = AES (key 2, sector number): the
 * first step's are all shifted out of T at once, each by its own count, and a step's next are the
 * same ones times x^(blocks of a step), which shifts by whole bytes.  What is shifted out comes
 * back times x^7 + x^2 + x + 1 by a carry-less multiplication.
 *
 * T of many sectors is computed at once, because one AES after another takes as long as a sector.
 */
#include <assert.h>
#include <immintrin.h>

#include "common/checked.h"
#include "crypto/xts-backend.h"
#include "crypto/xts-vaes-clear.h"
#include "crypto/xts-vaes.h"

#define WIDTH 8
#define STEP_BLOCKS (WIDTH * LANES)
#define STEP_BYTES (STEP_BLOCKS * XTS_VAES_BLOCK)
#define STEP_SHIFT (STEP_BLOCKS / 8) /* bytes */
#define LAST_ROUND (XTS_VAES_ROUND_KEYS - 1)
#define REDUCTION 0x87

#define INLINE static inline __attribute__ ((always_inline))
#ifdef __clang__
#define UNROLLED _Pragma ("clang loop unroll(full)")
#else
#define UNROLLED _Pragma ("GCC unroll 16")
#endif

_Static_assert(STEP_BLOCKS <= XTS_VAES_STEP_MAX, "the tail's tweaks fit");
_Static_assert(XTS_VAES_BATCH % LANES == 0, "a batch is whole vectors");

typedef const uint8_t (*round_keys)[XTS_VAES_BLOCK];

enum direction { ENCRYPT, DECRYPT };

/* The first step's tweaks. */
INLINE void
first_tweaks (const uint8_t sector_tweak[XTS_VAES_BLOCK], vec tweaks[WIDTH])
{
  vec t = vec_repeat (sector_tweak), reduction = vec_set (REDUCTION);

  UNROLLED
  for (unsigned i = 0; i < WIDTH; i++) {
    vec left = vec_add (vec_lane_numbers (), vec_set (i * LANES));
    vec out = vec_shift_right (t, vec_sub (vec_set (64), left)); /* by 64: 0 */

    tweaks[i] = vec_xor3 (vec_shift_left (t, left), vec_low_to_high (out),
                          vec_multiply_high (out, reduction));
  }
}

INLINE void
next_tweaks (vec tweaks[WIDTH])
{
  vec reduction = vec_set (REDUCTION);

  UNROLLED
  for (unsigned i = 0; i < WIDTH; i++) {
    vec out = vec_bytes_right (tweaks[i], XTS_VAES_BLOCK - STEP_SHIFT);

    tweaks[i] = vec_xor (vec_bytes_left (tweaks[i], STEP_SHIFT), vec_multiply_low (out, reduction));
  }
}

/* The last round key is added together with the tweak, which keeps the latter off the way. */
INLINE void
crypt_step (enum direction direction, round_keys keys, const vec tweaks[WIDTH], const uint8_t *in,
            uint8_t *out)
{
  vec x[WIDTH], k = vec_repeat (keys[0]);

  UNROLLED
  for (unsigned i = 0; i < WIDTH; i++)
    x[i] = vec_xor3 (vec_load (in + i * sizeof (vec)), tweaks[i], k);
  UNROLLED
  for (unsigned r = 1; r < LAST_ROUND; r++) {
    k = vec_repeat (keys[r]);
    UNROLLED
    for (unsigned i = 0; i < WIDTH; i++)
      x[i] = direction == ENCRYPT ? vec_aesenc (x[i], k) : vec_aesdec (x[i], k);
  }
  k = vec_repeat (keys[LAST_ROUND]);
  UNROLLED
  for (unsigned i = 0; i < WIDTH; i++) {
    vec last = vec_xor (k, tweaks[i]);

    x[i] = direction == ENCRYPT ? vec_aesenclast (x[i], last) : vec_aesdeclast (x[i], last);
    vec_store (out + i * sizeof (vec), x[i]);
  }
}

INLINE void
crypt_block (enum direction direction, round_keys keys, const uint8_t tweak[XTS_VAES_BLOCK],
             const uint8_t *in, uint8_t *out)
{
  __m128i t = _mm_loadu_si128 ((const __m128i *)tweak);
  __m128i x = _mm_xor_si128 (_mm_loadu_si128 ((const __m128i *)in), t), k;

  x = _mm_xor_si128 (x, _mm_loadu_si128 ((const __m128i *)keys[0]));
  for (unsigned r = 1; r < LAST_ROUND; r++) {
    k = _mm_loadu_si128 ((const __m128i *)keys[r]);
    x = direction == ENCRYPT ? _mm_aesenc_si128 (x, k) : _mm_aesdec_si128 (x, k);
  }
  k = _mm_loadu_si128 ((const __m128i *)keys[LAST_ROUND]);
  x = direction == ENCRYPT ? _mm_aesenclast_si128 (x, k) : _mm_aesdeclast_si128 (x, k);
  _mm_storeu_si128 ((__m128i *)out, _mm_xor_si128 (x, t));
}

/* The rest of a sector that is not whole steps: no volume has such sectors. */
INLINE void
crypt_tail (enum direction direction, struct xts_vaes_keys *keys, round_keys round,
            const vec tweaks[WIDTH], const uint8_t *in, uint8_t *out, size_t size)
{
  UNROLLED
  for (unsigned i = 0; i < WIDTH; i++)
    vec_store (keys->tail_tweaks[i * LANES], tweaks[i]);
  for (size_t i = 0; i < size / XTS_VAES_BLOCK; i++)
    crypt_block (direction, round, keys->tail_tweaks[i], in + i * XTS_VAES_BLOCK,
                 out + i * XTS_VAES_BLOCK);
}

INLINE void
crypt_sector (enum direction direction, struct xts_vaes_keys *keys,
              const uint8_t sector_tweak[XTS_VAES_BLOCK], const uint8_t *in, uint8_t *out,
              size_t size)
{
  round_keys round = direction == ENCRYPT ? keys->encrypt : keys->decrypt;
  vec tweaks[WIDTH];

  first_tweaks (sector_tweak, tweaks);
  while (size >= STEP_BYTES) {
    crypt_step (direction, round, tweaks, in, out);
    size -= STEP_BYTES;
    if (size == 0)
      return;
    in += STEP_BYTES;
    out += STEP_BYTES;
    next_tweaks (tweaks);
  }
  crypt_tail (direction, keys, round, tweaks, in, out, size);
}

/* T of `count` sectors (rounded up to whole vectors) into keys->sector_tweaks. */
INLINE void
sector_tweaks (struct xts_vaes_keys *keys, uint64_t first_tweak, uint64_t unit, size_t count)
{
  for (size_t i = 0; i < count; i += LANES) {
    vec x = vec_numbers (first_tweak + i * unit, unit);

    x = vec_xor (x, vec_repeat (keys->tweak[0]));
    UNROLLED
    for (unsigned r = 1; r < LAST_ROUND; r++)
      x = vec_aesenc (x, vec_repeat (keys->tweak[r]));
    vec_store (keys->sector_tweaks[i], vec_aesenclast (x, vec_repeat (keys->tweak[LAST_ROUND])));
  }
}

INLINE void
crypt_sectors (enum direction direction, struct xts_vaes_keys *keys, uint64_t first_tweak,
               size_t sector_size, const uint8_t *in, uint8_t *out, size_t count)
{
  uint64_t unit = sector_size / XTS_TWEAK_UNIT;

  while (count > 0) {
    size_t batch = MIN (count, XTS_VAES_BATCH);

    sector_tweaks (keys, first_tweak, unit, batch);
    for (size_t i = 0; i < batch; i++) {
      crypt_sector (direction, keys, keys->sector_tweaks[i], in, out, sector_size);
      in += sector_size;
      out += sector_size;
    }
    first_tweak += batch * unit;
    count -= batch;
  }
}

/* Functions of their own, so that all that they spill lies below their caller's frame. */
static __attribute__ ((noinline)) void
crypt_encrypt (struct xts_vaes_keys *keys, uint64_t first_tweak, size_t sector_size,
               const uint8_t *in, uint8_t *out, size_t count)
{
  crypt_sectors (ENCRYPT, keys, first_tweak, sector_size, in, out, count);
}

static __attribute__ ((noinline)) void
crypt_decrypt (struct xts_vaes_keys *keys, uint64_t first_tweak, size_t sector_size,
               const uint8_t *in, uint8_t *out, size_t count)
{
  crypt_sectors (DECRYPT, keys, first_tweak, sector_size, in, out, count);
}

static void
KERNEL_FN (encrypt) (struct xts_vaes_keys *keys, uint64_t first_tweak, size_t sector_size,
                     const uint8_t *in, uint8_t *out, size_t count)
{
  assert (sector_size % XTS_VAES_BLOCK == 0);
  crypt_encrypt (keys, first_tweak, sector_size, in, out, count);
  CLEAR_VECTOR_REGISTERS ();
  clear_stack_below ();
}

static void
KERNEL_FN (decrypt) (struct xts_vaes_keys *keys, uint64_t first_tweak, size_t sector_size,
                     const uint8_t *in, uint8_t *out, size_t count)
{
  assert (sector_size % XTS_VAES_BLOCK == 0);
  crypt_decrypt (keys, first_tweak, sector_size, in, out, count);
  CLEAR_VECTOR_REGISTERS ();
  clear_stack_below ();
}
