/* What the io_uring engine makes of a kernel that is late, disordered, short of memory, or refuses.
 *
 * The calls that it makes of liburing are wrapped (tests/unit/meson.build): they do the real thing,
 * and then rewrite what has been completed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <liburing.h>
#include <pthread.h>

#include "common/checked.h"
#include "nbd-plugin/engine.h"
#include "nbd-plugin/log.h"

#define STORE_BYTES ((uint64_t)8 * 1024 * 1024)
#define PART 8192

static unsigned notices_logged;
static char *last_error; /* SAID_MAX bytes, for tests that look at it */
#define SAID_MAX 256

void
log_error (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  if (last_error)
    vsnprintf (last_error, SAID_MAX, fmt, args);
  va_end (args);
}

void
log_notice (const char *fmt, ...)
{
  (void)fmt;
  notices_logged++;
}

/* ---- the kernel that is played ---- */

static struct {
  int fd;                 /* of the backing */
  int res;                /* what the next `res_count` completions say, and */
  unsigned res_count;     /* what lies behind that has not been transferred */
  bool reverse;           /* completions in the opposite order */
  unsigned late;          /* calls that come back without anything, interrupted */
  int submit_error;       /* for … */
  unsigned submit_errors; /* … this many calls */
  unsigned submit_after;  /* after this many good ones */
  unsigned take_at_most;  /* of what is submitted by one call; 0: all */
  unsigned wait_late;     /* waits that are interrupted, and then … */
  int wait_error;         /* … what they say; 0: the truth */
  int init_error;
  unsigned init_refuses; /* flags that setup does not know */
  int register_error;
  unsigned calls, rings;
  unsigned init_flags; /* of the last ring that was made */
} kernel;

int __real_io_uring_queue_init_params (unsigned entries, struct io_uring *ring,
                                       struct io_uring_params *p);
int __wrap_io_uring_queue_init_params (unsigned entries, struct io_uring *ring,
                                       struct io_uring_params *p);
