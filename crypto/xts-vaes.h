/* What the vaes back end is made of: kernels for processors with vector AES instructions, one of
 * which is chosen by what the processor and the system can do.  Private to crypto/ and its tests.
 *
 * A kernel's time and memory accesses depend on sizes only: AES is computed by instructions,
 * without tables.  It leaves no key, tweak or text in the vector registers or on the stack.
 */
#ifndef CRYPTO_XTS_VAES_H
#define CRYPTO_XTS_VAES_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/xts.h"

#define XTS_VAES_BLOCK 16
#define XTS_VAES_ROUND_KEYS 15 /* of AES-256 (FIPS 197) */
#define XTS_VAES_BATCH 64      /* sectors whose tweaks are encrypted at once */
#define XTS_VAES_STEP_MAX 32   /* the most blocks that a kernel takes at once */

/* The round keys of both halves, and where encrypted tweaks lie between two uses.  In secret
 * memory, aligned to 64 bytes.
 */
struct xts_vaes_keys {
  alignas (64) uint8_t encrypt[XTS_VAES_ROUND_KEYS][XTS_VAES_BLOCK];
  uint8_t decrypt[XTS_VAES_ROUND_KEYS][XTS_VAES_BLOCK]; /* for AESDEC: in its order, inverted */
  uint8_t tweak[XTS_VAES_ROUND_KEYS][XTS_VAES_BLOCK];
  alignas (64) uint8_t sector_tweaks[XTS_VAES_BATCH][XTS_VAES_BLOCK];
  alignas (64) uint8_t tail_tweaks[XTS_VAES_STEP_MAX][XTS_VAES_BLOCK];
};

/* What CPUID and XGETBV say: leaf 1 ECX, leaf 7 EBX and ECX, and the register state that the system
 * saves (XCR0, 0 where XGETBV is not allowed).
 */
struct xts_vaes_cpu {
  uint32_t leaf1_ecx, leaf7_ebx, leaf7_ecx, xcr0;
};

#define XTS_VAES_XCR0_AVX 0x06 /* XMM, YMM */
#define XTS_VAES_XCR0_AVX512                                          \
  0xe6 /* these, the mask registers, ZMM0-15's upper halves, ZMM16-31 \
        */

typedef void (*xts_vaes_crypt_fn) (struct xts_vaes_keys *keys, uint64_t first_tweak,
                                   size_t sector_size, const uint8_t *in, uint8_t *out,
                                   size_t count);

struct xts_vaes_kernel {
  const char *name;
  struct xts_vaes_cpu needs;          /* all of these bits */
  xts_vaes_crypt_fn encrypt, decrypt; /* as xts_backend's; they can't fail */
};

/* The fastest first, ending in NULL. */
extern const struct xts_vaes_kernel *const xts_vaes_kernels[];
extern const struct xts_vaes_kernel xts_vaes_512; /* xts-vaes-512.c */
extern const struct xts_vaes_kernel xts_vaes_256; /* xts-vaes-256.c */

/* This machine's. */
struct xts_vaes_cpu xts_vaes_this_cpu (void);

bool xts_vaes_runs_on (const struct xts_vaes_kernel *kernel, const struct xts_vaes_cpu *cpu);

/* The fastest kernel that runs on such a processor, or NULL. */
const struct xts_vaes_kernel *xts_vaes_kernel_for (const struct xts_vaes_cpu *cpu);

/* The round keys of a volume key (VOLUME_KEY_SIZE bytes, both in secret memory), by
 * AESKEYGENASSIST.  Any processor that runs a kernel has it.
 */
void xts_vaes_expand (const uint8_t *volume_key, struct xts_vaes_keys *ret_keys);

/* As xts_backend's context_new, with this kernel, which must run here; for the other functions of
 * the back end.
 */
struct xts_context *xts_vaes_context_new (const struct xts_vaes_kernel *kernel,
                                          const struct secret *key, struct error *err);

#endif
