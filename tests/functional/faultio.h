/* What faultio.c does to the watched file, for faultio-uring.c, which does it to rings. */
#ifndef TESTS_FUNCTIONAL_FAULTIO_H
#define TESTS_FUNCTIONAL_FAULTIO_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

bool fault_is_watched (int fd);

/* preadv2 and pwritev2, with the faults that are armed. */
ssize_t fault_read (int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t fault_write (int fd, const struct iovec *iov, int count, off_t offset, int flags);

#endif
