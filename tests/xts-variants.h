/* All implementations of XTS that run on this machine: the back ends, and each kernel of the vaes
 * back end as one of its own, because that back end takes only the fastest.
 */
#ifndef TESTS_XTS_VARIANTS_H
#define TESTS_XTS_VARIANTS_H

#include <stddef.h>

#include "config.h"
#include "crypto/xts-backend.h"

#define XTS_VARIANTS_MAX 8

#if HAVE_VAES
#include "crypto/xts-vaes.h"

static struct xts_context *
context_new_512 (const struct secret *key, struct error *err)
{
  return xts_vaes_context_new (&xts_vaes_512, key, err);
}

static struct xts_context *
context_new_256 (const struct secret *key, struct error *err)
{
  return xts_vaes_context_new (&xts_vaes_256, key, err);
}

static struct xts_backend variant_512 = {.name = "vaes-512", .context_new = context_new_512};
static struct xts_backend variant_256 = {.name = "vaes-256", .context_new = context_new_256};

static size_t
add_kernel (const struct xts_vaes_kernel *kernel, struct xts_backend *variant,
            const struct xts_backend **variants, size_t count)
{
  const struct xts_vaes_cpu cpu = xts_vaes_this_cpu ();

  if (!xts_vaes_runs_on (kernel, &cpu))
    return count;
  variant->load = xts_vaes.load;
  variant->context_free = xts_vaes.context_free;
  variant->encrypt = xts_vaes.encrypt;
  variant->decrypt = xts_vaes.decrypt;
  variant->locks_memory = xts_vaes.locks_memory;
  variants[count] = variant;
  return count + 1;
}
#endif

/* Loaded, OpenSSL's the first.  Returns how many; ends in NULL. */
static inline size_t
xts_variants (const struct xts_backend *ret_variants[XTS_VARIANTS_MAX])
{
  size_t count = 0;

  for (size_t i = 0; xts_backends[i]; i++)
    if (xts_backends[i]->load (NULL) == 0)
      ret_variants[count++] = xts_backends[i];
#if HAVE_VAES
  count = add_kernel (&xts_vaes_512, &variant_512, ret_variants, count);
  count = add_kernel (&xts_vaes_256, &variant_256, ret_variants, count);
#endif
  ret_variants[count] = NULL;
  return count;
}

#endif
