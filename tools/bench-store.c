/* bench-store.c owns the measurement of a backing store alone. */
#include "tools/bench-store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"

#define SMALL ((size_t)4096)
#define LARGE ((size_t)1 << 20)
#define MANY 16 /* nbdkit's threads for a connection */
#define ROUND_NS 500000000
#define ALIGNMENT 4096
#define HUGE_PAGE ((size_t)2 << 20) /* of most processors */

#define SCRATCH_BYTES ((uint64_t)256 << 20)
#define SCRATCH_LEAST_BYTES ((uint64_t)16 << 20)
#define FILL_NS UINT64_C (5000000000) /* a slow store gets a smaller file */

const struct bench_store_case bench_store_cases[] = {
    {false, true, SMALL, 1},    {false, true, SMALL, MANY},  {false, true, LARGE, 1},
    {false, true, LARGE, MANY}, {false, false, SMALL, 1},    {false, false, SMALL, MANY},
    {false, false, LARGE, 1},   {false, false, LARGE, MANY}, {true, true, SMALL, 1},
    {true, true, SMALL, MANY},  {true, true, LARGE, 1},      {true, true, LARGE, MANY},
    {true, false, SMALL, 1},    {true, false, SMALL, MANY},  {true, false, LARGE, 1},
    {true, false, LARGE, MANY},
};
const size_t bench_store_case_count = ARRAY_SIZE (bench_store_cases);

static uint64_t
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Large direct requests go to and from huge pages, as the server's do. */
static uint8_t *
buffer_new (size_t size_bytes, bool direct)
{
  uint8_t *buf;

  if (!direct || size_bytes < LARGE)
    return aligned_alloc (ALIGNMENT, size_bytes);
  size_bytes = round_up (size_bytes, HUGE_PAGE);
  buf = aligned_alloc (HUGE_PAGE, size_bytes);
  if (buf)
    madvise (buf, size_bytes, MADV_HUGEPAGE); /* a wish */
  return buf;
}

/* Bytes that no store compresses or takes for zeros. */
static uint8_t *
random_buffer (size_t size_bytes, bool direct, struct error *err)
{
  uint8_t *buf = buffer_new (size_bytes, direct);

  if (!buf) {
    error_set (err, ERROR_SYSTEM, "no memory for %zu bytes", size_bytes);
    return NULL;
  }
  for (size_t done = 0; done < size_bytes; done += 256) /* which getrandom never splits */
    if (getrandom (buf + done, 256, 0) != 256) {
      error_set_errno (err, errno, "random bytes");
      free (buf);
      return NULL;
    }
  return buf;
}

/* ---- the store ---- */

