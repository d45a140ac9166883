/* xts-vaes.c owns the vaes back end: our own kernels in place of a library, contexts in secret
 * memory.
 */
#include "crypto/xts-vaes.h"

#include <assert.h>
#include <stdlib.h>

#include "crypto/xts-backend.h"

struct xts_context {
  const struct xts_vaes_kernel *kernel;
  struct secret memory; /* a struct xts_vaes_keys */
};

/* Chosen once, by load (): a virtual machine's CPUID takes longer than a key schedule. */
static const struct xts_vaes_kernel *chosen;

static int
vaes_load (struct error *err)
{
  struct xts_vaes_cpu cpu;

  if (chosen)
    return 0;
  cpu = xts_vaes_this_cpu ();
  chosen = xts_vaes_kernel_for (&cpu);
  if (chosen)
    return 0;
  return error_set (err, ERROR_SYSTEM,
                    "crypto=vaes needs a processor with VAES, VPCLMULQDQ and AVX2 or AVX-512, and "
                    "a system that lets programs use them: use crypto=auto");
}

static struct xts_vaes_keys *
keys_of (const struct xts_context *context)
{
  return (struct xts_vaes_keys *)context->memory.bytes;
}

/* Secret memory is wiped when it is cleared. */
static void
vaes_context_free (struct xts_context *context)
{
  if (!context)
    return;
  secret_clear (&context->memory);
  free (context);
}

/* A secret ends where a page does, and its size here is a multiple of its alignment. */
struct xts_context *
xts_vaes_context_new (const struct xts_vaes_kernel *kernel, const struct secret *key,
                      struct error *err)
{
  struct xts_context *context;

  if (xts_check_key (key, err) < 0)
    return NULL;
  context = calloc (1, sizeof *context);
  if (!context) {
    error_set (err, ERROR_SYSTEM, "no memory for a cipher context");
    return NULL;
  }
  context->kernel = kernel;
  if (secret_init (&context->memory, sizeof (struct xts_vaes_keys), err) < 0) {
    vaes_context_free (context);
    return NULL;
  }
  assert ((uintptr_t)context->memory.bytes % alignof (struct xts_vaes_keys) == 0);
  xts_vaes_expand (key->bytes, keys_of (context));
  return context;
}

static struct xts_context *
vaes_context_new (const struct secret *key, struct error *err)
{
  if (!chosen && vaes_load (err) < 0)
    return NULL;
  return xts_vaes_context_new (chosen, key, err);
}

static int
vaes_encrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
              const uint8_t *in, uint8_t *out, size_t count)
{
  context->kernel->encrypt (keys_of (context), first_tweak, sector_size, in, out, count);
  return 0;
}

static int
vaes_decrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
              const uint8_t *in, uint8_t *out, size_t count)
{
  context->kernel->decrypt (keys_of (context), first_tweak, sector_size, in, out, count);
  return 0;
}

const struct xts_backend xts_vaes = {
    .name = "vaes",
    .locks_memory = true,
    .load = vaes_load,
    .context_new = vaes_context_new,
    .context_free = vaes_context_free,
    .encrypt = vaes_encrypt,
    .decrypt = vaes_decrypt,
};