int __real_io_uring_register_buffers (struct io_uring *ring, const struct iovec *iov, unsigned n);
int __wrap_io_uring_register_buffers (struct io_uring *ring, const struct iovec *iov, unsigned n);
int __real_io_uring_submit_and_wait (struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait (struct io_uring *ring, unsigned wait_nr);
int __real___io_uring_get_cqe (struct io_uring *ring, struct io_uring_cqe **ret, unsigned submit,
                               unsigned wait_nr, sigset_t *mask);
int __wrap___io_uring_get_cqe (struct io_uring *ring, struct io_uring_cqe **ret, unsigned submit,
                               unsigned wait_nr, sigset_t *mask);

int
__wrap_io_uring_queue_init_params (unsigned entries, struct io_uring *ring,
                                   struct io_uring_params *p)
{
  if (kernel.init_error)
    return kernel.init_error;
  if (p->flags & kernel.init_refuses)
    return -EINVAL;
  kernel.rings++;
  kernel.init_flags = p->flags;
  return __real_io_uring_queue_init_params (entries, ring, p);
}

int
__wrap_io_uring_register_buffers (struct io_uring *ring, const struct iovec *iov, unsigned n)
{
  return kernel.register_error ? kernel.register_error
                               : __real_io_uring_register_buffers (ring, iov, n);
}

/* What came short has not brought the rest. */
static void
cut (struct io_uring_cqe *cqe)
{
  static uint8_t garbage[CHUNK_BYTES] = {0xdd};
  struct transfer *t = io_uring_cqe_get_data (cqe);
  size_t kept = kernel.res > 0 ? (size_t)kernel.res : 0, rest = t->size_bytes - kept;

  if (t->write)
    assert_int_equal (pwrite (kernel.fd, garbage, rest, (off_t)(t->offset_bytes + kept)), rest);
  else
    memcpy ((char *)t->buf + kept, garbage, rest);
  cqe->res = kernel.res;
}

static void
rewrite_completions (struct io_uring *ring, unsigned from)
{
  unsigned tail = io_uring_smp_load_acquire (ring->cq.ktail), mask = *ring->cq.kring_mask;

  for (unsigned i = from; i != tail && kernel.res_count > 0; i++, kernel.res_count--)
    cut (&ring->cq.cqes[i & mask]);
  if (!kernel.reverse)
    return;
  for (unsigned i = *ring->cq.khead, j = tail - 1; (int)(j - i) > 0; i++, j--) {
    struct io_uring_cqe *a = &ring->cq.cqes[i & mask], *b = &ring->cq.cqes[j & mask];
    struct io_uring_cqe swapped = *a;

    *a = *b;
    *b = swapped;
  }
}

/* Lets the kernel see only the first `count` of what is prepared. */
static int
submit_some (struct io_uring *ring, unsigned count, unsigned wait_nr)
{
  unsigned tail = ring->sq.sqe_tail;
  int r;

  if (count == 0 || tail - *ring->sq.khead <= count)
    return __real_io_uring_submit_and_wait (ring, wait_nr);
  ring->sq.sqe_tail = *ring->sq.khead + count;
  r = __real_io_uring_submit_and_wait (ring, 0);
  ring->sq.sqe_head = ring->sq.sqe_tail;
  ring->sq.sqe_tail = tail;
  return r;
}

int
__wrap_io_uring_submit_and_wait (struct io_uring *ring, unsigned wait_nr)
{
  unsigned from = io_uring_smp_load_acquire (ring->cq.ktail);
  int r;

  kernel.calls++;
  if (kernel.late > 0) {
    kernel.late--;
    return -EINTR;
  }
  if (kernel.submit_after > 0)
    kernel.submit_after--;
  else if (kernel.submit_errors > 0) {
    kernel.submit_errors--;
    return kernel.submit_error;
  }
  r = submit_some (ring, kernel.take_at_most, wait_nr);
  rewrite_completions (ring, from);
  return r;
}

/* What io_uring_wait_cqe is made of. */
int
__wrap___io_uring_get_cqe (struct io_uring *ring, struct io_uring_cqe **ret, unsigned submit,
                           unsigned wait_nr, sigset_t *mask)
{
  if (kernel.wait_late > 0) {
    kernel.wait_late--;
    return -EINTR;
  }
  return kernel.wait_error ? kernel.wait_error
                           : __real___io_uring_get_cqe (ring, ret, submit, wait_nr, mask);
}

/* ---- a backing and a queue ---- */

struct rig {
  struct backing backing;
  uint8_t *model, *buffers;
  const struct engine *engine;
  struct engine_queue *queue;
  struct transfer transfers[ENGINE_DEPTH_MAX];
};

static void
rig_init (struct rig *rig, const struct engine *engine)
{
  char path[] = "/tmp/keyfence-engine.XXXXXX";
  void *buffers = NULL;

  *rig = (struct rig){.engine = engine, .model = malloc (STORE_BYTES)};
  memset (&kernel, 0, sizeof kernel);
  rig->backing.fd = mkstemp (path);
  assert_true (rig->backing.fd >= 0);
  unlink (path);
  kernel.fd = rig->backing.fd;
  for (uint64_t i = 0; i < STORE_BYTES; i++)
    rig->model[i] = (uint8_t)(i * 2654435761u >> 13);
  assert_int_equal (write (rig->backing.fd, rig->model, STORE_BYTES), STORE_BYTES);
  assert_int_equal (posix_memalign (&buffers, 4096, engine->depth * CHUNK_BYTES), 0);
  rig->buffers = buffers;
  for (unsigned i = 0; i < engine->depth; i++)
    rig->transfers[i].buf = rig->buffers + i * CHUNK_BYTES;
  assert_int_equal (engine->queue_new (&rig->backing, buffers, &rig->queue), 0);
}

static void
rig_clear (struct rig *rig)
{
  uint8_t *found = malloc (STORE_BYTES);

  rig->engine->queue_free (rig->queue);
  assert_int_equal (pread (rig->backing.fd, found, STORE_BYTES, 0), STORE_BYTES);
  assert_memory_equal (found, rig->model, STORE_BYTES);
  free (found);
  free (rig->buffers);
  free (rig->model);
  close (rig->backing.fd);
}

/* `count` transfers one after the other in the file, of a whole chunk each. */
static void
submit_all (struct rig *rig, unsigned count, uint64_t offset, bool write)
{
  for (unsigned i = 0; i < count; i++) {
    struct transfer *t = &rig->transfers[i];

    t->size_bytes = CHUNK_BYTES;
    t->offset_bytes = offset + i * CHUNK_BYTES;
    t->write = write;
    t->more = i + 1 < count;
    t->result = 1;
    for (size_t b = 0; b < CHUNK_BYTES; b++)
      ((uint8_t *)t->buf)[b] = write ? (uint8_t)(b + i + kernel.calls) : 0xee;
    rig->engine->submit (rig->queue, t);
  }
}

/* Waits for all of them, each exactly once; counts those that failed with `error`. */
static unsigned
collect (struct rig *rig, unsigned count, int error)
{
  unsigned failed = 0, seen = 0;

  for (unsigned i = 0; i < count; i++) {
    struct transfer *t = rig->engine->wait (rig->queue);
    unsigned index;

    assert_non_null (t);
    index = (unsigned)(t - rig->transfers);
    assert_false (seen & 1u << index);
    seen |= 1u << index;
    if (t->result < 0) {
      assert_int_equal (t->result, error);
      failed++;
      continue;
    }
    assert_int_equal (t->result, 0);
    if (t->write)
      memcpy (rig->model + t->offset_bytes, t->buf, t->size_bytes);
    else
      assert_memory_equal (t->buf, rig->model + t->offset_bytes, t->size_bytes);
  }
  assert_null (rig->engine->wait (rig->queue));
  return failed;
}

static unsigned
transfer_all (struct rig *rig, bool write, int error)
{
  unsigned depth = rig->engine->depth;

  submit_all (rig, depth, CHUNK_BYTES, write);
  return collect (rig, depth, error);
}

static void
both_ways (struct rig *rig)
{
  assert_int_equal (transfer_all (rig, true, 0), 0);
  assert_int_equal (transfer_all (rig, false, 0), 0);
}

/* ---- completions ---- */

static void
what_is_written_is_read_back_whole (void **state)
{
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  both_ways (&rig);
  assert_int_equal (kernel.rings, 1);
  rig_clear (&rig);
}

/* Rings leave the upper half of the descriptors for clients and the key's checks. */
static void
with_few_descriptors_left_there_is_no_ring (void **state)
{
  struct rlimit limit, low;
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &limit), 0);
  low = limit;
  low.rlim_cur = 2 * (rlim_t)rig.backing.fd; /* the next descriptor is behind its half */
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &low), 0);
  both_ways (&rig);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &limit), 0);
  assert_int_equal (kernel.calls, 0);
  assert_non_null (engine_note ());
  rig_clear (&rig);
}

