/* Secrets on their way from the agent to its child: secret memory does not survive a fork, so they
 * go through a pipe.
 *
 * Before the fork the agent puts them into a handover; its child takes them out, into secret memory
 * of its own.  Both close the descriptor.
 */
#ifndef KMS_HANDOVER_H
#define KMS_HANDOVER_H

#include "common/cleanup.h"
#include "crypto/secret.h"

#define HANDOVER_MAX ((size_t)32 * 1024) /* fits into a pipe, so that writing never waits */

/* A descriptor from which handover_take reads `s` (at most HANDOVER_MAX bytes); -1: too large, or
 * no descriptors.
 */
int handover_give (const struct secret *s, int *ret_fd) MUST_CHECK;

/* -1: nothing (whole) came. */
int handover_take (int fd, struct secret *ret) MUST_CHECK;

#endif
