/* An NBD server's greeting, up to where the kernel goes on. */
#ifndef ATTACH_HANDSHAKE_H
#define ATTACH_HANDSHAKE_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct handshake {
  uint64_t size_bytes;
  uint64_t flags; /* the transmission flags of the protocol: NBD_FLAG_… */
};

/* Connects to the Unix socket and agrees on simple replies, which is what the kernel speaks.  The
 * socket (a new file descriptor) is ready for requests.  ERROR_UNAVAILABLE when that is not done
 * within `timeout_ms`.
 */
int handshake (const char *socket_path, uint64_t timeout_ms, int *ret_fd, struct handshake *ret,
               struct error *err) MUST_CHECK;

#endif
