/* xts-vaes-cpu.c owns the choice of a kernel: what the processor has, and what registers the system
 * saves.
 */
#include "crypto/xts-vaes.h"

#include <cpuid.h>

const struct xts_vaes_kernel *const xts_vaes_kernels[] = {&xts_vaes_512, &xts_vaes_256, NULL};

/* XCR0 (Intel SDM volume 1, 13.3).  Only where CPUID says OSXSAVE. */
static uint32_t
read_xcr0 (void)
{
  uint32_t eax, edx;

  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax;
}

struct xts_vaes_cpu
xts_vaes_this_cpu (void)
{
  struct xts_vaes_cpu cpu = {0};
  uint32_t eax, ebx = 0, ecx = 0, edx;

  if (__get_cpuid (1, &eax, &ebx, &ecx, &edx)) {
    cpu.leaf1_ecx = ecx;
    if (ecx & bit_OSXSAVE)
      cpu.xcr0 = read_xcr0 ();
  }
  if (__get_cpuid_count (7, 0, &eax, &ebx, &ecx, &edx)) {
    cpu.leaf7_ebx = ebx;
    cpu.leaf7_ecx = ecx;
  }
  return cpu;
}

static bool
has_all (uint32_t bits, uint32_t needed)
{
  return (bits & needed) == needed;
}

bool
xts_vaes_runs_on (const struct xts_vaes_kernel *kernel, const struct xts_vaes_cpu *cpu)
{
  const struct xts_vaes_cpu *needs = &kernel->needs;

  return has_all (cpu->leaf1_ecx, needs->leaf1_ecx) && has_all (cpu->leaf7_ebx, needs->leaf7_ebx)
         && has_all (cpu->leaf7_ecx, needs->leaf7_ecx) && has_all (cpu->xcr0, needs->xcr0);
}

const struct xts_vaes_kernel *
xts_vaes_kernel_for (const struct xts_vaes_cpu *cpu)
{
  for (size_t i = 0; xts_vaes_kernels[i]; i++)
    if (xts_vaes_runs_on (xts_vaes_kernels[i], cpu))
      return xts_vaes_kernels[i];
  return NULL;
}
