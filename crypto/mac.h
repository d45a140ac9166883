/* The two proofs that a key is a volume's: the header's MAC, and the LUKS2 digest.
 *
 * The key is used where it lies; OpenSSL's copies are wiped when its contexts go.  Any thread.
 */
#ifndef CRYPTO_MAC_H
#define CRYPTO_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/profile.h"
#include "crypto/secret.h"

#define MAC_SIZE 32

/* HMAC-SHA-256 over the bytes, keyed by HKDF-SHA-256 (RFC 5869) of the volume key with the salt
 * `uuid` (its ASCII bytes) and the info "keyfence header v1".  ERROR_SYSTEM when OpenSSL fails.
 */
int mac_compute (const struct secret *volume_key, const char *uuid, const uint8_t *bytes,
                 size_t size, uint8_t ret_mac[MAC_SIZE], struct error *err) MUST_CHECK;

/* In constant time. */
bool mac_equal (const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]);

/* Whether the LUKS2 digest (PBKDF2, LUKS2 On-Disk Format Specification 3.4) is this key's. */
int mac_digest_matches (const struct secret *volume_key, const struct profile_digest *digest,
                        bool *ret_matches, struct error *err) MUST_CHECK;

#endif