/* A file in the folder that has no name, or loses it at once. */
static int
open_nameless (const char *folder, struct error *err)
{
  CLEANUP_FREE char *name = NULL;
  int fd = open (folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
    return fd >= 0 ? fd : error_set_errno (err, errno, "making a scratch file in %s", folder);
  if (asprintf (&name, "%s/keyfence-bench.XXXXXX", folder) < 0)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  fd = mkostemp (name, O_CLOEXEC);
  if (fd < 0)
    return error_set_errno (err, errno, "making a scratch file in %s", folder);
  unlink (name);
  return fd;
}

/* A quarter of what is free, at most: volumes that are being served may lie on the same. */
static int
choose_scratch_size (int fd, const char *folder, uint64_t *ret_bytes, struct error *err)
{
  struct statvfs fs;
  uint64_t spare_bytes;

  if (fstatvfs (fd, &fs) < 0)
    return error_set_errno (err, errno, "%s", folder);
  spare_bytes = round_down ((uint64_t)fs.f_bavail * fs.f_frsize / 4, LARGE);
  if (spare_bytes < SCRATCH_LEAST_BYTES)
    return error_set (err, ERROR_FOREIGN,
                      "%s: less than %" PRIu64 " MiB are free there, and volumes in it could run "
                      "out of space: name another folder of the same store",
                      folder, 4 * SCRATCH_LEAST_BYTES >> 20);
  *ret_bytes = MIN (SCRATCH_BYTES, spare_bytes);
  return 0;
}

/* As large as it gets in the time. */
static int
fill (int fd, const char *folder, struct error *err)
{
  uint64_t start = now_ns (), size_bytes = 0;
  CLEANUP_FREE uint8_t *buf = random_buffer (LARGE, false, err);

  if (!buf || choose_scratch_size (fd, folder, &size_bytes, err) < 0)
    return -1;
  for (uint64_t at = 0; at < size_bytes; at += LARGE) {
    int r = pwrite_full (fd, buf, LARGE, at);

    if (r == 0 && at % SCRATCH_LEAST_BYTES == 0 && fdatasync (fd) < 0)
      r = -errno;
    if (r < 0)
      return error_set_errno (err, -r, "writing a scratch file of %" PRIu64 " MiB in %s",
                              size_bytes >> 20, folder);
    if (at >= SCRATCH_LEAST_BYTES && now_ns () - start > FILL_NS)
      break;
  }
  return fdatasync (fd) < 0 ? error_set_errno (err, errno, "flushing a scratch file in %s", folder)
                            : 0;
}

/* File systems refuse O_DIRECT when the file is opened, or when it is used. */
static void
open_direct (struct bench_store *store)
{
  CLEANUP_FREE void *buf = aligned_alloc (ALIGNMENT, SMALL);
  int r = reopen_fd (store->cached_fd, (store->scratch ? O_RDWR : O_RDONLY) | O_DIRECT);

  store->direct_fd = r;
  if (r >= 0 && (!buf || pread (r, buf, SMALL, 0) < 0)) {
    r = -errno;
    close (store->direct_fd);
    store->direct_fd = -1;
  }
  if (r < 0)
    snprintf (store->direct_note, sizeof store->direct_note, "O_DIRECT does not work here (%s)",
              strerrordesc_np (-r));
}

static int
examine (struct bench_store *store, struct error *err)
{
  struct stat st;
  off_t end = lseek (store->cached_fd, 0, SEEK_END);

  if (end < 0 || fstat (store->cached_fd, &st) < 0)
    return error_set_errno (err, errno, "measuring %s", store->path);
  store->size_bytes = round_down ((uint64_t)end, LARGE);
  if (store->size_bytes == 0)
    return error_set (err, ERROR_FOREIGN, "%s is smaller than 1 MiB: too small to measure",
                      store->path);
  store->allocated_bytes = S_ISBLK (st.st_mode) ? store->size_bytes : (uint64_t)st.st_blocks * 512;
  return 0;
}

int
bench_store_open (const char *path, struct bench_store *ret_store, struct error *err)
{
  CLEANUP_BENCH_STORE struct bench_store store = {.path = path, .cached_fd = -1, .direct_fd = -1};
  struct stat st;

  if (stat (path, &st) < 0)
    return error_set_errno (err, errno, "%s", path);
  if (!S_ISDIR (st.st_mode) && !S_ISREG (st.st_mode) && !S_ISBLK (st.st_mode))
    return error_set (err, ERROR_FOREIGN, "%s is no folder, regular file or block device", path);
  store.scratch = S_ISDIR (st.st_mode);
  store.cached_fd = store.scratch ? open_nameless (path, err) : open (path, O_RDONLY | O_CLOEXEC);
  if (store.cached_fd < 0)
    return store.scratch ? -1 : error_set_errno (err, errno, "opening %s", path);
  if ((store.scratch && fill (store.cached_fd, path, err) < 0) || examine (&store, err) < 0)
    return -1;
  open_direct (&store);
  *ret_store = store;
  store.cached_fd = store.direct_fd = -1;
  return 0;
}

void
bench_store_clear (struct bench_store *store)
{
  if (store->cached_fd >= 0)
    close (store->cached_fd);
  if (store->direct_fd >= 0)
    close (store->direct_fd);
}

/* ---- a round ---- */

/* What the threads of a round share. */
struct round {
  const struct bench_store_case *which;
  int fd;
  uint64_t places; /* where a request may go */
  uint64_t limit;  /* of requests */
  uint64_t end_ns;
  uint64_t salt; /* makes other random places than the round before */
  atomic_uint_least64_t next;
  atomic_int failed; /* the first errno; 0: none */
};

struct runner {
  struct round *round;
  pthread_t thread;
  uint8_t *buf;
  uint64_t done; /* requests; read after the thread has ended */
};

/* Every place once, in an order that no read-ahead follows: steps of a prime number. */
static uint64_t
scattered (uint64_t number, uint64_t salt, uint64_t places)
{
  return (salt % places + number % places * UINT64_C (2654435761)) % places;
}

static void *
run_requests (void *opaque)
{
  struct runner *runner = opaque;
  struct round *round = runner->round;
  size_t size = round->which->request_bytes;

  while (atomic_load (&round->failed) == 0 && now_ns () < round->end_ns) {
    uint64_t number = atomic_fetch_add (&round->next, 1);
    uint64_t place =
        size == SMALL ? scattered (number, round->salt, round->places) : number % round->places;
    int r, none = 0;

    if (number >= round->limit)
      break;
    r = round->which->write ? pwrite_full (round->fd, runner->buf, size, place * size)
                            : pread_full (round->fd, runner->buf, size, place * size);
    if (r < 0)
      atomic_compare_exchange_strong (&round->failed, &none, -r);
    runner->done++;
  }
  return NULL;
}

/* Starts, and waits for, all threads.  The number of requests that were done. */
static int
run_threads (struct round *round, struct runner *runners, uint64_t *ret_done, struct error *err)
{
  unsigned started = 0;
  uint64_t done = 0;

  for (; started < round->which->depth; started++)
    if (pthread_create (&runners[started].thread, NULL, run_requests, &runners[started]) != 0) {
      atomic_store (&round->failed, EAGAIN);
      break;
    }
  for (unsigned i = 0; i < started; i++) {
    pthread_join (runners[i].thread, NULL);
    done += runners[i].done;
  }
  if (atomic_load (&round->failed) != 0)
    return error_set_errno (err, atomic_load (&round->failed), "%s requests of %zu bytes",
                            round->which->write ? "writing" : "reading",
                            round->which->request_bytes);
  *ret_done = done;
  return 0;
}

static int
time_round (struct round *round, struct runner *runners, struct bench_store_figures *ret_figures,
            struct error *err)
{
  uint64_t start = now_ns (), done = 0, served_ns, all_ns;

  round->end_ns = start + ROUND_NS;
  if (run_threads (round, runners, &done, err) < 0)
    return -1;
  served_ns = MAX (now_ns () - start, 1);
  if (round->which->write && fdatasync (round->fd) < 0)
    return error_set_errno (err, errno, "flushing the scratch file");
  all_ns = MAX (now_ns () - start, 1);
  ret_figures->requests_per_s = (double)done * 1e9 / (double)all_ns;
  ret_figures->bytes_per_s = ret_figures->requests_per_s * (double)round->which->request_bytes;
  ret_figures->latency_us =
      done == 0 ? 0 : (double)served_ns * round->which->depth / (double)done / 1e3;
  return 0;
}

int
bench_store_run (const struct bench_store *store, const struct bench_store_case *which,
                 struct bench_store_figures *ret_figures, struct error *err)
{
  struct round round = {.which = which,
                        .fd = which->direct ? store->direct_fd : store->cached_fd,
                        .places = store->size_bytes / which->request_bytes,
                        .limit = UINT64_MAX,
                        .salt = now_ns ()};
  struct runner runners[MANY] = {0};
  int r = 0;

  if (!which->write && !which->direct) { /* each place once: the second time it is in memory */
    posix_fadvise (round.fd, 0, 0, POSIX_FADV_DONTNEED);
    round.limit = round.places;
  }
  for (unsigned i = 0; r == 0 && i < which->depth; i++) {
    runners[i].round = &round;
    runners[i].buf = random_buffer (which->request_bytes, which->direct, err);
    r = runners[i].buf ? 0 : -1;
  }
  if (r == 0)
    r = time_round (&round, runners, ret_figures, err);
  for (unsigned i = 0; i < which->depth; i++)
    free (runners[i].buf);
  return r < 0 ? error_prefix (err, "%s", store->path) : 0;
}
