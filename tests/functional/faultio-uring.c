/* faultio-uring.c owns the faults of transfers by io_uring: what is submitted for the watched file
 * is done here and now, as faultio.c does it; the ring gets an empty operation in its place, and
 * its completion gets the result.
 */
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/checked.h"
#include "faultio.h"

#define PUBLIC __attribute__ ((visibility ("default")))

/* Of this thread's transfers that the kernel has in their empty form; a ring belongs to a thread.
 */
static __thread struct {
  uint64_t user_data;
  int res;
} results[64];
static __thread unsigned result_count;

static int
do_transfer (const struct io_uring_sqe *sqe, bool write)
{
  struct iovec iov = {(void *)(uintptr_t)sqe->addr, sqe->len};
  int flags = (int)sqe->rw_flags;
  ssize_t n = write ? fault_write (sqe->fd, &iov, 1, (off_t)sqe->off, flags)
                    : fault_read (sqe->fd, &iov, 1, (off_t)sqe->off, flags);

  return n < 0 ? -errno : (int)n;
}

static void
replace_submission (struct io_uring_sqe *sqe)
{
  bool write = sqe->opcode == IORING_OP_WRITE || sqe->opcode == IORING_OP_WRITE_FIXED;
  bool read = sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_READ_FIXED;
  uint64_t user_data = sqe->user_data;

  if (!(read || write) || !fault_is_watched (sqe->fd))
    return;
  if (result_count == ARRAY_SIZE (results))
    abort ();
  results[result_count].user_data = user_data;
  results[result_count++].res = do_transfer (sqe, write);
  io_uring_prep_nop (sqe);
  sqe->user_data = user_data;
}

static void
replace_completion (struct io_uring_cqe *cqe)
{
  for (unsigned i = 0; i < result_count; i++) {
    if (results[i].user_data == cqe->user_data) {
      cqe->res = results[i].res;
      results[i] = results[--result_count];
      return;
    }
  }
}

PUBLIC int
io_uring_submit_and_wait (struct io_uring *ring, unsigned wait_nr)
{
  static int (*real) (struct io_uring *, unsigned);
  unsigned from = io_uring_smp_load_acquire (ring->cq.ktail);
  int r;

  if (!real)
    real = dlsym (dlopen ("liburing.so.2", RTLD_NOW), "io_uring_submit_and_wait");
  for (unsigned i = *ring->sq.khead; i != ring->sq.sqe_tail; i++)
    replace_submission (&ring->sq.sqes[i & *ring->sq.kring_mask]);
  r = real (ring, wait_nr);
  for (unsigned i = from; i != io_uring_smp_load_acquire (ring->cq.ktail); i++)
    replace_completion (&ring->cq.cqes[i & *ring->cq.kring_mask]);
  return r;
}
