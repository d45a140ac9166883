/* xts-vaes-512.c owns the kernel for VAES with AVX-512: four blocks a vector.
 *
 * Compiled for such processors: nothing here may be called before the choice of a kernel.
 */
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>

typedef __m512i vec;
#define LANES 4
#define VEC static inline __attribute__ ((always_inline)) vec
#define KERNEL_FN(name) name##_512
#define CLEAR_VECTOR_REGISTERS clear_zmm

VEC
vec_load (const uint8_t *p)
{
  return _mm512_loadu_si512 (p);
}

static inline __attribute__ ((always_inline)) void
vec_store (uint8_t *p, vec v)
{
  _mm512_storeu_si512 (p, v);
}

/* One block in all lanes. */
VEC
vec_repeat (const uint8_t p[16])
{
  return _mm512_broadcast_i32x4 (_mm_loadu_si128 ((const __m128i *)p));
}

/* Both halves of all lanes. */
VEC
vec_set (uint64_t n)
{
  return _mm512_set1_epi64 ((long long)n);
}

VEC
vec_lane_numbers (void)
{
  return _mm512_set_epi64 (3, 3, 2, 2, 1, 1, 0, 0);
}

/* A sector's number in each lane, `unit` apart. */
VEC
vec_numbers (uint64_t first, uint64_t unit)
{
  return _mm512_set_epi64 (0, (long long)(first + 3 * unit), 0, (long long)(first + 2 * unit), 0,
                           (long long)(first + unit), 0, (long long)first);
}

/* The halves of the lanes are numbers of 64 bits in these four. */
VEC
vec_add (vec a, vec b)
{
  return _mm512_add_epi64 (a, b);
}

VEC
vec_sub (vec a, vec b)
{
  return _mm512_sub_epi64 (a, b);
}

VEC
vec_shift_left (vec a, vec bits)
{
  return _mm512_sllv_epi64 (a, bits);
}

VEC
vec_shift_right (vec a, vec bits)
{
  return _mm512_srlv_epi64 (a, bits);
}

VEC
vec_xor (vec a, vec b)
{
  return _mm512_xor_si512 (a, b);
}

VEC
vec_xor3 (vec a, vec b, vec c)
{
  return _mm512_ternarylogic_epi64 (a, b, c, 0x96);
}

/* Within lanes.  The counts are the steps', known when compiled. */
#define vec_bytes_left(a, n) _mm512_bslli_epi128 (a, n)
#define vec_bytes_right(a, n) _mm512_bsrli_epi128 (a, n)

VEC
vec_low_to_high (vec a)
{
  return _mm512_bslli_epi128 (a, 8);
}

/* The low halves of `b` by the halves of `a`, without carries. */
VEC
vec_multiply_low (vec a, vec b)
{
  return _mm512_clmulepi64_epi128 (a, b, 0x00);
}

VEC
vec_multiply_high (vec a, vec b)
{
  return _mm512_clmulepi64_epi128 (a, b, 0x01);
}

VEC
vec_aesenc (vec a, vec k)
{
  return _mm512_aesenc_epi128 (a, k);
}

VEC
vec_aesenclast (vec a, vec k)
{
  return _mm512_aesenclast_epi128 (a, k);
}

VEC
vec_aesdec (vec a, vec k)
{
  return _mm512_aesdec_epi128 (a, k);
}

VEC
vec_aesdeclast (vec a, vec k)
{
  return _mm512_aesdeclast_epi128 (a, k);
}

#include "crypto/xts-vaes-kernel.h"

const struct xts_vaes_kernel xts_vaes_512 = {
    .name = "VAES with AVX-512",
    .needs = {.leaf1_ecx = bit_AES | bit_PCLMUL | bit_OSXSAVE | bit_AVX,
              .leaf7_ebx = bit_AVX2 | bit_AVX512F | bit_AVX512BW | bit_AVX512VL,
              .leaf7_ecx = bit_VAES | bit_VPCLMULQDQ,
              .xcr0 = XTS_VAES_XCR0_AVX512},
    .encrypt = encrypt_512,
    .decrypt = decrypt_512,
};
