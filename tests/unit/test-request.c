/* What the data path promises, on an engine that finishes transfers late, out of order and with
 * faults.
 *
 * The engine here keeps the ciphertext in memory, holds up to eight transfers and gives them back
 * in a random order: whatever passes here does not depend on the synchronous engine.
 */
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
  struct transfer *under_way[ENGINE_DEPTH_MAX];
  unsigned count;
  unsigned seed;
};

static int
fake_queue_new (struct backing *backing, struct engine_queue **ret_queue)
{
  (void)backing;
  *ret_queue = calloc (1, sizeof **ret_queue);
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

static void
fake_submit (struct engine_queue *queue, struct transfer *t)
{
  LOCK_FOR_SCOPE (&fake.mutex);

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

static struct volume *
make_volume (struct secret *key, uint32_t sector_size, uint32_t unit_bytes)
{
  struct volume *volume = volume_new ();

  volume->params = params_default ();
  volume->params.path = "test";
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
  atomic_store (&volume->serving, true);
  return volume;
}

static struct rig
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

static void
rig_clear (struct rig *rig)
{
  assert_int_equal (fake.submitted, fake.returned);
  volume_free (rig->volume);
  secret_clear (&rig->key);
  free (rig->model);
  free (fake.store);
}

static void
check_whole_disk (struct rig *rig)
{
  uint8_t *got = malloc (DISK_BYTES);

  assert_int_equal (request_read (rig->connection, got, DISK_BYTES, 0), 0);
  assert_memory_equal (got, rig->model, DISK_BYTES);
  free (got);
}

/* Half of the requests are aligned, half are not; small, large and at the very end. */
static void
random_range (unsigned *seed, uint64_t *ret_offset, uint32_t *ret_count)
{
  static const uint32_t sizes[] = {1, 511, 512, 4095, 4096, 4097, 65536, 262144, 300000, 1048576};
  uint32_t count = sizes[(unsigned)rand_r (seed) % ARRAY_SIZE (sizes)];
  uint64_t offset = (uint64_t)rand_r (seed) % (DISK_BYTES - count + 1);

  if (rand_r (seed) % 2)
    offset = round_down (offset, 4096);
  if (rand_r (seed) % 8 == 0)
    offset = DISK_BYTES - count;
  *ret_offset = offset;
  *ret_count = count;
}

static void
random_change (struct rig *rig, unsigned *seed, uint8_t *buf)
{
  uint64_t offset;
  uint32_t count;
  bool fua = rand_r (seed) % 4 == 0;

  random_range (seed, &offset, &count);
  if (rand_r (seed) % 3 == 0) {
    assert_int_equal (request_zero (rig->connection, count, offset, fua), 0);
    memset (rig->model + offset, 0, count);
    return;
  }
  for (uint32_t i = 0; i < count; i++)
    buf[i] = (uint8_t)((unsigned)rand_r (seed) >> 8);
  assert_int_equal (request_write (rig->connection, buf, count, offset, fua), 0);
  memcpy (rig->model + offset, buf, count);
}

static void
model_check (uint32_t sector_size, uint32_t unit_bytes)
{
  struct rig rig = rig_new (sector_size, unit_bytes);
  uint8_t *buf = malloc (DISK_BYTES);
  unsigned seed = sector_size + unit_bytes;

  for (int i = 0; i < 60; i++) {
    uint64_t offset;
    uint32_t count;

    random_change (&rig, &seed, buf);
    random_range (&seed, &offset, &count);
    buf[count] = GUARD;
    assert_int_equal (request_read (rig.connection, buf, count, offset), 0);
    assert_memory_equal (buf, rig.model + offset, count);
    assert_int_equal (buf[count], GUARD);
  }
  check_whole_disk (&rig);
  free (buf);
  rig_clear (&rig);
}

static void
requests_of_any_size_and_alignment_read_back (void **state)
{
  (void)state;
  model_check (4096, 4096);
  model_check (512, 512);
  model_check (512, 4096); /* a disk that takes 4096 bytes at a time under 512-byte sectors */
}

static void
the_backing_holds_aes_xts_of_the_plaintext_and_nothing_before_it (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t *before = malloc (DATA_OFFSET_BYTES), *plain = malloc (DISK_BYTES);
  struct xts_context *context;
  unsigned seed = 3;

  (void)state;
  memcpy (before, fake.store, DATA_OFFSET_BYTES);
  for (int i = 0; i < 20; i++)
    random_change (&rig, &seed, plain);
  context = rig.volume->xts->context_new (&rig.key, NULL);
  assert_int_equal (rig.volume->xts->decrypt (context, 0, 4096, fake.store + DATA_OFFSET_BYTES,
                                              plain, DISK_BYTES / 4096),
                    0);
  rig.volume->xts->context_free (context);
  assert_memory_equal (plain, rig.model, DISK_BYTES);
  assert_memory_equal (before, fake.store, DATA_OFFSET_BYTES);
  free (before);
  free (plain);
  rig_clear (&rig);
}

/* ---- several writers ---- */

struct writer {
  struct rig *rig;
  unsigned index;
};

/* Each writer owns every fourth byte of one sector and of an unaligned range across several. */
static void *
write_own_bytes (void *opaque)
{
  const struct writer *writer = opaque;
  struct connection *connection = connection_new (writer->rig->volume, false, NULL);

  for (int round = 1; round <= 40; round++) {
    for (unsigned i = 0; i < 64; i++) {
      uint64_t offset = 8192 + 4 * i + writer->index;
      uint8_t byte = (uint8_t)(round + (int)writer->index);

      if (request_write (connection, &byte, 1, offset, false) < 0)
        abort ();
    }
  }
  return connection;
}

static void
writers_of_different_bytes_of_one_sector_lose_nothing (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  struct writer writers[4];
  pthread_t threads[4];
  void *connection;

  (void)state;
  for (unsigned i = 0; i < 4; i++) {
    writers[i] = (struct writer){&rig, i};
    assert_int_equal (pthread_create (&threads[i], NULL, write_own_bytes, &writers[i]), 0);
  }
  for (unsigned i = 0; i < 4; i++) {
    pthread_join (threads[i], &connection);
    connection_free (connection);
    for (unsigned j = 0; j < 64; j++)
      rig.model[8192 + 4 * j + i] = (uint8_t)(40 + i);
  }
  check_whole_disk (&rig);
  rig_clear (&rig);
}

/* One writes whole sectors in which only its own bytes change, the others single bytes of the rest:
 * a read-modify-write that did not honour aligned writes would bring old bytes back.
 */
static void *
write_aligned (void *opaque)
{
  const struct writer *writer = opaque;
  struct connection *connection = connection_new (writer->rig->volume, false, NULL);
  uint8_t *sector = malloc (4096);

  for (int round = 0; round < 300; round++) {
    memset (sector, round, 4096);
    if (request_write (connection, sector, 4096, 16384, false) < 0
        || request_read (connection, sector, 4096, 16384) < 0)
      abort ();
    for (unsigned i = 0; i < 4096; i++)
      if (i % 512 != 7 && sector[i] != (uint8_t)round)
        abort (); /* somebody brought an older round back */
  }
  free (sector);
  return connection;
}

static void *
write_single_bytes (void *opaque)
{
  const struct writer *writer = opaque;
  struct connection *connection = connection_new (writer->rig->volume, false, NULL);

  for (int round = 0; round < 600; round++) {
    uint8_t byte = 0xee;

    if (request_write (connection, &byte, 1, 16384 + 512 * (unsigned)(round % 8) + 7, false) < 0)
      abort ();
  }
  return connection;
}

/* Between the read and the write of a read-modify-write there must be time for others. */
static void
wait_a_little (void)
{
  usleep (20);
}

static void
a_partial_write_never_undoes_an_aligned_one (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  struct writer writer = {&rig, 0};
  pthread_t threads[3];
  void *connection;

  (void)state;
  fake.on_wait = wait_a_little;
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal (
        pthread_create (&threads[i], NULL, i == 0 ? write_aligned : write_single_bytes, &writer),
        0);
  for (unsigned i = 0; i < 3; i++) {
    pthread_join (threads[i], &connection);
    connection_free (connection);
  }
  rig_clear (&rig);
}

/* ---- faults ---- */

static void
clients_see_five_errors_and_no_others (void **state)
{
  static const struct {
    int from, to;
  } table[] = {{EIO, EIO},       {ENOSPC, ENOSPC}, {EDQUOT, ENOSPC}, {EFBIG, ENOSPC},
               {ENOMEM, ENOMEM}, {EROFS, EROFS},   {EACCES, EIO},    {EINVAL, EIO},
               {ETIMEDOUT, EIO}, {ESHUTDOWN, EIO}, {ENODATA, EIO},   {ENOKEY, EIO}};
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[4096] = {0};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (table); i++) {
    fake.fail_at = fake.submitted + 1;
    fake.fail_with = table[i].from;
    assert_int_equal (request_write (rig.connection, buf, sizeof buf, 0, false), -table[i].to);
  }
  rig_clear (&rig);
}

static void
every_transfer_comes_back_whichever_one_fails (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t *buf = calloc (1, DISK_BYTES);

  (void)state;
  for (unsigned nth = 1; nth <= 14; nth++) {
    fake.fail_with = EIO;
    fake.fail_from = nth % 2;
    fake.fail_at = fake.submitted + nth;
    /* 2.5 MiB and a bit: ten chunks, a head and a tail that are read first */
    assert_int_equal (request_write (rig.connection, buf, 2621440 + 100, 4096 - 50, false), -EIO);
    assert_int_equal (fake.submitted, fake.returned);
    fake.fail_at = fake.submitted + MIN (nth, 11);
    assert_int_equal (request_read (rig.connection, buf, 2621440 + 100, 4096 - 50), -EIO);
    assert_int_equal (fake.submitted, fake.returned);
    fake.fail_at = 0;
    assert_int_equal (request_read (rig.connection, buf, DISK_BYTES, 0), 0);
  }
  assert_true (errors_logged >= 28);
  free (buf);
  rig_clear (&rig);
}

static void
fua_is_one_durable_transfer_or_a_flush (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t *buf = calloc (1, 1048576);

  (void)state;
  rig.volume->backing.direct = true;
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, false), 0);
  assert_int_equal (fake.durable, 0);
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, true), 0);
  assert_int_equal (fake.durable, 1);
  assert_int_equal (request_write (rig.connection, buf, 10, 7, true), 0);
  assert_int_equal (fake.durable, 2);
  assert_int_equal (request_write (rig.connection, buf, 1048576, 0, true),
                    0); /* flushed at its end */
  assert_int_equal (fake.durable, 2);
  free (buf);
  rig_clear (&rig);
}

