/* request-rig.h: a volume for tests of the data path, on an engine that finishes transfers late,
 * out of order and with faults.
 *
 * The engine keeps the ciphertext in memory, holds up to eight transfers and gives them back in a
 * random order: whatever passes on it does not depend on the synchronous engine.
 */
#ifndef TESTS_UNIT_REQUEST_RIG_H
#define TESTS_UNIT_REQUEST_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/request.h"

#define DISK_BYTES ((uint64_t)3 * 1024 * 1024)
#define DATA_OFFSET_BYTES ((uint64_t)1024 * 1024)
#define GUARD 0xa5

static unsigned errors_logged;

void
log_error (const char *fmt, ...)
{
  (void)fmt;
  __atomic_fetch_add (&errors_logged, 1, __ATOMIC_RELAXED);
}

void
log_notice (const char *fmt, ...)
{
  (void)fmt;
}

/* ---- the engine ---- */

static struct {
  pthread_mutex_t mutex; /* guards everything: the store is one memory for all threads */
  uint8_t *store;        /* the backing: DATA_OFFSET_BYTES + DISK_BYTES */
  uint32_t align_bytes;
  unsigned submitted, returned, durable;
  int fail_with;          /* errno for … */
  unsigned fail_at;       /* … this transfer, counted from 1; 0: none */
  bool fail_from;         /* and all later ones */
  void (*on_wait) (void); /* runs when a transfer is given back */
} fake = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct engine_queue {
  const uint8_t *buffers;
  struct transfer *under_way[ENGINE_DEPTH_MAX];
  unsigned count;
  unsigned seed;
};

static int
fake_queue_new (struct backing *backing, void *buffers, struct engine_queue **ret_queue)
{
  (void)backing;
  *ret_queue = calloc (1, sizeof **ret_queue);
  (*ret_queue)->buffers = buffers;
  (*ret_queue)->seed = 7;
  return 0;
}

static void
fake_queue_free (struct engine_queue *queue)
{
  if (queue)
    assert_int_equal (queue->count, 0);
  free (queue);
}

/* In the chunk of its own, or a small one; two that are under way never share one. */
static void
check_buffer (const struct engine_queue *queue, const struct transfer *t)
{
  uintptr_t at = (uintptr_t)t->buf - (uintptr_t)queue->buffers;

  if (at < ENGINE_DEPTH_MAX * CHUNK_BYTES)
    assert_true (at % CHUNK_BYTES == 0 && t->size_bytes <= CHUNK_BYTES);
  else
    assert_true (t->size_bytes <= SMALL_BYTES);
  for (unsigned i = 0; i < queue->count; i++)
    assert_ptr_not_equal (t->buf, queue->under_way[i]->buf);
}

static void
fake_submit (struct engine_queue *queue, struct transfer *t)
{
  LOCK_FOR_SCOPE (&fake.mutex);

  check_buffer (queue, t);
  assert_true (queue->count < ENGINE_DEPTH_MAX);
  assert_true (is_aligned ((uintptr_t)t->buf, 4096));
  assert_true (is_aligned (t->offset_bytes, fake.align_bytes));
  assert_true (is_aligned (t->size_bytes, fake.align_bytes) && t->size_bytes > 0);
  assert_true (t->offset_bytes >= DATA_OFFSET_BYTES);
  assert_true (t->offset_bytes + t->size_bytes <= DATA_OFFSET_BYTES + DISK_BYTES);
  queue->under_way[queue->count++] = t;
  fake.submitted++;
  fake.durable += t->durable;
  t->result = 0;
  if (fake.fail_at != 0
      && (fake.submitted == fake.fail_at || (fake.fail_from && fake.submitted > fake.fail_at)))
    t->result = -fake.fail_with;
  else if (t->write)
    memcpy (fake.store + t->offset_bytes, t->buf, t->size_bytes);
}

static struct transfer *
give_back_any (struct engine_queue *queue)
{
  unsigned i = (unsigned)rand_r (&queue->seed) % queue->count;
  struct transfer *t = queue->under_way[i];
  LOCK_FOR_SCOPE (&fake.mutex);

  queue->under_way[i] = queue->under_way[--queue->count];
  fake.returned++;
  if (!t->write && t->result == 0)
    memcpy (t->buf, fake.store + t->offset_bytes, t->size_bytes);
  return t;
}

static struct transfer *
fake_wait (struct engine_queue *queue)
{
  struct transfer *t = queue->count > 0 ? give_back_any (queue) : NULL;

  if (t && fake.on_wait)
    fake.on_wait ();
  return t;
}

static const struct engine fake_engine = {.name = "fake",
                                          .depth = ENGINE_DEPTH_MAX,
                                          .queue_new = fake_queue_new,
                                          .queue_free = fake_queue_free,
                                          .submit = fake_submit,
                                          .wait = fake_wait};

/* ---- a volume on it ---- */

struct rig {
  struct volume *volume;
  struct connection *connection;
  struct secret key;
  uint8_t *model; /* the plaintext that the disk should hold */
};

static inline struct volume *
make_volume (struct secret *key, uint32_t sector_size, uint32_t unit_bytes)
{
  struct volume *volume = volume_new ();

  volume->params = params_default ();
  volume->params.path = "test";
  volume->params.fence_errno = EIO;
  volume->engine = &fake_engine;
  volume->info.sector_size = sector_size;
  volume->info.data_offset_bytes = DATA_OFFSET_BYTES;
  volume->unit_bytes = unit_bytes;
  volume->backing.fd = memfd_create ("fd", MFD_CLOEXEC);
  volume->backing.meta_fd = memfd_create ("meta", MFD_CLOEXEC);
  assert_int_equal (ftruncate (volume->backing.meta_fd, (off_t)(DATA_OFFSET_BYTES + DISK_BYTES)),
                    0);
  assert_int_equal (xts_select ("openssl", &volume->xts, NULL), 0);
  assert_int_equal (keys_new (volume->xts, &volume->keys, NULL), 0);
  assert_int_equal (secret_random (key, VOLUME_KEY_SIZE, NULL), 0);
  assert_int_equal (keys_set (volume->keys, key, NULL), 0);
  gate_open (&volume->gate, UINT64_MAX);
  return volume;
}

static inline struct rig
rig_new (uint32_t sector_size, uint32_t unit_bytes)
{
  struct rig rig = {0};

  fake.store = malloc (DATA_OFFSET_BYTES + DISK_BYTES);
  for (uint64_t i = 0; i < DATA_OFFSET_BYTES + DISK_BYTES; i++)
    fake.store[i] = (uint8_t)(i * 2654435761u >> 13);
  fake.align_bytes = unit_bytes;
  fake.submitted = fake.returned = fake.durable = fake.fail_at = 0;
  fake.fail_from = false;
  fake.on_wait = NULL;
  errors_logged = 0;
  rig.volume = make_volume (&rig.key, sector_size, unit_bytes);
  rig.connection = connection_new (rig.volume, false, NULL);
  rig.model = malloc (DISK_BYTES);
  assert_int_equal (request_read (rig.connection, rig.model, DISK_BYTES, 0), 0);
  return rig;
}

static inline void
rig_clear (struct rig *rig)
{
  assert_int_equal (fake.submitted, fake.returned);
  volume_free (rig->volume);
  secret_clear (&rig->key);
  free (rig->model);
  free (fake.store);
}

static inline void
check_whole_disk (struct rig *rig)
{
  uint8_t *got = malloc (DISK_BYTES);

  assert_int_equal (request_read (rig->connection, got, DISK_BYTES, 0), 0);
  assert_memory_equal (got, rig->model, DISK_BYTES);
  free (got);
}

#endif