/* The kernel knows the chunks only, and takes the rest as it comes. */
static void
a_buffer_elsewhere_is_read_and_written_too (void **state)
{
  void *small = NULL, *chunk;
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  both_ways (&rig);
  chunk = rig.transfers[0].buf;
  assert_int_equal (posix_memalign (&small, 4096, CHUNK_BYTES), 0);
  rig.transfers[0].buf = small;
  both_ways (&rig);
  assert_int_equal (kernel.rings, 1);
  rig.transfers[0].buf = chunk;
  free (small);
  rig_clear (&rig);
}

static void
completions_in_any_order_go_to_their_own_transfers (void **state)
{
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  kernel.reverse = true;
  both_ways (&rig);
  rig_clear (&rig);
}

static void
short_interrupted_and_repeatable_completions_are_finished (void **state)
{
  static const int results[] = {PART, -EINTR, -EAGAIN, -ECANCELED, 1, (int)CHUNK_BYTES - 1};
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (results); i++) {
    for (unsigned count = 1; count <= rig.engine->depth; count++) {
      kernel.res = results[i];
      kernel.res_count = count;
      assert_int_equal (transfer_all (&rig, false, 0), 0);
      assert_int_equal (kernel.res_count, 0);
      kernel.res_count = count;
      assert_int_equal (transfer_all (&rig, true, 0), 0);
      assert_int_equal (kernel.res_count, 0);
    }
  }
  rig_clear (&rig);
}

