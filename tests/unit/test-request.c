/* What the data path promises: right bytes, whatever the size, alignment and company of a request.
 */
#include "tests/unit/request-rig.h"

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

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (requests_of_any_size_and_alignment_read_back),
      cmocka_unit_test (the_backing_holds_aes_xts_of_the_plaintext_and_nothing_before_it),
      cmocka_unit_test (writers_of_different_bytes_of_one_sector_lose_nothing),
      cmocka_unit_test (a_partial_write_never_undoes_an_aligned_one),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
