/* The data path: what one NBD request does, from the client's bytes to the backing's and back.
 *
 * Every function is called by the worker thread that owns the request and returns when all of it is
 * done: 0, or a negative errno among EIO, ENOSPC, ENOMEM, EROFS, EINVAL.  nbdkit has checked that
 * offset and count are inside the connection's size; neither needs any alignment.
 */
#ifndef NBD_PLUGIN_REQUEST_H
#define NBD_PLUGIN_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "nbd-plugin/volume.h"

int
request_read (struct connection *c, void *buf, uint32_t count, uint64_t offset_bytes) MUST_CHECK;

/* `fua`: durable when it returns. */
int request_write (struct connection *c, const void *buf, uint32_t count, uint64_t offset_bytes,
                   bool fua) MUST_CHECK;

/* Writes encrypted zeros. */
int request_zero (struct connection *c, uint32_t count, uint64_t offset_bytes, bool fua) MUST_CHECK;

/* With discard=on, punches out the whole units in the range; otherwise does nothing. */
int request_trim (struct connection *c, uint32_t count, uint64_t offset_bytes, bool fua) MUST_CHECK;

/* Everything that was acknowledged on any connection before this call is durable when it returns.
 */
int request_flush (struct connection *c) MUST_CHECK;

/* Reads ahead into the page cache. */
int request_cache (struct connection *c, uint32_t count, uint64_t offset_bytes) MUST_CHECK;

/* Calls `add` for each run, in order, without gaps, rounded so that a hole holds whole sectors
 * only; after the first when `one`.  A non-zero result of `add` ends it and is returned.
 */
int
request_extents (struct connection *c, uint32_t count, uint64_t offset_bytes, bool one,
                 int (*add) (void *opaque, uint64_t offset_bytes, uint64_t size_bytes, bool hole),
                 void *opaque) MUST_CHECK;

#endif