static void
a_failed_completion_fails_its_transfer_alone (void **state)
{
  static const int errors[] = {-EIO, -ENOSPC, -EINVAL};
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (errors); i++) {
    kernel.res = errors[i];
    kernel.res_count = 1;
    assert_int_equal (transfer_all (&rig, false, errors[i]), 1);
    assert_int_equal (transfer_all (&rig, false, 0), 0);
    kernel.res_count = 1;
    assert_int_equal (transfer_all (&rig, true, errors[i]), 1);
    both_ways (&rig); /* what the failed write left behind is overwritten */
  }
  rig_clear (&rig);
}

static void
a_read_past_the_end_is_an_error_and_no_loop (void **state)
{
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  submit_all (&rig, 1, STORE_BYTES, false);
  assert_int_equal (collect (&rig, 1, -EIO), 1);
  submit_all (&rig, 1, STORE_BYTES - 4096, false);
  assert_int_equal (collect (&rig, 1, -EIO), 1);
  rig_clear (&rig);
}

static void
late_completions_are_waited_for (void **state)
{
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  kernel.late = 20;
  both_ways (&rig);
  assert_int_equal (kernel.late, 0);
  kernel.take_at_most = 1;
  both_ways (&rig);
  rig_clear (&rig);
}

/* ---- a kernel that refuses ---- */

static void
a_submission_without_memory_is_repeated (void **state)
{
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  kernel.submit_error = -EAGAIN;
  kernel.submit_errors = 50;
  both_ways (&rig);
  assert_int_equal (kernel.submit_errors, 0);
  assert_int_equal (kernel.rings, 1);
  rig_clear (&rig);
}

/* Some are with the kernel when it refuses the next: these come back, the others are done. */
static void
a_ring_that_refuses_is_given_up_and_nothing_is_lost (void **state)
{
  (void)state;
  for (unsigned after = 0; after < 4; after++) {
    struct rig rig;
    unsigned calls;

    rig_init (&rig, &engine_uring);
    kernel.submit_error = -ENOMEM;
    kernel.submit_errors = 1;
    kernel.submit_after = after;
    assert_int_equal (transfer_all (&rig, true, 0), 0);
    both_ways (&rig);
    both_ways (&rig);
    calls = kernel.calls;
    both_ways (&rig);
    assert_int_equal (kernel.calls, calls);
    rig_clear (&rig);
  }
  assert_non_null (engine_note ());
}

/* A ring that is given up while the kernel has a read of a pipe, for as long as nothing is written
 * there.  The other read is done plainly, which pipes don't have. */
static void
give_up_with_a_read_in_the_kernel (struct rig *rig, int pipe_fd)
{
  struct transfer *other;

  rig->backing.fd = pipe_fd;
  kernel.take_at_most = 1;
  kernel.submit_error = -ENOMEM;
  kernel.submit_errors = 1;
  kernel.submit_after = 1;
  kernel.wait_late = 3;
  for (unsigned i = 0; i < 2; i++) {
    rig->transfers[i].size_bytes = PART / 2; /* which pipes give and take in one */
    rig->transfers[i].more = i == 0;
    rig->engine->submit (rig->queue, &rig->transfers[i]);
  }
  other = rig->engine->wait (rig->queue);
  assert_ptr_equal (other, &rig->transfers[1]);
  assert_int_equal (other->result, -ESPIPE);
}

