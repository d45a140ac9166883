/* The agent behind a listening socket, in a unit of its own: for each connection a worker, which is
 * an agent like one that its client has started itself.
 *
 * So a client that closes its connection ends the worker and whatever hangs in it, a worker's end
 * is the end of its connection, and one client's calls have nothing to do with another's.  This
 * process itself takes no calls, has no secrets, and goes when nobody has been connected for a
 * while: the service manager keeps the socket, and starts it again for the next one.
 */
#ifndef KMS_LISTEN_H
#define KMS_LISTEN_H

#include <stdint.h>

#include "common/cleanup.h"

#define LISTEN_IDLE_MS 60000
#define LISTEN_WORKERS_MAX 64

enum listen_end {
  LISTEN_WORKER, /* this is a new process, whose client is on MESSAGE_AGENT_FD */
  LISTEN_OVER,   /* nobody is there any more */
  LISTEN_FAILED, /* was told on stderr */
};

/* Serves the listening socket (SOCK_SEQPACKET) that a service manager has put on MESSAGE_AGENT_FD.
 * Who connects must be root or this process's own user.  Returns several times: in each worker, and
 * once here, when nobody has been connected for `idle_ms`.  For a process of one thread.
 */
enum listen_end listen_serve (uint32_t idle_ms) MUST_CHECK;

#endif
