/* request-write.c owns the requests that change the volume.
 *
 * Writes encrypt from the client's buffer into the worker's aligned chunks, which then go to the
 * backing. What is not a whole unit is read, changed and written back under an exclusive range
 * lock.
 */
#include "nbd-plugin/request.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "nbd-plugin/pieces.h"

/* How much of a long write holds its range at once, so that a read-modify-write need not wait for
 * all. */
#define SHARED_SPAN_BYTES ((uint64_t)8 * 1024 * 1024)

static const uint8_t zeros[CHUNK_BYTES];

/* What a write takes its bytes from: the client's buffer, or nothing but zeros. */
struct source {
  const uint8_t *buf; /* NULL: zeros */
};

static const uint8_t *
source_at (struct source source, uint64_t done_bytes)
{
  return source.buf ? source.buf + done_bytes : zeros;
}

/* Changes a part of one unit. */
static int
write_part (struct volume *volume, struct worker *w, const uint8_t *bytes, size_t size_bytes,
            uint64_t offset_bytes, bool durable)
{
  uint64_t unit = round_down (offset_bytes, volume->unit_bytes);
  struct piece *piece = piece_take (volume, w, volume->unit_bytes); /* none is under way */
  uint8_t *chunk = piece->transfer.buf;
  struct rangelock_exclusive held;
  int r;

  rangelock_exclude (&volume->rangelock, &held, unit, unit + volume->unit_bytes);
  r = piece_transfer (volume, w, piece, unit, volume->unit_bytes, false, false);
  if (r == 0)
    r = piece_decrypt (volume, w, unit, chunk, chunk, volume->unit_bytes);
  if (r == 0) {
    memcpy (chunk + (offset_bytes - unit), bytes, size_bytes);
    r = piece_encrypt (volume, w, unit, chunk, chunk, volume->unit_bytes);
  }
  if (r == 0)
    r = piece_transfer (volume, w, piece, unit, volume->unit_bytes, true, durable);
  rangelock_release (&volume->rangelock, &held);
  return r;
}

/* Whole units from start to end, in chunks, as many under way as the engine takes. */
static int
write_pieces (struct volume *volume, struct worker *w, struct source source, uint64_t start_bytes,
              uint64_t end_bytes, bool durable)
{
  uint64_t next = start_bytes;
  struct piece *piece;
  int r = 0;

  for (;;) {
    while (r == 0 && next < end_bytes) {
      size_t size_bytes = (size_t)MIN (end_bytes - next, CHUNK_BYTES);

      piece = piece_take (volume, w, size_bytes);
      if (!piece)
        break;
      r = piece_encrypt (volume, w, next, source_at (source, next - start_bytes),
                         piece->transfer.buf, size_bytes);
      if (r == 0)
        piece_submit (volume, w, piece, next, size_bytes, true, durable,
                      next + size_bytes < end_bytes);
      next += size_bytes;
    }
    piece = piece_reap (volume, w);
    if (!piece)
      return r;
    if (r == 0)
      r = piece->transfer.result;
  }
}

static int
write_units (struct volume *volume, struct worker *w, struct source source, uint64_t start_bytes,
             uint64_t end_bytes, bool durable)
{
  int r = 0;

  for (uint64_t next = start_bytes; r == 0 && next < end_bytes; next += SHARED_SPAN_BYTES) {
    uint64_t stop = MIN (end_bytes, next + SHARED_SPAN_BYTES);
    struct source part = {source.buf ? source.buf + (next - start_bytes) : NULL};

    rangelock_share (&volume->rangelock, &w->range, next, stop);
    r = write_pieces (volume, w, part, next, stop, durable);
    rangelock_unshare (&volume->rangelock, &w->range);
  }
  return r;
}

