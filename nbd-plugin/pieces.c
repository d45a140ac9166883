/* pieces.c owns what reads and writes have in common: gate, chunks, crypto, and the errors clients
 * see. */
#include "nbd-plugin/pieces.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "nbd-plugin/log.h"

static uint64_t
tweak_at (uint64_t offset_bytes)
{
  return offset_bytes / 512;
}

uint64_t
backing_offset (const struct volume *volume, uint64_t offset_bytes)
{
  return volume->info.data_offset_bytes + offset_bytes;
}

int
piece_encrypt (struct volume *volume, struct worker *w, uint64_t offset_bytes, const void *in,
               void *out, size_t size_bytes)
{
  uint32_t sector_size = volume->info.sector_size;

  return keys_encrypt (volume->keys, w->number, tweak_at (offset_bytes), sector_size, in, out,
                       size_bytes / sector_size);
}

int
piece_decrypt (struct volume *volume, struct worker *w, uint64_t offset_bytes, const void *in,
               void *out, size_t size_bytes)
{
  uint32_t sector_size = volume->info.sector_size;

  return keys_decrypt (volume->keys, w->number, tweak_at (offset_bytes), sector_size, in, out,
                       size_bytes / sector_size);
}

static int
client_error (int r)
{
  switch (-r) {
  case 0:
    return 0;
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return -ENOSPC;
  case ENOMEM:
  case EROFS:
    return r;
  default:
    return -EIO;
  }
}

/* A refusal needs no line in the log each: the fence has said it once. */
static int
refuse (struct connection *c)
{
  struct worker *w;

  if (connection_worker (c, &w) == 0)
    request_count (&w->counters.refused, NULL, 0);
  return -c->volume->params.fence_errno;
}

int
request_fail (struct connection *c, int r, const char *what, uint64_t count, uint64_t offset_bytes)
{
  const char *path = c->volume->params.path;

  if (r == -ENOKEY)
    return refuse (c);
  if (count > 0)
    log_error ("%s: %s of %" PRIu64 " bytes at %" PRIu64 ": %s", path, what, count, offset_bytes,
               strerrordesc_np (-r));
  else
    log_error ("%s: %s: %s", path, what, strerrordesc_np (-r));
  return client_error (r);
}

void
request_count (_Atomic uint64_t *requests, _Atomic uint64_t *bytes, uint64_t count)
{
  /* Only this thread writes them, so load and store need not be one operation. */
  atomic_store_explicit (requests, atomic_load_explicit (requests, memory_order_relaxed) + 1,
                         memory_order_relaxed);
  if (bytes)
    atomic_store_explicit (bytes, atomic_load_explicit (bytes, memory_order_relaxed) + count,
                           memory_order_relaxed);
}

int
request_enter (struct connection *c, struct worker **ret_worker)
{
  int r = connection_worker (c, ret_worker);

  if (r < 0)
    return r;
  return gate_is_open (&c->volume->gate) ? 0 : -ENOKEY;
}

bool
request_again (struct connection *c, int r)
{
  return r == -ENOKEY && gate_wait (&c->volume->gate);
}

struct piece *
piece_take (const struct volume *volume, struct worker *w, size_t size_bytes)
{
  for (unsigned i = 0; i < volume->engine->depth; i++) {
    struct piece *piece = &w->pieces[i];

    if (piece->busy)
      continue;
    /* One small buffer is enough: only the last chunk of a request is smaller than the others. */
    piece->transfer.buf = size_bytes <= SMALL_BYTES ? w->small : w->buffers + i * CHUNK_BYTES;
    return piece;
  }
  return NULL;
}

void
piece_submit (struct volume *volume, struct worker *w, struct piece *piece, uint64_t start_bytes,
              size_t size_bytes, bool write, bool durable, bool more)
{
  piece->busy = true;
  piece->start_bytes = start_bytes;
  piece->transfer.size_bytes = size_bytes;
  piece->transfer.offset_bytes = backing_offset (volume, start_bytes);
  piece->transfer.write = write;
  piece->transfer.durable = durable;
  piece->transfer.more = more;
  if (durable)
    backing_sync_begin (&volume->backing, &piece->sync);
  volume->engine->submit (w->queue, &piece->transfer);
}

/* No space is no lost write. */
static void
end_sync (struct volume *volume, struct piece *piece)
{
  int *result = &piece->transfer.result;
  bool lost = client_error (*result) == -EIO;

  if (!backing_sync_end (&volume->backing, &piece->sync, lost) && *result == 0)
    *result = -EIO;
}

struct piece *
piece_reap (struct volume *volume, struct worker *w)
{
  struct transfer *transfer = volume->engine->wait (w->queue);
  struct piece *piece;

  if (!transfer)
    return NULL;
  piece = (struct piece *)((char *)transfer - offsetof (struct piece, transfer));
  piece->busy = false;
  if (transfer->durable)
    end_sync (volume, piece);
  return piece;
}

int
piece_transfer (struct volume *volume, struct worker *w, struct piece *piece, uint64_t start_bytes,
                size_t size_bytes, bool write, bool durable)
{
  piece_submit (volume, w, piece, start_bytes, size_bytes, write, durable, false);
  return piece_reap (volume, w)->transfer.result;
}