/* The flag would take the kernel's one report of earlier writes that were lost, and call it this
 * one's. */
static void
fua_through_the_page_cache_is_always_a_flush (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[4096] = {0};

  (void)state;
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, true), 0);
  assert_int_equal (request_write (rig.connection, buf, 10, 7, true), 0);
  assert_int_equal (fake.durable, 0);
  backing_note_failed_sync (&rig.volume->backing);
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, true), -EIO);
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, false), 0);
  rig_clear (&rig);
}

static void
a_failed_durable_write_makes_later_flushes_fail (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[4096] = {0};

  (void)state;
  rig.volume->backing.direct = true;
  assert_int_equal (request_flush (rig.connection), 0);
  fake.fail_at = fake.submitted + 1;
  fake.fail_with = ENOSPC;
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, true), -ENOSPC);
  assert_int_equal (request_flush (rig.connection), 0); /* no space is no lost write */
  fake.fail_at = fake.submitted + 1;
  fake.fail_with = EIO;
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, true), -EIO);
  assert_int_equal (request_flush (rig.connection), -EIO);
  assert_int_equal (request_flush (rig.connection), -EIO);
  rig_clear (&rig);
}

static void
zeros_are_written_encrypted (void **state)
{
  static const uint8_t none[4096];
  struct rig rig = rig_new (4096, 4096);

  (void)state;
  assert_int_equal (request_zero (rig.connection, DISK_BYTES, 0, false), 0);
  memset (rig.model, 0, DISK_BYTES);
  check_whole_disk (&rig);
  for (uint64_t at = 0; at < DISK_BYTES; at += 4096)
    assert_memory_not_equal (fake.store + DATA_OFFSET_BYTES + at, none, 4096);
  rig_clear (&rig);
}

