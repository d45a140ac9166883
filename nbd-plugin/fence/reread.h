/* Reading the header again, within a time.
 *
 * A thread of its own reads, since a disk may take as long as it likes, and who checks access to
 * the key must be back for the next check.
 */
#ifndef NBD_PLUGIN_REREAD_H
#define NBD_PLUGIN_REREAD_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/header.h"
#include "nbd-plugin/volume.h"

struct rereader;

int reread_start (const struct volume *volume, struct rereader **ret_rereader, struct error *err)
    MUST_CHECK;

/* The header on the disk now, which must still be of the volume that was opened; read after this
 * call has begun.  ERROR_SYSTEM when it can't be read, or not within the time.  For one thread.
 */
int reread_header (struct rereader *rereader, uint32_t timeout_ms, struct header **ret_header,
                   struct error *err) MUST_CHECK;

/* Who waits for the header is let go, now and later. */
void reread_end (struct rereader *rereader);

/* Waits for a reading under way.  NULL is accepted. */
void reread_stop (struct rereader *rereader);

#endif
