/* What the data path promises about the fence: nothing passes a closed gate, what was on its way
 * ends truthfully, and with on-fence=stall requests wait and are then done whole.
 */
#include <semaphore.h>

#include "common/io.h"
#include "tests/unit/request-rig.h"

static struct volume *to_wipe;
static sem_t wiped;

static void
wipe_now (void)
{
  if (to_wipe) {
    gate_close (&to_wipe->gate);
    keys_wipe (to_wipe->keys);
    to_wipe = NULL;
    sem_post (&wiped);
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
  gate_close (&rig.volume->gate);
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

/* Fenced after the data were decrypted, before the answer: the gate is looked at again. */
static void
close_only (void)
{
  gate_close (&to_wipe->gate);
}

static void
a_read_that_was_decrypted_before_the_gate_closed_is_not_answered (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[4096];

  (void)state;
  to_wipe = rig.volume;
  fake.on_wait = close_only;
  assert_int_equal (request_read (rig.connection, buf, sizeof buf, 0), -EIO);
  rig_clear (&rig);
}

static void
a_write_that_ends_after_the_gate_closed_is_flushed_and_reported_done (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[4096] = {7};

  (void)state;
  rig.volume->backing.flush_failed = true; /* a flush shows as an error */
  to_wipe = rig.volume;
  fake.on_wait = close_only;
  assert_int_equal (request_write (rig.connection, buf, sizeof buf, 0, false), -EIO);
  gate_open (&rig.volume->gate, UINT64_MAX);
  fake.on_wait = NULL;
  assert_int_equal (request_write (rig.connection, buf, sizeof buf, 0, false), 0);
  to_wipe = rig.volume;
  rig.volume->backing.flush_failed = false;
  fake.on_wait = close_only;
  assert_int_equal (request_write (rig.connection, buf, sizeof buf, 0, false), 0);
  rig_clear (&rig);
}

static void
refused_requests_get_the_error_that_was_asked_for (void **state)
{
  static const int errors[] = {EIO, EPERM, ENOSPC};
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[512];

  (void)state;
  gate_close (&rig.volume->gate);
  for (size_t i = 0; i < ARRAY_SIZE (errors); i++) {
    rig.volume->params.fence_errno = errors[i];
    assert_int_equal (request_read (rig.connection, buf, sizeof buf, 0), -errors[i]);
  }
  rig_clear (&rig);
}

static void
a_lease_that_has_run_out_refuses_without_anybody_closing_the_gate (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[512];

  (void)state;
  gate_open (&rig.volume->gate, clock_ms ());
  assert_int_equal (request_read (rig.connection, buf, sizeof buf, 0), -EIO);
  assert_int_equal (request_flush (rig.connection), -EIO);
  rig_clear (&rig);
}

/* ---- stalling ---- */

static struct rig *fenced;

static void *
recover_after_the_wipe (void *opaque)
{
  (void)opaque;
  assert_int_equal (sem_wait (&wiped), 0);
  usleep (100000);
  assert_int_equal (keys_set (fenced->volume->keys, &fenced->key, NULL), 0);
  gate_open (&fenced->volume->gate, UINT64_MAX);
  return NULL;
}

static void
with_recovery (struct rig *rig, void (*what) (struct rig *rig))
{
  pthread_t thread;

  fenced = rig;
  rig->volume->gate.stall_limit_ms = 3600 * 1000;
  assert_int_equal (sem_init (&wiped, 0, 0), 0);
  to_wipe = rig->volume;
  assert_int_equal (pthread_create (&thread, NULL, recover_after_the_wipe, NULL), 0);
  what (rig);
  pthread_join (thread, NULL);
}

static void
do_one_of_each (struct rig *rig)
{
  uint8_t buf[8192];

  wipe_now ();
  assert_int_equal (request_read (rig->connection, buf, sizeof buf, 0), 0);
  assert_memory_equal (buf, rig->model, sizeof buf);
  assert_int_equal (request_write (rig->connection, buf, sizeof buf, 0, false), 0);
  assert_int_equal (request_flush (rig->connection), 0);
}

static void
stalled_requests_wait_for_the_key_and_are_done_then (void **state)
{
  struct rig rig = rig_new (4096, 4096);

  (void)state;
  with_recovery (&rig, do_one_of_each);
  assert_int_equal (volume_totals (rig.volume).refused, 0);
  rig_clear (&rig);
}

static void
read_all (struct rig *rig)
{
  uint8_t *buf = malloc (DISK_BYTES);

  fake.on_wait = wipe_now;
  assert_int_equal (request_read (rig->connection, buf, DISK_BYTES, 0), 0);
  assert_memory_equal (buf, rig->model, DISK_BYTES);
  free (buf);
}

static void
a_read_that_is_fenced_on_its_way_is_done_again_from_its_start (void **state)
{
  struct rig rig = rig_new (4096, 4096);

  (void)state;
  with_recovery (&rig, read_all);
  rig_clear (&rig);
}

static void
write_all (struct rig *rig)
{
  fake.on_wait = wipe_now;
  memset (rig->model, 0x5a, DISK_BYTES);
  assert_int_equal (request_write (rig->connection, rig->model, DISK_BYTES, 0, false), 0);
}

static void
a_write_that_is_fenced_on_its_way_is_done_again_from_its_start (void **state)
{
  struct rig rig = rig_new (4096, 4096);

  (void)state;
  with_recovery (&rig, write_all);
  fake.on_wait = NULL;
  check_whole_disk (&rig);
  rig_clear (&rig);
}

static void
after_the_limit_stalled_requests_fail_and_are_counted (void **state)
{
  struct rig rig = rig_new (4096, 4096);
  uint8_t buf[512];

  (void)state;
  rig.volume->gate.stall_limit_ms = 50;
  gate_close (&rig.volume->gate);
  assert_int_equal (request_read (rig.connection, buf, sizeof buf, 0), -EIO);
  assert_int_equal (volume_totals (rig.volume).refused, 1);
  rig_clear (&rig);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_read_that_ends_after_the_wipe_gives_the_error_and_no_plaintext),
      cmocka_unit_test (a_read_that_was_decrypted_before_the_gate_closed_is_not_answered),
      cmocka_unit_test (a_write_that_ends_after_the_gate_closed_is_flushed_and_reported_done),
      cmocka_unit_test (refused_requests_get_the_error_that_was_asked_for),
      cmocka_unit_test (a_lease_that_has_run_out_refuses_without_anybody_closing_the_gate),
      cmocka_unit_test (nothing_passes_without_a_key_and_all_is_counted),
      cmocka_unit_test (stalled_requests_wait_for_the_key_and_are_done_then),
      cmocka_unit_test (a_read_that_is_fenced_on_its_way_is_done_again_from_its_start),
      cmocka_unit_test (a_write_that_is_fenced_on_its_way_is_done_again_from_its_start),
      cmocka_unit_test (after_the_limit_stalled_requests_fail_and_are_counted),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
