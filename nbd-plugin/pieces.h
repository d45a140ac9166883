/* Pieces: the chunks of one request on their way between the client, the cipher and the engine.
 *
 * Internal to the data path (request.c, request-write.c).  All of it belongs to the worker's own
 * thread.
 */
#ifndef NBD_PLUGIN_PIECES_H
#define NBD_PLUGIN_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "nbd-plugin/volume.h"

/* Where a byte of the volume lies in the backing. */
uint64_t backing_offset (const struct volume *volume, uint64_t offset_bytes);

/* Whole sectors that lie at `offset_bytes` of the volume; see keys.h for the results. */
int piece_encrypt (struct volume *volume, struct worker *w, uint64_t offset_bytes, const void *in,
                   void *out, size_t size_bytes) MUST_CHECK;
int piece_decrypt (struct volume *volume, struct worker *w, uint64_t offset_bytes, const void *in,
                   void *out, size_t size_bytes) MUST_CHECK;

/* A piece that is not under way, with a buffer of at least `size_bytes` (up to CHUNK_BYTES), or
 * NULL when all are.
 */
struct piece *piece_take (const struct volume *volume, struct worker *w, size_t size_bytes);

/* Sends the piece's chunk on its way: it belongs to the engine until piece_reap gives it back. */
void piece_submit (struct volume *volume, struct worker *w, struct piece *piece,
                   uint64_t start_bytes, size_t size_bytes, bool write, bool durable, bool more);

/* The next piece that has come back, or NULL when none is under way. */
struct piece *piece_reap (struct volume *volume, struct worker *w);

/* One transfer by this piece, waited for; nothing else of this worker is under way. */
int piece_transfer (struct volume *volume, struct worker *w, struct piece *piece,
                    uint64_t start_bytes, size_t size_bytes, bool write, bool durable) MUST_CHECK;

/* Finds the calling thread's worker, or refuses with -ENOKEY when the gate is closed. */
int request_enter (struct connection *c, struct worker **ret_worker) MUST_CHECK;

/* After a try that came to `r`: whether the request shall be tried again from its start, since the
 * volume was fenced on its way and is open again.  With on-fence=stall this is where it waits.
 */
bool request_again (struct connection *c, int r) MUST_CHECK;

/* Logs a failure, unless it is the gate's (which is counted), and turns it into what a client may
 * see. */
int
request_fail (struct connection *c, int r, const char *what, uint64_t count, uint64_t offset_bytes);

/* Counts a request that was served. */
void request_count (_Atomic uint64_t *requests, _Atomic uint64_t *bytes, uint64_t count);

#endif
