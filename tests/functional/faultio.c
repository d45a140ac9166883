/* faultio.c owns a backing store that fails on command: an LD_PRELOAD library between nbdkit and
 * libc (and, in faultio-uring.c, liburing).
 *
 * KEYFENCE_FAULT_FILE: the one file whose I/O is touched.
 * KEYFENCE_FAULT_RULE: a file with one line, looked at before each call, "OP WHAT SKIP COUNT":
 *   OP    read, write, sync (fsync and fdatasync), alloc (fallocate), or any
 *   WHAT  an error (EIO, ENOSPC, EINTR, EAGAIN, EOPNOTSUPP), short=BYTES: no more than that is
 * done, or hang: it is done when there is no rule any more, or late=ERROR: it fails then; SKIP
 * calls to let pass first;  COUNT  calls to hit after that.  A changed rule (renamed into place)
 * starts counting anew.  No file: no faults.  Each hit adds a line to KEYFENCE_FAULT_RULE.hits.
 * KEYFENCE_FAULT_UNDO: a file in which the old contents of what is written are kept until they are
 * made durable; after a kill -9, `undo` (undo.c) puts them back: what a power loss may do at worst.
 */
/* The names of the calls are this file's subject: the headers must not rename them. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/checked.h"
#include "faultio.h"
#include "undo.h"

#define PUBLIC __attribute__ ((visibility ("default")))

static struct {
  ssize_t (*preadv2) (int, const struct iovec *, int, off_t, int);
  ssize_t (*pwritev2) (int, const struct iovec *, int, off_t, int);
  int (*fdatasync) (int);
  int (*fsync) (int);
  int (*fallocate) (int, int, off_t, off_t);
} real;

static struct stat watched;
static const char *rule_path;
static uint8_t *undo; /* mapped, or NULL */

/* Guards `rule`. */
static pthread_mutex_t rule_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  ino_t ino; /* of the file it came from */
  struct timespec mtime;
  char op[16], what[32];
  long skip, count;
} rule;

/* Held for writing by a sync, so that it covers what was written before and nothing else. */
static pthread_rwlock_t undo_lock = PTHREAD_RWLOCK_INITIALIZER;

static void
map_undo (const char *path)
{
  uint64_t size = undo_size ((uint64_t)watched.st_size);
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void *map;

  if (fd < 0 || ftruncate (fd, (off_t)size) < 0)
    abort ();
  map = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    abort ();
  close (fd);
  undo = map;
}

static __attribute__ ((constructor)) void
start (void)
{
  const char *file = getenv ("KEYFENCE_FAULT_FILE");

  real.preadv2 = dlsym (RTLD_NEXT, "preadv2");
  real.pwritev2 = dlsym (RTLD_NEXT, "pwritev2");
  real.fdatasync = dlsym (RTLD_NEXT, "fdatasync");
  real.fsync = dlsym (RTLD_NEXT, "fsync");
  real.fallocate = dlsym (RTLD_NEXT, "fallocate");
  rule_path = getenv ("KEYFENCE_FAULT_RULE");
  if (file && stat (file, &watched) == 0 && getenv ("KEYFENCE_FAULT_UNDO"))
    map_undo (getenv ("KEYFENCE_FAULT_UNDO"));
}

bool
fault_is_watched (int fd)
{
  struct stat s;

  return watched.st_ino != 0 && fstat (fd, &s) == 0 && s.st_ino == watched.st_ino
         && s.st_dev == watched.st_dev;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void
read_rule (void)
{
  struct stat s;
  FILE *f;

  if (!rule_path || stat (rule_path, &s) < 0) {
    rule.count = 0;
    rule.ino = 0;
    return;
  }
  if (s.st_ino == rule.ino && s.st_mtim.tv_sec == rule.mtime.tv_sec
      && s.st_mtim.tv_nsec == rule.mtime.tv_nsec)
    return;
  rule.ino = s.st_ino;
  rule.mtime = s.st_mtim;
  f = fopen (rule_path, "re");
  if (!f || fscanf (f, "%15s %31s %ld %ld", rule.op, rule.what, &rule.skip, &rule.count) != 4)
    abort ();
  fclose (f);
}

static void
note_hit (void)
{
  char path[4096];
  int fd;

  snprintf (path, sizeof path, "%s.hits", rule_path);
  fd = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd >= 0) {
    dprintf (fd, "%s %s\n", rule.op, rule.what);
    close (fd);
  }
}

