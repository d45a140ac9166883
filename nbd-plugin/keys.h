/* The keyed XTS contexts of the volume: the only form in which the key outlives the unwrap.
 *
 * There is a fixed number of lanes, a few for each processor, keyed all at once; the raw key is
 * then not needed any more, however many connections come later.  A worker takes a free lane for
 * the crypto of one chunk (some tens of microseconds) and never across disk I/O, so keys_wipe,
 * which takes each lane in turn, waits for no disk.
 */
#ifndef NBD_PLUGIN_KEYS_H
#define NBD_PLUGIN_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/secret.h"
#include "crypto/xts.h"

struct keys;

int
keys_new (const struct xts_backend *backend, struct keys **ret_keys, struct error *err) MUST_CHECK;

/* Wipes and frees; no thread is inside; NULL is accepted. */
void keys_free (struct keys *keys);

/* Keys every lane.  On failure none is keyed. */
int keys_set (struct keys *keys, const struct secret *volume_key, struct error *err) MUST_CHECK;

/* Frees every context, in any thread, at any time.  When it returns no lane is keyed and no crypto
 * runs. */
void keys_wipe (struct keys *keys);

/* As xts_backend's, on a lane near `hint` (a worker's number).  0, -ENOKEY after a wipe, or -EIO
 * when the library failed.  After anything but 0 `out` must not be used.
 */
int keys_encrypt (struct keys *keys, unsigned hint, uint64_t first_tweak, size_t sector_size,
                  const uint8_t *in, uint8_t *out, size_t count) MUST_CHECK;
int keys_decrypt (struct keys *keys, unsigned hint, uint64_t first_tweak, size_t sector_size,
                  const uint8_t *in, uint8_t *out, size_t count) MUST_CHECK;

#endif
