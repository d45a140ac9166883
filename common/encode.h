/* Base64 (RFC 4648, section 4, padded) and lower-case hex, for things that are not secret. */
#ifndef COMMON_ENCODE_H
#define COMMON_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* A new string, or NULL when out of memory.  The caller frees it. */
char *base64_encode (const uint8_t *bytes, size_t size) MUST_CHECK;

/* Decodes the whole of `text` strictly: no white space, right padding, no stray bits.
 * Returns 0 and the size, or -1 when it is not base64 or holds more than `max` bytes.
 */
int base64_decode (const char *text, uint8_t *bytes, size_t max, size_t *ret_size) MUST_CHECK;

/* Writes 2 * size characters and a NUL. */
void hex_encode (const uint8_t *bytes, size_t size, char *ret_text);

/* Decodes exactly `size` bytes from 2 * size hex digits; -1 otherwise. */
int hex_decode (const char *text, uint8_t *ret_bytes, size_t size) MUST_CHECK;

#endif
