/* xts-vaes-clear.h owns the end of a function that held key material: vector registers and the
 * stack below it are zeroed.  For the files that are compiled for processors with AVX or more.
 *
 * Such a function does its work in functions of its own that are not inlined, calls these, and
 * returns: so whatever the compiler spilled lies below its own frame.
 */
#ifndef CRYPTO_XTS_VAES_CLEAR_H
#define CRYPTO_XTS_VAES_CLEAR_H

#include <stdint.h>

#define CLEAR_INLINE static inline __attribute__ ((always_inline))

/* Optimized, the frames below take 64 to 104 bytes and their red zones 128; the tests look for what
 * is left.  (Sanitizers spill far more, and keep it.)
 */
#define CLEAR_STACK_BYTES 512

/* All that code without AVX-512 reaches, and the rest of these registers where there is more of it.
 */
CLEAR_INLINE void
clear_ymm (void)
{
  __asm__ volatile("vzeroall"
                   :
                   :
                   : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#ifdef __AVX512F__
/* VZEROALL does not reach the upper half of the registers. */
CLEAR_INLINE void
clear_zmm (void)
{
  __asm__ volatile("vzeroall\n\t"
                   "vpxorq %%zmm16, %%zmm16, %%zmm16\n\t"
                   "vpxorq %%zmm17, %%zmm17, %%zmm17\n\t"
                   "vpxorq %%zmm18, %%zmm18, %%zmm18\n\t"
                   "vpxorq %%zmm19, %%zmm19, %%zmm19\n\t"
                   "vpxorq %%zmm20, %%zmm20, %%zmm20\n\t"
                   "vpxorq %%zmm21, %%zmm21, %%zmm21\n\t"
                   "vpxorq %%zmm22, %%zmm22, %%zmm22\n\t"
                   "vpxorq %%zmm23, %%zmm23, %%zmm23\n\t"
                   "vpxorq %%zmm24, %%zmm24, %%zmm24\n\t"
                   "vpxorq %%zmm25, %%zmm25, %%zmm25\n\t"
                   "vpxorq %%zmm26, %%zmm26, %%zmm26\n\t"
                   "vpxorq %%zmm27, %%zmm27, %%zmm27\n\t"
                   "vpxorq %%zmm28, %%zmm28, %%zmm28\n\t"
                   "vpxorq %%zmm29, %%zmm29, %%zmm29\n\t"
                   "vpxorq %%zmm30, %%zmm30, %%zmm30\n\t"
                   "vpxorq %%zmm31, %%zmm31, %%zmm31\n\t"
                   :
                   :
                   : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                     "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17",
                     "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",
                     "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}
#endif

/* What the functions called by this one have left on the stack.  The caller has called one, so
 * there's nothing of its own below the stack pointer.
 */
CLEAR_INLINE void
clear_stack_below (void)
{
  intptr_t offset = -CLEAR_STACK_BYTES;

  __asm__ volatile("vpxor %%xmm0, %%xmm0, %%xmm0\n\t"
                   "1: vmovdqu %%ymm0, (%%rsp, %0)\n\t"
                   "add $32, %0\n\t"
                   "jnz 1b"
                   : "+r"(offset)
                   :
                   : "xmm0", "cc", "memory");
}

#endif