static void
trim_without_discard_does_nothing (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  unsigned before = fake.submitted;

  (void)state;
  assert_int_equal (request_trim (rig.connection, DISK_BYTES, 0, true), 0);
  assert_int_equal (fake.submitted, before);
  check_whole_disk (&rig);
  rig_clear (&rig);
}

static void
a_read_only_connection_changes_nothing (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  struct connection *connection = connection_new (rig.volume, true, NULL);
  uint8_t buf[10] = {0};

  (void)state;
  assert_int_equal (request_write (connection, buf, 10, 0, false), -EROFS);
  assert_int_equal (request_zero (connection, 10, 0, false), -EROFS);
  assert_int_equal (request_trim (connection, 4096, 0, false), -EROFS);
  assert_int_equal (request_read (connection, buf, 10, 0), 0);
  connection_free (connection);
  check_whole_disk (&rig);
  rig_clear (&rig);
}

/* ---- the gate ---- */

static struct volume *to_wipe;

static void
wipe_now (void)
{
  if (to_wipe) {
    atomic_store (&to_wipe->serving, false);
    keys_wipe (to_wipe->keys);
    to_wipe = NULL;
  }
}

static void
a_read_that_ends_after_the_wipe_gives_the_error_and_no_plaintext (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t *buf = malloc (65536);

  (void)state;
  memset (buf, GUARD, 65536);
  to_wipe = rig.volume;
  fake.on_wait = wipe_now; /* the data has been read, and is not yet decrypted */
  assert_int_equal (request_read (rig.connection, buf, 65536, 0), -EIO);
  for (size_t i = 0; i < 65536; i++)
    assert_int_equal (buf[i], GUARD);
  free (buf);
  rig_clear (&rig);
}

