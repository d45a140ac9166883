/* A client's connection to an NBD server, which never blocks for longer than it is told to.  One
 * thread.
 */
#ifndef DRILL_NBD_H
#define DRILL_NBD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define NBD_BLOCK_BYTES 4096

struct nbd_client;

/* Connects within `timeout_ms`. */
int nbd_client_open (const char *uri, uint64_t timeout_ms, struct nbd_client **ret,
                     struct error *err) MUST_CHECK;
/* NULL is accepted. */
void nbd_client_close (struct nbd_client *client);

uint64_t nbd_client_size_bytes (const struct nbd_client *client);
bool nbd_client_read_only (const struct nbd_client *client);

/* One block, of which buf has NBD_BLOCK_BYTES.  They wait for the answer, however long it takes,
 * until *stop becomes true.  0; a positive errno that the server answered with; or -1 when the
 * connection is gone, or there was no answer: then the client can only be closed.
 */
int nbd_client_read (struct nbd_client *client, uint64_t offset_bytes, void *buf,
                     const atomic_bool *stop) MUST_CHECK;
int nbd_client_write (struct nbd_client *client, uint64_t offset_bytes, const void *buf,
                      const atomic_bool *stop) MUST_CHECK;

/* The version of the library. */
const char *nbd_client_version (void);

#endif
