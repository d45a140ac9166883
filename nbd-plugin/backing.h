/* The file or block device that holds the ciphertext: opened, locked, measured, flushed.
 *
 * Two open file descriptions: `fd` for data (with O_DIRECT when `direct`), `meta_fd` for the header
 * and for finding holes.  After backing_open every function may be called from any thread.
 */
#ifndef NBD_PLUGIN_BACKING_H
#define NBD_PLUGIN_BACKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "nbd-plugin/params.h"

/* A sync: a flush, or a durable write, on its way.  Its owner's until backing_sync_end. */
struct backing_sync {
  uint64_t number;
  struct backing_sync *next; /* guarded by backing.c */
};

struct backing {
  const char *path;
  int fd;
  int meta_fd;
  bool read_only;
  bool is_block;
  bool direct;
  bool has_durable_writes; /* a write can be made durable by itself (RWF_DSYNC); else flush */
  bool can_seek_hole;
  uint32_t align_bytes; /* what `fd` demands of offsets, lengths and memory; 1 when not direct */
  char cache_note[160]; /* why the page cache is used although nobody asked for it; else empty */
  atomic_bool flush_failed;
  struct backing_sync *syncs; /* under way; these two are guarded by backing.c */
  uint64_t last_sync;         /* the number of the latest */
};

/* Opens and locks.  `path` must stay.  O_DIRECT is decided by backing_choose_cache. */
int
backing_open (const char *path, bool read_only, struct backing *ret, struct error *err) MUST_CHECK;

/* Turns O_DIRECT on where `cache` asks for it or (CACHE_AUTO) where it works for data that begins
 * at `data_offset_bytes`.  CACHE_NONE where it doesn't work is an error.
 */
int backing_choose_cache (struct backing *backing, enum cache_mode cache,
                          uint64_t data_offset_bytes, struct error *err) MUST_CHECK;

/* Closes; also half-open. */
void backing_close (struct backing *backing);

/* The size now, in bytes: it may have grown.  0 or a negative errno. */
int backing_size (const struct backing *backing, uint64_t *ret_bytes) MUST_CHECK;

/* Makes everything that was written durable, whoever wrote it.  A failure stays: the kernel reports
 * a lost write once only to each open file description (fsync(2)), so every later flush fails with
 * -EIO too.  0 or a negative errno.
 */
int backing_flush (struct backing *backing) MUST_CHECK;

/* Around each durable write: `lost` when its error may be the only report of a lost one.  A flush
 * that begins meanwhile waits for its end; it waits for nobody.  False once a loss is known of.
 */
void backing_sync_begin (struct backing *backing, struct backing_sync *sync);
bool backing_sync_end (struct backing *backing, struct backing_sync *sync, bool lost) MUST_CHECK;

/* Gives the space back; what it reads as afterwards is undefined.  0, -EOPNOTSUPP, or another
 * errno. */
int
backing_discard (struct backing *backing, uint64_t offset_bytes, uint64_t size_bytes) MUST_CHECK;

/* The run at `offset_bytes`: data or hole, and where it ends (at most `end_bytes`). */
int backing_next_extent (const struct backing *backing, uint64_t offset_bytes, uint64_t end_bytes,
                         bool *ret_hole, uint64_t *ret_end_bytes) MUST_CHECK;

/* Asks the page cache to read ahead; nothing to do when it is bypassed. */
void backing_prefetch (struct backing *backing, uint64_t offset_bytes, uint64_t size_bytes);

#endif
