/* engine.c owns which engine is used, and what is said when it is not the one that was meant. */
#include "nbd-plugin/engine.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/io.h"
#include "config.h"
#include "nbd-plugin/log.h"

#define NOTE_MAX 240

static char note_text[NOTE_MAX];
static const char *_Atomic note; /* note_text once it is written (release, pairs with acquire) */

/* What kernel.io_uring_disabled says, for people: "" or " and kernel.io_uring_disabled is 2". */
static void
describe_sysctl (char *ret, size_t size)
{
  CLEANUP_FREE char *value = NULL;

  ret[0] = '\0';
  if (read_file ("/proc/sys/kernel/io_uring_disabled", 16, &value, NULL) < 0)
    return;
  value[strcspn (value, "\n")] = '\0';
  if (strcmp (value, "0") != 0)
    snprintf (ret, size, ", kernel.io_uring_disabled is %s", value);
}

void
engine_say_no_uring (const char *where, int r)
{
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the first writing of note */
  char sysctl[64];
  LOCK_FOR_SCOPE (&mutex);

  if (atomic_load_explicit (&note, memory_order_relaxed))
    return;
  describe_sysctl (sysctl, sizeof sysctl);
  snprintf (note_text, sizeof note_text, "io_uring: %s (%s%s); plain calls are used instead", where,
            strerrordesc_np (-r), sysctl);
  atomic_store_explicit (&note, note_text, memory_order_release);
  log_notice ("%s", note_text);
}

const char *
engine_note (void)
{
  return atomic_load_explicit (&note, memory_order_acquire);
}

#if HAVE_URING
static const struct engine *const on_ring[] = {&engine_auto, &engine_uring};
static const char refusal[] = "the kernel does not permit it here";
#else
static const struct engine *const on_ring[] = {&engine_sync, &engine_sync};
static const char refusal[] = "this keyfence was built without it";

int
engine_uring_probe (void)
{
  return -ENOSYS;
}
#endif

/* A file system of RAM takes O_DIRECT on newer kernels, and has nothing to wait for.  (Of a device
 * it would be /dev that is asked about.)
 */
static bool
in_memory (const struct backing *backing)
{
  struct statfs s;
  struct stat st;

  return fstat (backing->fd, &st) == 0 && S_ISREG (st.st_mode) && fstatfs (backing->fd, &s) == 0
         && (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}

/* Measured on 2 cores of an AMD EPYC (Zen 5), virtio disk with ext4, Linux 6.18, nbdkit 1.32, fio's
 * nbd engine, O_DIRECT, MiB/s (medians; the spread on that machine is a fifth):
 *
 *   chunk x depth         1 MiB read  depth 1, 8    1 MiB write  depth 1, 8
 *   plain calls, 256 KiB            650    928             1255  2018
 *   ring, 128 KiB x 4               688    924             1492  2059
 *   ring, 256 KiB x 2               625   1034             1663  2290
 *   ring, 256 KiB x 4               665    977             1592  2051
 *   256 KiB x 4, not registered     618   1088             1474  1824
 *
 * So the ring is for requests of more than one chunk, which it overlaps with encryption; a single
 * transfer has nothing to overlap with and saves no call (at 256 KiB both are level).  Two chunks
 * of 256 KiB do as well as more, and 16 workers on each of 8 connections then hold 64 MiB at the
 * most. Through the page cache nothing waits, and writes would be handed to a kernel thread.
 *
 * That was in ordinary pages.  In huge ones (chunks.h) reads of 1 MiB at depth 8 went at 1945 with
 * plain calls, 1918 with auto and 1963 with rings, writes at 2031, 2150 and 2313: the same order.
 *
 * On tmpfs, where plain calls serve all, the size of a chunk hardly shows.  A server's processor
 * time at 1 MiB, depth 8, crypto=vaes, in seconds a GiB (medians of 9 interleaved rounds; in 11
 * others 64, 128 and 256 KiB were as close, in another order):
 *
 *   chunk, KiB               32     64    128    256    512    nbdkit file
 *   read, user            0.076  0.072  0.069  0.073  0.056          0.008
 *   read, with kernel     0.356  0.329  0.323  0.340  0.372          0.292
 *   write, with kernel    0.361  0.355  0.372  0.344  0.342          0.316
 *
 * The kernel's part is two copies, from the page cache and into the socket, as nbdkit file's; ours
 * is AES from one cache into another.
 */
const struct engine *
engine_choose (const char *name, const struct backing *backing)
{
  bool all_by_ring = strcmp (name, "uring") == 0;
  bool large_by_ring = strcmp (name, "auto") == 0 && backing->direct && !in_memory (backing);
  int r;

  if (!all_by_ring && !large_by_ring)
    return &engine_sync;
  r = engine_uring_probe ();
  if (r == 0)
    return on_ring[all_by_ring];
  engine_say_no_uring (refusal, r);
  return &engine_sync;
}
