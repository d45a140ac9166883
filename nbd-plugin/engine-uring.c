/* engine-uring.c owns the engines on io_uring, and is the one file that knows liburing.
 *
 * A ring belongs to a queue and so to one thread, which makes it at the first transfer that needs
 * it: with DEFER_TASKRUN the kernel completes transfers only inside this thread's own calls, and
 * takes them from no other.  Reads go to the kernel all at once when the first one is waited for;
 * each write goes as soon as it is encrypted.
 *
 * The file is not registered with the ring.  A registered file stays open until the kernel has torn
 * the ring down, some time after the process has ended, and the lock of the volume with it.
 */
#include "nbd-plugin/engine.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/checked.h"
#include "nbd-plugin/log.h"

#define URING_DEPTH 2    /* engine.c says why */
#define REPEATS_MAX 1000 /* of a submission that the kernel has no memory for */

/* On cache lines of its own: other workers' queues are beside it. */
struct engine_queue {
  _Alignas(64) struct backing *backing;
  void *buffers;

  enum {
    RING_NOT_YET,
    RING_WORKS,
    RING_GIVEN_UP, /* nothing more is submitted to it, if there is one */
  } state;
  struct io_uring ring;
  bool has_ring;
  bool buffers_registered;

  /* What is under way: prepared in the ring (in this order), with the kernel, or done. */
  struct transfer *prepared[URING_DEPTH];
  unsigned prepared_count;
  unsigned in_kernel_count;
  struct transfer *done[URING_DEPTH];
  unsigned done_count;
};

/* ---- the ring ---- */

static int
ring_init (struct io_uring *ring)
{
  /* The best first; what a kernel does not know it refuses with EINVAL. */
  static const unsigned flags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                   IORING_SETUP_COOP_TASKRUN, 0};
  int r = -EINVAL;

  for (size_t i = 0; i < ARRAY_SIZE (flags) && r == -EINVAL; i++) {
    struct io_uring_params params = {.flags = flags[i]};

    r = io_uring_queue_init_params (URING_DEPTH, ring, &params);
  }
  return r;
}

int
engine_uring_probe (void)
{
  struct io_uring ring;
  struct io_uring_probe *probe;
  int r = ring_init (&ring);

  if (r < 0)
    return r;
  probe = io_uring_get_probe_ring (&ring);
  r = probe && io_uring_opcode_supported (probe, IORING_OP_READ)
              && io_uring_opcode_supported (probe, IORING_OP_WRITE)
          ? 0
          : -EOPNOTSUPP;
  io_uring_free_probe (probe);
  io_uring_queue_exit (&ring);
  return r;
}

static void
ring_give_up (struct engine_queue *queue, const char *where, int r)
{
  engine_say_no_uring (where, r);
  queue->state = RING_GIVEN_UP;
}

/* Clients, the key's checks and the control socket can't do without descriptors, rings can: they
 * stay in the lower half of what the limit allows.  (A new descriptor has the lowest free number.)
 */
static bool
takes_the_last_descriptors (const struct io_uring *ring)
{
  struct rlimit limit;

  return getrlimit (RLIMIT_NOFILE, &limit) == 0 && (rlim_t)ring->ring_fd >= limit.rlim_cur / 2;
}

static bool
ring_ready (struct engine_queue *queue)
{
  struct iovec all = {queue->buffers, URING_DEPTH * CHUNK_BYTES};
  int r;

  if (queue->state != RING_NOT_YET)
    return queue->state == RING_WORKS;
  r = ring_init (&queue->ring);
  if (r == 0 && takes_the_last_descriptors (&queue->ring)) {
    io_uring_queue_exit (&queue->ring);
    r = -EMFILE;
  }
  if (r < 0) {
    ring_give_up (queue, "a ring can't be made for every worker", r);
    return false;
  }
  queue->has_ring = true;
  /* Saves the kernel from looking the pages up again each time; the limit on locked memory may not
   * allow it for all. */
  queue->buffers_registered = io_uring_register_buffers (&queue->ring, &all, 1) == 0;
  queue->state = RING_WORKS;
  return true;
}

/* ---- queues ---- */

static int
uring_queue_new (struct backing *backing, void *buffers, struct engine_queue **ret_queue)
{
  struct engine_queue *queue;
  void *memory = NULL;

  if (posix_memalign (&memory, _Alignof(struct engine_queue), sizeof *queue) != 0)
    return -ENOMEM;
  queue = memset (memory, 0, sizeof *queue);
  queue->backing = backing;
  queue->buffers = buffers;
  *ret_queue = queue;
  return 0;
}

static unsigned
under_way (const struct engine_queue *queue)
{
  return queue->prepared_count + queue->in_kernel_count + queue->done_count;
}

/* Only unmaps and closes, which any thread may do. */
static void
uring_queue_free (struct engine_queue *queue)
{
  if (!queue)
    return;
  assert (under_way (queue) == 0);
  if (queue->has_ring)
    io_uring_queue_exit (&queue->ring);
  free (queue);
}

/* ---- transfers ---- */

static void
finish (struct engine_queue *queue, struct transfer *t, int result)
{
  assert (queue->done_count < URING_DEPTH);
  t->result = result;
  queue->done[queue->done_count++] = t;
}

static void
do_plainly (struct engine_queue *queue, struct transfer *t)
{
  finish (queue, t, transfer_finish (queue->backing->fd, t, 0));
}