static void *
write_late (void *opaque)
{
  static const uint8_t bytes[PART / 2] = {[0] = 0x41, [PART / 2 - 1] = 0x42};

  usleep (50000);
  assert_int_equal (write (*(int *)opaque, bytes, sizeof bytes), sizeof bytes);
  return NULL;
}

static void
a_ring_that_was_given_up_is_waited_for (void **state)
{
  struct rig rig;
  struct transfer *t;
  pthread_t writer;
  int fds[2], file;

  rig_init (&rig, &engine_uring);
  (void)state;
  file = rig.backing.fd;
  assert_int_equal (pipe (fds), 0);
  give_up_with_a_read_in_the_kernel (&rig, fds[0]);
  assert_int_equal (pthread_create (&writer, NULL, write_late, &fds[1]), 0);
  t = rig.engine->wait (rig.queue);
  assert_ptr_equal (t, &rig.transfers[0]);
  assert_int_equal (t->result, 0);
  assert_int_equal (((uint8_t *)t->buf)[0], 0x41);
  assert_int_equal (((uint8_t *)t->buf)[PART / 2 - 1], 0x42);
  assert_int_equal (kernel.wait_late, 0);
  assert_null (rig.engine->wait (rig.queue));
  pthread_join (writer, NULL);
  close (fds[0]);
  close (fds[1]);
  rig.backing.fd = file;
  rig_clear (&rig);
}

/* In a process of its own. */
static void
wait_in_vain (void)
{
  struct rig rig;
  int fds[2];

  prctl (PR_SET_DUMPABLE, 0); /* no core file */
  rig_init (&rig, &engine_uring);
  if (pipe (fds) < 0)
    _exit (1);
  give_up_with_a_read_in_the_kernel (&rig, fds[0]);
  kernel.wait_error = -EBADF;
  rig.engine->wait (rig.queue);
  _exit (2);
}

