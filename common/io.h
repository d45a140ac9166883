/* Input and output that is finished or has failed, and packets between our own processes. */
#ifndef COMMON_IO_H
#define COMMON_IO_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/cleanup.h"

/* Milliseconds since boot, suspend included (CLOCK_BOOTTIME). */
uint64_t clock_ms (void);

/* The moment `ms` from now on CLOCK_MONOTONIC, for condition variables that wait by that clock. */
struct timespec monotonic_after (uint64_t ms);

/* Reads or writes all of it at `offset_bytes`, repeating short and interrupted calls.  Returns 0,
 * or a negative errno: -ENODATA when the file ends first.
 */
int pread_full (int fd, void *buf, size_t size, uint64_t offset_bytes) MUST_CHECK;
int pwrite_full (int fd, const void *buf, size_t size, uint64_t offset_bytes) MUST_CHECK;
int write_full (int fd, const void *buf, size_t size) MUST_CHECK;

/* Reads from where `fd` stands up to its end, and at most `size` bytes: *ret_used of them.  Also of
 * pipes.  Returns 0 or a negative errno.
 */
int read_full (int fd, void *buf, size_t size, size_t *ret_used) MUST_CHECK;

/* Opens what `fd` is of once more, with other flags and whatever its path names by now: a new file
 * descriptor, close-on-exec, or a negative errno.
 */
int reopen_fd (int fd, int flags) MUST_CHECK;

/* The whole of a small file as a new, NUL-terminated string.  Returns 0 or a negative errno: -EFBIG
 * when it has more than `max` bytes.  Not for secrets.
 * read_file_fd goes on from where `fd` stands.
 */
int read_file (const char *path, size_t max, char **ret_text, size_t *ret_size) MUST_CHECK;
int read_file_fd (int fd, size_t max, char **ret_text, size_t *ret_size) MUST_CHECK;

/* Wakes whoever waits for this eventfd; also from a signal handler. */
void eventfd_signal (int fd);

/* A pair of connected SOCK_SEQPACKET sockets, close-on-exec.  Returns 0 or a negative errno. */
int packet_pair (int ret_fds[2]) MUST_CHECK;

/* Sends one packet, and with it a copy of `passed_fd` unless that is -1, waiting no longer than
 * until `deadline_ms` on clock_ms ().  Returns 0 or a negative errno; never raises SIGPIPE.
 */
int
packet_send (int fd, const void *data, size_t size, int passed_fd, uint64_t deadline_ms) MUST_CHECK;

/* Receives one packet of at most `max` bytes and, when ret_passed_fd is not NULL, the file
 * descriptor that came with it (or -1).  Returns the size, 0 when the peer has gone, or a negative
 * errno: -ETIMEDOUT at the deadline, -EMSGSIZE when the packet was larger.
 */
ssize_t
packet_recv (int fd, void *buf, size_t max, int *ret_passed_fd, uint64_t deadline_ms) MUST_CHECK;

#endif
