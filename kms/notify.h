/* The posting of one message, by the agent for a process that has no network: its program's
 * one-shot mode, and an operation of an agent that listens.
 */
#ifndef KMS_NOTIFY_H
#define KMS_NOTIFY_H

#include <stddef.h>

#include "common/cleanup.h"
#include "crypto/secret.h"

#define NOTIFY_MESSAGE_MAX ((size_t)128 * 1024)
#define NOTIFY_WHY_MAX 256

/* `message` holds, in its first `size` bytes, the URL, a newline and the body (JSON); it is
 * changed. Posts the body: to https, or to a loopback address by http; redirects are not followed;
 * 10 seconds.
 *
 * 0 when the answer was 2xx; else -1 and why, in a line that never holds more of the URL than its
 * host.
 */
int notify_post (struct secret *message, size_t size, char ret_why[NOTIFY_WHY_MAX]) MUST_CHECK;

/* The same with the message from stdin, up to its end.  Returns the exit status; why goes to
 * stdout.
 */
int notify_main (void);

#endif
