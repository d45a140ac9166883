/* request.c owns reads, and the requests that change nothing.
 *
 * A read fetches whole units into the worker's own aligned chunks and decrypts out of them into the
 * client's buffer: the cipher is the copy.
 */
#include "nbd-plugin/request.h"

#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "nbd-plugin/pieces.h"

struct read_state {
  struct volume *volume;
  struct worker *w;
  uint8_t *buf;
  uint64_t start_bytes, end_bytes; /* what the client wants */
};

/* Decrypts a piece that has come back into the client's buffer. */
static int
finish_read (const struct read_state *s, struct piece *piece)
{
  uint64_t from = MAX (piece->start_bytes, s->start_bytes);
  uint64_t to = MIN (piece->start_bytes + piece->transfer.size_bytes, s->end_bytes);
  uint8_t *chunk = piece->transfer.buf, *dest = s->buf + (from - s->start_bytes);
  bool whole = to - from == piece->transfer.size_bytes;
  int r = piece->transfer.result;

  if (r < 0)
    return r;
  r = piece_decrypt (s->volume, s->w, piece->start_bytes, chunk, whole ? dest : chunk,
                     piece->transfer.size_bytes);
  if (r == 0 && !whole)
    memcpy (dest, chunk + (from - piece->start_bytes), to - from);
  return r;
}

static int
read_pieces (const struct read_state *s)
{
  uint64_t next = round_down (s->start_bytes, s->volume->unit_bytes);
  uint64_t end = round_up (s->end_bytes, s->volume->unit_bytes);
  struct piece *piece;
  int r = 0;

  for (;;) {
    while (r == 0 && next < end) {
      size_t size_bytes = (size_t)MIN (end - next, CHUNK_BYTES);

      piece = piece_take (s->volume, s->w, size_bytes);
      if (!piece)
        break;
      piece_submit (s->volume, s->w, piece, next, size_bytes, false, false,
                    next + size_bytes < end);
      next += size_bytes;
    }
    piece = piece_reap (s->volume, s->w);
    if (!piece)
      return r;
    if (r == 0)
      r = finish_read (s, piece);
  }
}

static int
try_read (struct connection *c, struct read_state *s)
{
  int r = request_enter (c, &s->w);

  if (r == 0)
    r = read_pieces (s);
  /* Fenced meanwhile: what was decrypted before that stays here. */
  return r == 0 && !gate_still_open (&c->volume->gate) ? -ENOKEY : r;
}

int
request_read (struct connection *c, void *buf, uint32_t count, uint64_t offset_bytes)
{
  struct read_state s = {.volume = c->volume,
                         .buf = buf,
                         .start_bytes = offset_bytes,
                         .end_bytes = offset_bytes + count};
  int r;

  do
    r = try_read (c, &s);
  while (request_again (c, r));
  if (r < 0)
    return request_fail (c, r, "read", count, offset_bytes);
  request_count (&s.w->counters.reads, &s.w->counters.bytes_read, count);
  return 0;
}

int
request_flush (struct connection *c)
{
  struct worker *w;
  int r;

  do
    r = request_enter (c, &w);
  while (request_again (c, r));
  if (r == 0)
    r = backing_flush (&c->volume->backing);
  return r < 0 ? request_fail (c, r, "flush", 0, 0) : 0;
}

int
request_cache (struct connection *c, uint32_t count, uint64_t offset_bytes)
{
  struct worker *w;
  int r;

  do
    r = request_enter (c, &w);
  while (request_again (c, r));
  if (r < 0)
    return request_fail (c, r, "cache", count, offset_bytes);
  backing_prefetch (&c->volume->backing, backing_offset (c->volume, offset_bytes), count);
  return 0;
}

/* The run at `at`, in the volume; a hole is cut down to whole sectors, and data grows by what is
 * cut. */
static int
next_run (const struct volume *volume, uint64_t at, uint64_t end, bool *ret_hole,
          uint64_t *ret_stop)
{
  uint32_t sector_size = volume->info.sector_size;
  uint64_t stop;
  bool hole;
  int r = backing_next_extent (&volume->backing, backing_offset (volume, at),
                               backing_offset (volume, end), &hole, &stop);

  if (r < 0)
    return r;
  stop -= volume->info.data_offset_bytes;
  if (hole && stop < end)
    stop = round_down (stop, sector_size);
  if (hole && stop <= at) { /* less than a sector of it */
    hole = false;
    stop = MIN (end, round_up (at + 1, sector_size));
  }
  if (!hole && stop < end)
    stop = MIN (end, round_up (stop, sector_size));
  *ret_hole = hole;
  *ret_stop = stop;
  return 0;
}

int
request_extents (struct connection *c, uint32_t count, uint64_t offset_bytes, bool one,
                 int (*add) (void *opaque, uint64_t offset_bytes, uint64_t size_bytes, bool hole),
                 void *opaque)
{
  uint64_t end = round_up (offset_bytes + count, c->volume->info.sector_size);
  uint64_t at = round_down (offset_bytes, c->volume->info.sector_size);
  struct worker *w;
  int r;

  do
    r = request_enter (c, &w);
  while (request_again (c, r));
  while (r == 0 && at < end) {
    uint64_t stop = at;
    bool hole = false;

    r = next_run (c->volume, at, end, &hole, &stop);
    if (r == 0)
      r = add (opaque, at, stop - at, hole);
    if (one)
      break;
    at = stop;
  }
  return r < 0 ? request_fail (c, r, "block status", count, offset_bytes) : 0;
}