/* Head, whole units, tail. */
static int
write_range (struct volume *volume, struct worker *w, struct source source, uint64_t count,
             uint64_t offset_bytes, bool durable)
{
  uint64_t unit = volume->unit_bytes, end = offset_bytes + count, at = offset_bytes;
  int r = 0;

  if (!is_aligned (at, unit)) {
    uint64_t head = MIN (round_up (at, unit) - at, count);

    r = write_part (volume, w, source_at (source, 0), (size_t)head, at, durable);
    at += head;
  }
  if (r == 0 && round_down (end, unit) > at) {
    struct source body = {source.buf ? source.buf + (at - offset_bytes) : NULL};

    r = write_units (volume, w, body, at, round_down (end, unit), durable);
    at = round_down (end, unit);
  }
  if (r == 0 && at < end)
    r = write_part (volume, w, source_at (source, at - offset_bytes), (size_t)(end - at), at,
                    durable);
  return r;
}

/* A durable write of one transfer carries the flag; a longer one is flushed once at its end.  So is
 * one where the flag does nothing, and one through the page cache, where it would take the report
 * of *earlier* writes that were lost: backing_flush keeps such a failure for everybody.
 */
static int
write_durably (struct connection *c, struct worker *w, struct source source, uint32_t count,
               uint64_t offset_bytes, bool fua)
{
  uint64_t unit = c->volume->unit_bytes;
  bool single = c->volume->backing.has_durable_writes
                && round_up (offset_bytes + count, unit) - round_down (offset_bytes, unit)
                       <= (is_aligned (offset_bytes | count, unit) ? CHUNK_BYTES : unit);
  int r = write_range (c->volume, w, source, count, offset_bytes, fua && single);

  if (r == 0 && fua && !single)
    r = backing_flush (&c->volume->backing);
  return r;
}

static int
try_write (struct connection *c, struct worker **ret_worker, struct source source, uint32_t count,
           uint64_t offset_bytes, bool fua)
{
  int r = request_enter (c, ret_worker);

  if (r == 0)
    r = write_durably (c, *ret_worker, source, count, offset_bytes, fua);
  /* Fenced meanwhile: what is acknowledged is durable then, and the fence's own flush may have gone
   * before this. */
  if (r == 0 && !fua && !gate_still_open (&c->volume->gate))
    r = backing_flush (&c->volume->backing);
  return r;
}

static int
write_request (struct connection *c, struct source source, uint32_t count, uint64_t offset_bytes,
               bool fua, const char *what)
{
  struct worker *w;
  int r;

  if (c->read_only)
    return -EROFS;
  do
    r = try_write (c, &w, source, count, offset_bytes, fua);
  while (request_again (c, r));
  if (r < 0)
    return request_fail (c, r, what, count, offset_bytes);
  request_count (&w->counters.writes, &w->counters.bytes_written, count);
  return 0;
}

int
request_write (struct connection *c, const void *buf, uint32_t count, uint64_t offset_bytes,
               bool fua)
{
  return write_request (c, (struct source){buf}, count, offset_bytes, fua, "write");
}

int
request_zero (struct connection *c, uint32_t count, uint64_t offset_bytes, bool fua)
{
  return write_request (c, (struct source){NULL}, count, offset_bytes, fua, "write of zeros");
}

static int
discard_units (struct volume *volume, struct worker *w, uint32_t count, uint64_t offset_bytes)
{
  uint64_t start = round_up (offset_bytes, volume->unit_bytes);
  uint64_t end = round_down (offset_bytes + count, volume->unit_bytes);
  int r;

  if (!volume->params.discard || start >= end)
    return 0;
  rangelock_share (&volume->rangelock, &w->range, start, end);
  r = backing_discard (&volume->backing, backing_offset (volume, start), end - start);
  rangelock_unshare (&volume->rangelock, &w->range);
  return r == -EOPNOTSUPP ? 0 : r; /* a trim is a hint */
}

int
request_trim (struct connection *c, uint32_t count, uint64_t offset_bytes, bool fua)
{
  struct worker *w;
  int r;

  if (c->read_only)
    return -EROFS;
  do
    r = request_enter (c, &w);
  while (request_again (c, r));
  if (r == 0)
    r = discard_units (c->volume, w, count, offset_bytes);
  if (r == 0 && fua && c->volume->params.discard)
    r = backing_flush (&c->volume->backing);
  return r < 0 ? request_fail (c, r, "trim", count, offset_bytes) : 0;
}