/* Whether this call is hit, and by what: an errno, or (errno 0) a limit of bytes. */
static bool
hit (const char *op, int *ret_errnum, size_t *ret_limit)
{
  static const struct {
    const char *name;
    int errnum;
  } errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC},         {"EINTR", EINTR},
                {"EAGAIN", EAGAIN}, {"EOPNOTSUPP", EOPNOTSUPP}, {"EDQUOT", EDQUOT}};
  bool is_hit = false, hangs = false, late = false;

  pthread_mutex_lock (&rule_lock);
  read_rule ();
  if (rule.count > 0 && (strcmp (rule.op, op) == 0 || strcmp (rule.op, "any") == 0)
      && rule.skip-- <= 0) {
    rule.count--;
    is_hit = true;
    *ret_errnum = 0;
    late = strncmp (rule.what, "late=", 5) == 0;
    for (size_t i = 0; i < ARRAY_SIZE (errors); i++)
      if (strcmp (rule.what + (late ? 5 : 0), errors[i].name) == 0)
        *ret_errnum = errors[i].errnum;
    hangs = strcmp (rule.what, "hang") == 0;
    if (*ret_errnum == 0 && !hangs && sscanf (rule.what, "short=%zu", ret_limit) != 1)
      abort ();
    note_hit ();
  }
  pthread_mutex_unlock (&rule_lock);
  while ((hangs || late) && access (rule_path, F_OK) == 0)
    usleep (5000);
  return is_hit && !hangs;
}

/* ---- taking back ----------------------------------------------------------------------------- */

/* Before [offset, offset + size) is overwritten. */
static void
keep_old (int fd, uint64_t offset, uint64_t size)
{
  uint64_t total = (uint64_t)watched.st_size;
  uint8_t *contents = undo + undo_contents (total);

  for (uint64_t b = offset / UNDO_BLOCK; b * UNDO_BLOCK < offset + size; b++) {
    struct iovec iov = {contents + b * UNDO_BLOCK, UNDO_BLOCK};

    if (b >= undo_blocks (total) || undo[b])
      continue;
    if (real.preadv2 (fd, &iov, 1, (off_t)(b * UNDO_BLOCK), 0) != UNDO_BLOCK)
      abort ();
    __atomic_store_n (&undo[b], 1, __ATOMIC_SEQ_CST);
  }
}

