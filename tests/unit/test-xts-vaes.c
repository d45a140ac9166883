/* What crypto/xts-vaes.h promises: a kernel only where it can run, the right answer for every size,
 * count and address, and registers without traces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cpuid.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/wrap.h"
#include "crypto/xts-vaes.h"
#include "tests/xts-variants.h"

/* The first is OpenSSL's, the reference. */
static const struct xts_backend *variants[XTS_VARIANTS_MAX];

static bool
is_kernel (const struct xts_backend *variant)
{
  return variant == &variant_512 || variant == &variant_256;
}

#define FOR_EACH_KERNEL(v)                            \
  for (size_t v##_ = 0; (v = variants[v##_]); v##_++) \
    if (is_kernel (v))

static void
need_a_kernel (void)
{
  const struct xts_vaes_cpu cpu = xts_vaes_this_cpu ();

  if (xts_vaes_kernel_for (&cpu))
    return;
  print_message ("skipped: no vector AES on this machine (or hidden by valgrind)\n");
  skip ();
}

static int
find_variants (void **state)
{
  (void)state;
  return xts_variants (variants) > 0 ? 0 : -1;
}

/* ---- the choice ---------------------------------------------------------------------------- */

#define AES (bit_AES | bit_PCLMUL)
#define AVX (bit_AVX | bit_OSXSAVE)
#define WIDE (bit_AVX512F | bit_AVX512BW | bit_AVX512VL)
#define VECTOR_AES (bit_VAES | bit_VPCLMULQDQ)

static void
the_widest_kernel_that_the_processor_and_the_system_allow_is_chosen (void **state)
{
  static const struct {
    const char *machine;
    struct xts_vaes_cpu cpu;
    const struct xts_vaes_kernel *kernel;
  } cases[] = {
      {"Ice Lake, Zen 4", {AES | AVX, bit_AVX2 | WIDE, VECTOR_AES, 0xe7}, &xts_vaes_512},
      {"everything there ever was", {~0U, ~0U, ~0U, ~0U}, &xts_vaes_512},
      {"Zen 3, Alder Lake", {AES | AVX, bit_AVX2, VECTOR_AES, 0x07}, &xts_vaes_256},
      {"AVX-512 that the system does not save",
       {AES | AVX, bit_AVX2 | WIDE, VECTOR_AES, 0x07},
       &xts_vaes_256},
      {"without ZMM16-31", {AES | AVX, bit_AVX2 | WIDE, VECTOR_AES, 0x67}, &xts_vaes_256},
      {"without AVX-512VL",
       {AES | AVX, bit_AVX2 | bit_AVX512F | bit_AVX512BW, VECTOR_AES, 0xe7},
       &xts_vaes_256},
      {"without AVX-512BW",
       {AES | AVX, bit_AVX2 | bit_AVX512F | bit_AVX512VL, VECTOR_AES, 0xe7},
       &xts_vaes_256},
      {"AVX that the system does not save", {AES | AVX, bit_AVX2 | WIDE, VECTOR_AES, 0x03}, NULL},
      {"no XGETBV", {AES | bit_AVX, bit_AVX2 | WIDE, VECTOR_AES, 0}, NULL},
      {"Skylake-X, Cascade Lake", {AES | AVX, bit_AVX2 | WIDE, 0, 0xe7}, NULL},
      {"VAES without VPCLMULQDQ", {AES | AVX, bit_AVX2 | WIDE, bit_VAES, 0xe7}, NULL},
      {"VPCLMULQDQ without VAES", {AES | AVX, bit_AVX2 | WIDE, bit_VPCLMULQDQ, 0xe7}, NULL},
      {"Haswell to Comet Lake, Zen 2, valgrind", {AES | AVX, bit_AVX2, 0, 0x07}, NULL},
      {"the first x86-64", {0, 0, 0, 0}, NULL},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    print_message ("%s\n", cases[i].machine);
    assert_ptr_equal (xts_vaes_kernel_for (&cases[i].cpu), cases[i].kernel);
  }
}

/* The kernel's file is compiled for all of its bits. */
static void
no_kernel_runs_without_any_of_the_bits_that_it_needs (void **state)
{
  (void)state;
  for (size_t k = 0; xts_vaes_kernels[k]; k++) {
    struct xts_vaes_cpu cpu = xts_vaes_kernels[k]->needs;
    uint32_t *words[] = {&cpu.leaf1_ecx, &cpu.leaf7_ebx, &cpu.leaf7_ecx, &cpu.xcr0};

    assert_true (xts_vaes_runs_on (xts_vaes_kernels[k], &cpu));
    for (size_t w = 0; w < ARRAY_SIZE (words); w++)
      for (uint32_t all = *words[w], bit = 1; bit != 0; bit <<= 1) {
        *words[w] = all & ~bit;
        assert_int_equal (xts_vaes_runs_on (xts_vaes_kernels[k], &cpu), !(all & bit));
        *words[w] = all;
      }
  }
}

/* By the compiler's own look at the processor. */
static void
this_machine_is_seen_as_the_compiler_sees_it (void **state)
{
  const struct xts_vaes_cpu cpu = xts_vaes_this_cpu ();

  (void)state;
  __builtin_cpu_init ();
  assert_int_equal ((cpu.leaf7_ebx & bit_AVX2) && (cpu.xcr0 & 6) == 6,
                    __builtin_cpu_supports ("avx2") != 0);
  assert_int_equal ((cpu.leaf7_ebx & bit_AVX512BW) && (cpu.xcr0 & 0xe6) == 0xe6,
                    __builtin_cpu_supports ("avx512bw") != 0);
}

/* ---- round keys ---------------------------------------------------------------------------- */

/* FIPS 197, appendix A.3: words 4 to 7 and 52 to 59 of w, the first half's; the inverse's are the
 * same, backwards, with InvMixColumns in between.
 */
static void
round_keys_are_those_of_fips_197 (void **state)
{
  static const char key_hex[] = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
  CLEANUP_SECRET struct secret key = {0}, memory = {0};
  struct xts_vaes_keys *keys;
  char hex[2 * XTS_VAES_BLOCK + 1];

  (void)state;
  need_a_kernel ();
  assert_int_equal (secret_init (&key, VOLUME_KEY_SIZE, NULL), 0);
  assert_int_equal (secret_init (&memory, sizeof *keys, NULL), 0);
  assert_int_equal (hex_decode (key_hex, key.bytes + 32, 32), 0);
  keys = (struct xts_vaes_keys *)memory.bytes;
  xts_vaes_expand (key.bytes, keys);
  hex_encode (keys->tweak[1], XTS_VAES_BLOCK, hex);
  assert_string_equal (hex, "1f352c073b6108d72d9810a30914dff4");
  hex_encode (keys->tweak[2], XTS_VAES_BLOCK, hex);
  assert_string_equal (hex, "9ba354118e6925afa51a8b5f2067fcde");
  hex_encode (keys->tweak[3], XTS_VAES_BLOCK, hex);
  assert_string_equal (hex, "a8b09c1a93d194cdbe49846eb75d5b9a");
  hex_encode (keys->tweak[14], XTS_VAES_BLOCK, hex);
  assert_string_equal (hex, "fe4890d1e6188d0b046df344706c631e");
  assert_memory_equal (keys->decrypt[0], keys->encrypt[14], XTS_VAES_BLOCK);
  assert_memory_equal (keys->decrypt[14], keys->encrypt[0], XTS_VAES_BLOCK);
}

/* ---- every size, count and address --------------------------------------------------------- */

#define TEXT_BYTES ((size_t)140 * 512)
#define GUARD_BYTES 64
#define GUARD 0x5a

static uint8_t plain[TEXT_BYTES + 64], expected[TEXT_BYTES],
    buffer[TEXT_BYTES + 2 * GUARD_BYTES + 64];

/* xorshift64*: the same numbers in every run. */
static void
fill (uint8_t *bytes, size_t size)
{
  uint64_t x = 0x6b657966656e6365;

  for (size_t i = 0; i < size; i++) {
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    bytes[i] = (uint8_t)(x * 0x2545f4914f6cdd1d >> 56);
  }
}

static bool
is_guard (const uint8_t *bytes)
{
  for (size_t i = 0; i < GUARD_BYTES; i++)
    if (bytes[i] != GUARD)
      return false;
  return true;
}

struct pair {
  const struct xts_backend *kernel;
  struct xts_context *context, *reference;
};

static void
open_pair (struct pair *pair, const struct xts_backend *kernel)
{
  CLEANUP_SECRET struct secret key = {0};

  assert_int_equal (secret_random (&key, VOLUME_KEY_SIZE, NULL), 0);
  pair->kernel = kernel;
  pair->context = kernel->context_new (&key, NULL);
  pair->reference = variants[0]->context_new (&key, NULL);
  assert_non_null (pair->context);
  assert_non_null (pair->reference);
  fill (plain, sizeof plain);
}

static void
close_pair (struct pair *pair)
{
  pair->kernel->context_free (pair->context);
  variants[0]->context_free (pair->reference);
}

/* Both directions, from one buffer to another and in place; nothing written beyond the end. */
static void
check (struct pair *pair, uint64_t tweak, size_t sector_size, size_t count, size_t in_at,
       size_t out_at)
{
  const struct xts_backend *kernel = pair->kernel;
  uint8_t *in = plain + in_at, *out = buffer + GUARD_BYTES + out_at;
  size_t size = sector_size * count;

  memset (buffer, GUARD, sizeof buffer);
  assert_int_equal (variants[0]->encrypt (pair->reference, tweak, sector_size, in, expected, count),
                    0);
  assert_int_equal (kernel->encrypt (pair->context, tweak, sector_size, in, out, count), 0);
  assert_memory_equal (out, expected, size);
  assert_int_equal (kernel->decrypt (pair->context, tweak, sector_size, out, out, count), 0);
  assert_memory_equal (out, in, size);
  assert_int_equal (kernel->encrypt (pair->context, tweak, sector_size, out, out, count), 0);
  assert_memory_equal (out, expected, size);
  assert_int_equal (kernel->decrypt (pair->context, tweak, sector_size, expected, out, count), 0);
  assert_memory_equal (out, in, size);
  assert_true (is_guard (out - GUARD_BYTES) && is_guard (out + size));
}

static void
sectors_of_every_size_come_out_right (void **state)
{
  const struct xts_backend *kernel;

  (void)state;
  need_a_kernel ();
  FOR_EACH_KERNEL (kernel)
  {
    struct pair pair;

    open_pair (&pair, kernel);
    for (size_t size = 16; size <= 2048 + 512; size += 16)
      check (&pair, 0x123456789 + size, size, 1, 0, 0);
    close_pair (&pair);
  }
}

static void
every_count_of_sectors_comes_out_right (void **state)
{
  const struct xts_backend *kernel;

  (void)state;
  need_a_kernel ();
  FOR_EACH_KERNEL (kernel)
  {
    struct pair pair;

    open_pair (&pair, kernel);
    for (size_t count = 1; count <= 140; count++)
      check (&pair, UINT64_C (0xffffffc0), 512, count, 0, 0);
    for (size_t count = 1; count <= 17; count++)
      check (&pair, UINT64_C (0xffffffffffffffc0), 4096, count, 0, 0);
    close_pair (&pair);
  }
}

static void
every_alignment_comes_out_right (void **state)
{
  const struct xts_backend *kernel;

  (void)state;
  need_a_kernel ();
  FOR_EACH_KERNEL (kernel)
  {
    struct pair pair;

    open_pair (&pair, kernel);
    for (size_t at = 0; at < 64; at++) {
      check (&pair, at, 512, 3, at, 0);
      check (&pair, at, 512, 3, 0, at);
      check (&pair, at * 8, 4096, 2, at, 63 - at);
    }
    close_pair (&pair);
  }
}

static void
no_sectors_are_nothing_to_do (void **state)
{
  const struct xts_backend *kernel;

  (void)state;
  need_a_kernel ();
  FOR_EACH_KERNEL (kernel)
  {
    struct pair pair;

    open_pair (&pair, kernel);
    check (&pair, 8, 4096, 0, 0, 0);
    close_pair (&pair);
  }
}

/* ---- registers ----------------------------------------------------------------------------- */

#define REGISTER_BYTES 64
#define REGISTERS 32

static uint8_t registers[REGISTERS][REGISTER_BYTES];

#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n " * 64(%0)\n\t"
#define STORE_ZMM(n) "vmovdqu64 %%zmm" #n ", " #n " * 64(%0)\n\t"
#define LOWER_16(store)                                                                     \
  store (0) store (1) store (2) store (3) store (4) store (5) store (6) store (7) store (8) \
      store (9) store (10) store (11) store (12) store (13) store (14) store (15)
#define UPPER_16(store)                                                                   \
  store (16) store (17) store (18) store (19) store (20) store (21) store (22) store (23) \
      store (24) store (25) store (26) store (27) store (28) store (29) store (30) store (31)

/* Right after a call, before anything else uses a vector. */
#define STORE_REGISTERS(stores) __asm__ volatile(stores : : "r"(registers) : "memory")

static bool
all_zero (size_t count)
{
  const uint8_t *bytes = registers[0];

  for (size_t i = 0; i < count * REGISTER_BYTES; i++)
    if (bytes[i] != 0)
      return false;
  return true;
}

/* The wider kernel uses all registers, the other one half of them. */
static __attribute__ ((noinline)) bool
registers_are_clear_after (const struct xts_vaes_kernel *kernel, xts_vaes_crypt_fn fn,
                           struct xts_vaes_keys *keys, size_t sector_size)
{
  memset (registers, 0, sizeof registers);
  fn (keys, 8, sector_size, plain, buffer, 1);
  if (kernel == &xts_vaes_512) {
    STORE_REGISTERS (LOWER_16 (STORE_ZMM) UPPER_16 (STORE_ZMM));
    return all_zero (32);
  }
  STORE_REGISTERS (LOWER_16 (STORE_YMM));
  return all_zero (16);
}

static __attribute__ ((noinline)) bool
registers_are_clear_after_expansion (const struct secret *key, struct xts_vaes_keys *keys)
{
  memset (registers, 0, sizeof registers);
  xts_vaes_expand (key->bytes, keys);
  STORE_REGISTERS (LOWER_16 (STORE_YMM));
  return all_zero (16);
}

static void
vector_registers_are_zero_after_every_call (void **state)
{
  static const size_t sizes[] = {16, 512, 528, 4096};
  const struct xts_vaes_cpu cpu = xts_vaes_this_cpu ();
  CLEANUP_SECRET struct secret key = {0}, memory = {0};
  struct xts_vaes_keys *keys;

  (void)state;
  need_a_kernel ();
  assert_int_equal (secret_random (&key, VOLUME_KEY_SIZE, NULL), 0);
  assert_int_equal (secret_init (&memory, sizeof *keys, NULL), 0);
  keys = (struct xts_vaes_keys *)memory.bytes;
  assert_true (registers_are_clear_after_expansion (&key, keys));
  for (size_t k = 0; xts_vaes_kernels[k]; k++) {
    const struct xts_vaes_kernel *kernel = xts_vaes_kernels[k];

    for (size_t i = 0; i < ARRAY_SIZE (sizes) && xts_vaes_runs_on (kernel, &cpu); i++) {
      assert_true (registers_are_clear_after (kernel, kernel->encrypt, keys, sizes[i]));
      assert_true (registers_are_clear_after (kernel, kernel->decrypt, keys, sizes[i]));
    }
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_widest_kernel_that_the_processor_and_the_system_allow_is_chosen),
      cmocka_unit_test (no_kernel_runs_without_any_of_the_bits_that_it_needs),
      cmocka_unit_test (this_machine_is_seen_as_the_compiler_sees_it),
      cmocka_unit_test (round_keys_are_those_of_fips_197),
      cmocka_unit_test (sectors_of_every_size_come_out_right),
      cmocka_unit_test (every_count_of_sectors_comes_out_right),
      cmocka_unit_test (every_alignment_comes_out_right),
      cmocka_unit_test (no_sectors_are_nothing_to_do),
      cmocka_unit_test (vector_registers_are_zero_after_every_call),
  };

  return cmocka_run_group_tests (tests, find_variants, NULL);
}
