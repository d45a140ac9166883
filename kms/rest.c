/* rest.c owns the memory that the agent gives back between calls.
 *
 * A call over TLS goes through large parts of libcrypto, libssl, libcurl and what that is linked
 * with.  Most of these pages nobody else on the machine may use, so that they would be this
 * process's share for ever, for a check every half minute.
 */
#include "kms/rest.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whether the loader has written into its code, which would be lost. */
static bool
has_text_relocations (const struct dl_phdr_info *info)
{
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW (Phdr) *header = &info->dlpi_phdr[i];

    if (header->p_type != PT_DYNAMIC)
      continue;
    for (const ElfW (Dyn) *dyn = (const void *)(info->dlpi_addr + header->p_vaddr);
         dyn->d_tag != DT_NULL; dyn++)
      if (dyn->d_tag == DT_TEXTREL || (dyn->d_tag == DT_FLAGS && (dyn->d_un.d_val & DF_TEXTREL)))
        return true;
  }
  return false;
}

/* A segment that nobody can write is as its file has it. */
static void
drop_segment (const struct dl_phdr_info *info, const ElfW (Phdr) * header)
{
  uintptr_t page = (uintptr_t)sysconf (_SC_PAGESIZE);
  uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;

  if (header->p_type != PT_LOAD || (header->p_flags & PF_W))
    return;
  start &= ~(page - 1);
  end = (end + page - 1) & ~(page - 1);
  madvise ((void *)start, end - start, MADV_DONTNEED); /* at worst, it stays */
}

static int
drop_object (struct dl_phdr_info *info, size_t size, void *opaque)
{
  (void)size;
  (void)opaque;
  /* The kernel's own (linux-vdso.so.1) has no file. */
  if (strncmp (info->dlpi_name, "linux-", 6) == 0 || has_text_relocations (info))
    return 0;
  for (size_t i = 0; i < info->dlpi_phnum; i++)
    drop_segment (info, &info->dlpi_phdr[i]);
  return 0;
}

void
agent_rest (void)
{
  malloc_trim (0);
  dl_iterate_phdr (drop_object, NULL);
}