/* Now that it is durable. */
static void
drop_old (uint64_t offset, uint64_t size)
{
  for (uint64_t b = offset / UNDO_BLOCK;
       b * UNDO_BLOCK < offset + size && b < undo_blocks ((uint64_t)watched.st_size); b++)
    __atomic_store_n (&undo[b], 0, __ATOMIC_SEQ_CST);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static size_t
iov_bytes (const struct iovec *iov, int count)
{
  size_t n = 0;

  for (int i = 0; i < count; i++)
    n += iov[i].iov_len;
  return n;
}

ssize_t
fault_read (int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
  struct iovec first = count > 0 ? iov[0] : (struct iovec){0};
  int errnum;
  size_t limit;

  if (!fault_is_watched (fd) || !hit ("read", &errnum, &limit))
    return real.preadv2 (fd, iov, count, offset, flags);
  if (errnum != 0) {
    errno = errnum;
    return -1;
  }
  first.iov_len = MIN (first.iov_len, limit);
  return real.preadv2 (fd, &first, 1, offset, flags);
}

static ssize_t
write_and_keep (int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
  ssize_t n;

  if (!undo)
    return real.pwritev2 (fd, iov, count, offset, flags);
  /* One at a time: a block's old contents must not be read while it is being written. */
  pthread_rwlock_wrlock (&undo_lock);
  keep_old (fd, (uint64_t)offset, iov_bytes (iov, count));
  n = real.pwritev2 (fd, iov, count, offset, flags);
  if (n > 0 && (flags & (RWF_DSYNC | RWF_SYNC)))
    drop_old ((uint64_t)offset, (uint64_t)n);
  pthread_rwlock_unlock (&undo_lock);
  return n;
}

ssize_t
fault_write (int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
  struct iovec first = count > 0 ? iov[0] : (struct iovec){0};
  int errnum;
  size_t limit;

  if (!fault_is_watched (fd))
    return real.pwritev2 (fd, iov, count, offset, flags);
  if (!hit ("write", &errnum, &limit))
    return write_and_keep (fd, iov, count, offset, flags);
  if (errnum != 0) {
    errno = errnum;
    return -1;
  }
  first.iov_len = MIN (first.iov_len, limit);
  return write_and_keep (fd, &first, 1, offset, flags);
}

static int
do_sync (int fd, int (*sync) (int))
{
  int errnum, r;
  size_t limit;

  if (!fault_is_watched (fd))
    return sync (fd);
  if (hit ("sync", &errnum, &limit)) {
    errno = errnum;
    return -1;
  }
  pthread_rwlock_wrlock (&undo_lock);
  r = sync (fd);
  if (r == 0 && undo)
    drop_old (0, (uint64_t)watched.st_size);
  pthread_rwlock_unlock (&undo_lock);
  return r;
}

PUBLIC ssize_t
preadv2 (int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
  return fault_read (fd, iov, count, offset, flags);
}

PUBLIC ssize_t
preadv (int fd, const struct iovec *iov, int count, off_t offset)
{
  return fault_read (fd, iov, count, offset, 0);
}

PUBLIC ssize_t
pread (int fd, void *buf, size_t size, off_t offset)
{
  struct iovec iov = {buf, size};

  return fault_read (fd, &iov, 1, offset, 0);
}

PUBLIC ssize_t
pwritev2 (int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
  return fault_write (fd, iov, count, offset, flags);
}

PUBLIC ssize_t
pwritev (int fd, const struct iovec *iov, int count, off_t offset)
{
  return fault_write (fd, iov, count, offset, 0);
}

PUBLIC ssize_t
pwrite (int fd, const void *buf, size_t size, off_t offset)
{
  struct iovec iov = {(void *)(uintptr_t)buf, size};

  return fault_write (fd, &iov, 1, offset, 0);
}

PUBLIC int
fdatasync (int fd)
{
  return do_sync (fd, real.fdatasync);
}

PUBLIC int
fsync (int fd)
{
  return do_sync (fd, real.fsync);
}

PUBLIC int
fallocate (int fd, int mode, off_t offset, off_t size)
{
  int errnum;
  size_t limit;

  if (fault_is_watched (fd) && hit ("alloc", &errnum, &limit)) {
    errno = errnum;
    return -1;
  }
  return real.fallocate (fd, mode, offset, size);
}

/* The names that programs built with 64-bit offsets use; on 64-bit machines the same calls. */
_Static_assert(sizeof (off_t) == 8, "64-bit offsets");
PUBLIC __typeof__ (preadv2) preadv64v2 __attribute__ ((alias ("preadv2")));
PUBLIC __typeof__ (preadv) preadv64 __attribute__ ((alias ("preadv")));
PUBLIC __typeof__ (pread) pread64 __attribute__ ((alias ("pread")));
PUBLIC __typeof__ (pwritev2) pwritev64v2 __attribute__ ((alias ("pwritev2")));
PUBLIC __typeof__ (pwritev) pwritev64 __attribute__ ((alias ("pwritev")));
PUBLIC __typeof__ (pwrite) pwrite64 __attribute__ ((alias ("pwrite")));
PUBLIC __typeof__ (fallocate) fallocate64 __attribute__ ((alias ("fallocate")));
