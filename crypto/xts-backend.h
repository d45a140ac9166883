/* What the XTS back ends share: their names, and how a sector's number becomes a tweak.  Private to
 * crypto/.
 */
#ifndef CRYPTO_XTS_BACKEND_H
#define CRYPTO_XTS_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/xts.h"

extern const struct xts_backend xts_openssl; /* xts-openssl.c */
extern struct xts_backend xts_gcrypt;        /* xts-gcrypt.c; load () sets locks_memory */
extern const struct xts_backend xts_vaes;    /* xts-vaes.c */

#define XTS_TWEAK_SIZE 16
#define XTS_TWEAK_UNIT 512

/* plain64: the number, little endian, in the first half; zeros in the other. */
static inline void
xts_tweak_bytes (uint64_t tweak, uint8_t ret_bytes[XTS_TWEAK_SIZE])
{
  for (unsigned i = 0; i < XTS_TWEAK_SIZE / 2; i++) {
    ret_bytes[i] = (uint8_t)(tweak >> (8 * i));
    ret_bytes[XTS_TWEAK_SIZE / 2 + i] = 0;
  }
}

#endif