/* What the kernel made of a transfer.  What it left to do is done by plain calls: that is rare, and
 * they know how.
 */
static int
result_of (struct engine_queue *queue, const struct transfer *t, int res)
{
  int fd = queue->backing->fd;

  if (res == (int)t->size_bytes)
    return 0;
  if (res > 0)
    return transfer_finish (fd, t, (size_t)res);
  if (res == -EINTR || res == -EAGAIN || res == -ECANCELED)
    return transfer_finish (fd, t, 0);
  return res == 0 ? -EIO : res;
}

/* Whether the kernel knows the transfer's buffer. */
static bool
is_registered (const struct engine_queue *queue, const struct transfer *t)
{
  uintptr_t offset = (uintptr_t)t->buf - (uintptr_t)queue->buffers;

  return queue->buffers_registered && offset < URING_DEPTH * CHUNK_BYTES;
}

static void
prepare (struct engine_queue *queue, struct transfer *t)
{
  struct io_uring_sqe *sqe = io_uring_get_sqe (&queue->ring);
  int fd = queue->backing->fd;
  unsigned size = (unsigned)t->size_bytes;
  bool registered = is_registered (queue, t);

  assert (sqe && queue->prepared_count < URING_DEPTH);
  if (t->write && registered)
    io_uring_prep_write_fixed (sqe, fd, t->buf, size, t->offset_bytes, 0);
  else if (t->write)
    io_uring_prep_write (sqe, fd, t->buf, size, t->offset_bytes);
  else if (registered)
    io_uring_prep_read_fixed (sqe, fd, t->buf, size, t->offset_bytes, 0);
  else
    io_uring_prep_read (sqe, fd, t->buf, size, t->offset_bytes);
  if (t->durable)
    sqe->rw_flags = RWF_DSYNC;
  io_uring_sqe_set_data (sqe, t);
  queue->prepared[queue->prepared_count++] = t;
}

/* The kernel has taken the first `count` of what was prepared. */
static void
note_taken (struct engine_queue *queue, unsigned count)
{
  assert (count <= queue->prepared_count);
  queue->prepared_count -= count;
  queue->in_kernel_count += count;
  for (unsigned i = 0; i < queue->prepared_count; i++)
    queue->prepared[i] = queue->prepared[i + count];
}

/* Submits what is prepared, and waits for `wanted` completions or a little less. */
static void
enter (struct engine_queue *queue, unsigned wanted)
{
  unsigned repeats = 0;
  int r;

  while ((r = io_uring_submit_and_wait (&queue->ring, wanted)) < 0) {
    if (r == -EINTR)
      continue;
    if ((r != -EAGAIN && r != -EBUSY) || ++repeats > REPEATS_MAX)
      break;
    sched_yield ();
  }
  if (r >= 0) {
    note_taken (queue, (unsigned)r);
    return;
  }
  /* The kernel took none of them. */
  ring_give_up (queue, "it refuses transfers", r);
  for (unsigned i = 0; i < queue->prepared_count; i++)
    do_plainly (queue, queue->prepared[i]);
  queue->prepared_count = 0;
}

/* On a ring that was given up.  There is no way on but this: the kernel writes to the buffers. */
static void
wait_only (struct engine_queue *queue)
{
  struct io_uring_cqe *cqe;
  int r = io_uring_wait_cqe (&queue->ring, &cqe);

  if (r < 0 && r != -EINTR && r != -EAGAIN) {
    log_error ("io_uring does not give transfers back (%s): the server ends, since it can neither "
               "use nor free their memory",
               strerrordesc_np (-r));
    abort ();
  }
}

/* Takes what has been completed. */
static void
reap (struct engine_queue *queue)
{
  struct io_uring_cqe *cqe;
  unsigned head, count = 0;

  io_uring_for_each_cqe (&queue->ring, head, cqe)
  {
    struct transfer *t = io_uring_cqe_get_data (cqe);

    finish (queue, t, result_of (queue, t, cqe->res));
    count++;
  }
  assert (count <= queue->in_kernel_count);
  queue->in_kernel_count -= count;
  io_uring_cq_advance (&queue->ring, count);
}

static void
uring_submit (struct engine_queue *queue, struct transfer *t)
{
  if (!ring_ready (queue)) {
    do_plainly (queue, t);
    return;
  }
  prepare (queue, t);
  if (t->write && t->more)
    enter (queue, 0);
}

static void
auto_submit (struct engine_queue *queue, struct transfer *t)
{
  if (!t->more && under_way (queue) == 0)
    do_plainly (queue, t);
  else
    uring_submit (queue, t);
}

static struct transfer *
uring_wait (struct engine_queue *queue)
{
  while (queue->done_count == 0 && under_way (queue) > 0) {
    reap (queue);
    if (queue->done_count > 0)
      break;
    if (queue->state == RING_WORKS)
      enter (queue, 1);
    else
      wait_only (queue);
  }
  return queue->done_count > 0 ? queue->done[--queue->done_count] : NULL;
}

const struct engine engine_uring = {
    .name = "uring",
    .depth = URING_DEPTH,
    .queue_new = uring_queue_new,
    .queue_free = uring_queue_free,
    .submit = uring_submit,
    .wait = uring_wait,
};

const struct engine engine_auto = {
    .name = "auto",
    .depth = URING_DEPTH,
    .queue_new = uring_queue_new,
    .queue_free = uring_queue_free,
    .submit = auto_submit,
    .wait = uring_wait,
};