static void
a_kernel_that_keeps_the_buffers_ends_the_server_which_says_so (void **state)
{
  int status = 0;
  pid_t pid;

  (void)state;
  last_error = mmap (NULL, SAID_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal (last_error, MAP_FAILED);
  pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    wait_in_vain ();
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_true (WIFSIGNALED (status));
  assert_int_equal (WTERMSIG (status), SIGABRT);
  assert_non_null (strstr (last_error, "does not give transfers back (Bad file descriptor)"));
  munmap (last_error, SAID_MAX);
  last_error = NULL;
}

static void
the_best_flags_that_the_kernel_knows_are_used (void **state)
{
  static const struct {
    unsigned refuses, flags;
  } table[] = {
      {0, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN},
      {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN},
      {IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN, 0},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (table); i++) {
    struct rig rig;

    rig_init (&rig, &engine_uring);
    kernel.init_refuses = table[i].refuses;
    assert_int_equal (engine_uring_probe (), 0);
    both_ways (&rig);
    assert_int_equal (kernel.init_flags, table[i].flags);
    rig_clear (&rig);
  }
}

static void
without_a_ring_plain_calls_do_it_and_the_reason_is_said_once (void **state)
{
  struct backing direct = {.direct = true, .fd = open ("/proc/version", O_RDONLY | O_CLOEXEC)};

  (void)state;
  notices_logged = 0;
  for (int i = 0; i < 3; i++) {
    struct rig rig;

    rig_init (&rig, &engine_uring);
    kernel.init_error = -EPERM;
    both_ways (&rig);
    assert_int_equal (kernel.calls, 0);
    assert_ptr_equal (engine_choose ("auto", &direct), &engine_sync);
    assert_ptr_equal (engine_choose ("uring", &direct), &engine_sync);
    rig_clear (&rig);
  }
  close (direct.fd);
  assert_true (notices_logged <= 1);
  assert_non_null (engine_note ());
}

static void
without_registered_buffers_it_works_all_the_same (void **state)
{
  struct rig rig;

  rig_init (&rig, &engine_uring);
  (void)state;
  kernel.register_error = -ENOMEM;
  both_ways (&rig);
  assert_true (kernel.calls > 0);
  rig_clear (&rig);
}

/* ---- what is used when ---- */

static void
auto_takes_the_ring_for_several_transfers_and_direct_io_only (void **state)
{
  struct rig rig;
  struct backing direct = {.direct = true, .fd = open ("/proc/version", O_RDONLY | O_CLOEXEC)};
  struct backing memory = {.direct = true, .fd = memfd_create ("memory", MFD_CLOEXEC)};
  struct backing cached = {.direct = false, .fd = direct.fd};

  rig_init (&rig, &engine_auto);
  (void)state;
  submit_all (&rig, 1, 0, true);
  assert_int_equal (collect (&rig, 1, 0), 0);
  submit_all (&rig, 1, 0, false);
  assert_int_equal (collect (&rig, 1, 0), 0);
  assert_int_equal (kernel.rings, 0);
  both_ways (&rig);
  assert_int_equal (kernel.rings, 1);
  rig_clear (&rig);
  assert_ptr_equal (engine_choose ("auto", &direct), &engine_auto);
  assert_ptr_equal (engine_choose ("auto", &cached), &engine_sync);
  assert_ptr_equal (engine_choose ("auto", &memory), &engine_sync);
  assert_ptr_equal (engine_choose ("uring", &cached), &engine_uring);
  assert_ptr_equal (engine_choose ("sync", &direct), &engine_sync);
  close (direct.fd);
  close (memory.fd);
}

/* nbdkit closes a connection in another thread than those that served it, after these have ended.
 */
static void *
use_queue (void *opaque)
{
  both_ways (opaque);
  return NULL;
}

static void
another_thread_frees_the_queue_of_one_that_has_ended (void **state)
{
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct rig rig;
    pthread_t thread;

    rig_init (&rig, &engine_uring);
    assert_int_equal (pthread_create (&thread, NULL, use_queue, &rig), 0);
    pthread_join (thread, NULL);
    rig_clear (&rig);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (what_is_written_is_read_back_whole),
      cmocka_unit_test (with_few_descriptors_left_there_is_no_ring),
      cmocka_unit_test (a_buffer_elsewhere_is_read_and_written_too),
      cmocka_unit_test (completions_in_any_order_go_to_their_own_transfers),
      cmocka_unit_test (short_interrupted_and_repeatable_completions_are_finished),
      cmocka_unit_test (a_failed_completion_fails_its_transfer_alone),
      cmocka_unit_test (a_read_past_the_end_is_an_error_and_no_loop),
      cmocka_unit_test (late_completions_are_waited_for),
      cmocka_unit_test (a_submission_without_memory_is_repeated),
      cmocka_unit_test (a_ring_that_refuses_is_given_up_and_nothing_is_lost),
      cmocka_unit_test (a_ring_that_was_given_up_is_waited_for),
      cmocka_unit_test (a_kernel_that_keeps_the_buffers_ends_the_server_which_says_so),
      cmocka_unit_test (the_best_flags_that_the_kernel_knows_are_used),
      cmocka_unit_test (without_a_ring_plain_calls_do_it_and_the_reason_is_said_once),
      cmocka_unit_test (without_registered_buffers_it_works_all_the_same),
      cmocka_unit_test (auto_takes_the_ring_for_several_transfers_and_direct_io_only),
      cmocka_unit_test (another_thread_frees_the_queue_of_one_that_has_ended),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
