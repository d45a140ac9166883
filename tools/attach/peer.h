/* Whether the other end of a Unix socket has let go of it. */
#ifndef ATTACH_PEER_H
#define ATTACH_PEER_H

/* 1 when some process has the other end open still, 0 when none has, a negative errno when the
 * kernel can't tell.  (That an end was shut down says nothing about that.)
 */
int peer_is_open (int fd);

#endif
