/* What the data path does when the disk fails, the key goes, or nothing may be written. */
#include "tests/unit/request-rig.h"

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
  rig.volume->backing.has_durable_writes = true;
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
  struct backing_sync lost;

  (void)state;
  assert_int_equal (request_write (rig.connection, buf, 4096, 0, true), 0);
  assert_int_equal (request_write (rig.connection, buf, 10, 7, true), 0);
  assert_int_equal (fake.durable, 0);
  backing_sync_begin (&rig.volume->backing, &lost);
  assert_false (backing_sync_end (&rig.volume->backing, &lost, true));
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
  rig.volume->backing.has_durable_writes = true;
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
      cmocka_unit_test (clients_see_five_errors_and_no_others),
      cmocka_unit_test (every_transfer_comes_back_whichever_one_fails),
      cmocka_unit_test (fua_is_one_durable_transfer_or_a_flush),
      cmocka_unit_test (fua_through_the_page_cache_is_always_a_flush),
      cmocka_unit_test (a_failed_durable_write_makes_later_flushes_fail),
      cmocka_unit_test (zeros_are_written_encrypted),
      cmocka_unit_test (trim_without_discard_does_nothing),
      cmocka_unit_test (a_read_only_connection_changes_nothing),
      cmocka_unit_test (counters_outlive_their_connection),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