static void
nothing_passes_without_a_key_and_all_is_counted (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  unsigned before = fake.submitted;
  struct io_totals totals;
  uint8_t buf[512] = {0};

  (void)state;
  atomic_store (&rig.volume->serving, false);
  keys_wipe (rig.volume->keys);
  assert_int_equal (request_read (rig.connection, buf, 512, 0), -EIO);
  assert_int_equal (request_write (rig.connection, buf, 512, 0, false), -EIO);
  assert_int_equal (request_zero (rig.connection, 512, 0, false), -EIO);
  assert_int_equal (request_trim (rig.connection, 512, 0, false), -EIO);
  assert_int_equal (request_flush (rig.connection), -EIO);
  assert_int_equal (request_cache (rig.connection, 512, 0), -EIO);
  assert_int_equal (fake.submitted, before);
  totals = volume_totals (rig.volume);
  assert_int_equal (totals.refused, 6);
  assert_int_equal (totals.reads, 1); /* the one that filled the model */
  assert_int_equal (errors_logged, 0);
  rig_clear (&rig);
}

static void
counters_outlive_their_connection (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  struct connection *connection = connection_new (rig.volume, false, NULL);
  struct io_totals totals;
  uint8_t buf[512] = {0};

  (void)state;
  assert_int_equal (request_write (connection, buf, 512, 0, false), 0);
  connection_free (connection);
  totals = volume_totals (rig.volume);
  assert_int_equal (totals.writes, 1);
  assert_int_equal (totals.bytes_written, 512);
  assert_int_equal (totals.bytes_read, DISK_BYTES);
  rig_clear (&rig);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (requests_of_any_size_and_alignment_read_back),
      cmocka_unit_test (the_backing_holds_aes_xts_of_the_plaintext_and_nothing_before_it),
      cmocka_unit_test (writers_of_different_bytes_of_one_sector_lose_nothing),
      cmocka_unit_test (a_partial_write_never_undoes_an_aligned_one),
      cmocka_unit_test (clients_see_five_errors_and_no_others),
      cmocka_unit_test (every_transfer_comes_back_whichever_one_fails),
      cmocka_unit_test (fua_is_one_durable_transfer_or_a_flush),
      cmocka_unit_test (fua_through_the_page_cache_is_always_a_flush),
      cmocka_unit_test (a_failed_durable_write_makes_later_flushes_fail),
      cmocka_unit_test (zeros_are_written_encrypted),
      cmocka_unit_test (trim_without_discard_does_nothing),
      cmocka_unit_test (a_read_only_connection_changes_nothing),
      cmocka_unit_test (a_read_that_ends_after_the_wipe_gives_the_error_and_no_plaintext),
      cmocka_unit_test (nothing_passes_without_a_key_and_all_is_counted),
      cmocka_unit_test (counters_outlive_their_connection),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
