/* What the data path promises, on real rings and a real file: many threads, mixed sizes, and a key
 * that is wiped while requests are in flight in the kernel.
 */
#include "tests/unit/request-rig.h"

#include <fcntl.h>

#define THREADS 6
#define SHARE_BYTES (DISK_BYTES / THREADS / 512 * 512 - 256) /* neighbours share sectors */

static struct volume *
volume_on_ring (struct secret *key, const struct engine *engine)
{
  struct volume *volume = make_volume (key, 4096, 4096);

  errors_logged = 0;
  volume->engine = engine;
  close (volume->backing.fd);
  volume->backing.fd = open ("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  assert_true (volume->backing.fd >= 0);
  assert_int_equal (ftruncate (volume->backing.fd, DATA_OFFSET_BYTES + DISK_BYTES), 0);
  volume->backing.direct = fcntl (volume->backing.fd, F_SETFL, O_RDWR | O_DIRECT) == 0;
  volume->backing.has_durable_writes = volume->backing.direct;
  return volume;
}

struct client {
  struct volume *volume;
  unsigned index;
  bool may_be_refused;
  unsigned served;
  pthread_t thread;
  struct connection *connection;
};

static bool
went_well (struct client *client, int r)
{
  if (r == 0)
    client->served++;
  else if (r != -EIO || !client->may_be_refused)
    abort ();
  return r == 0;
}

#define ROUNDS 120

static atomic_uint clients_left;

/* Writes and reads at random places of its own share, which it alone knows; a round counts when its
 * read was served. */
static void *
run_client (void *opaque)
{
  struct client *client = opaque;
  uint8_t *model = calloc (1, SHARE_BYTES), *known = calloc (1, SHARE_BYTES),
          *buf = malloc (SHARE_BYTES);
  unsigned seed = client->index;

  client->connection = connection_new (client->volume, false, NULL);
  for (int i = 0; i < ROUNDS;) {
    size_t size = (size_t)rand_r (&seed) % (i % 4 == 0 ? SHARE_BYTES : 20000) + 1;
    size_t at = (size_t)rand_r (&seed) % (SHARE_BYTES - size + 1);
    uint64_t offset = client->index * SHARE_BYTES + at;

    memset (buf, rand_r (&seed), size);
    if (went_well (client, request_write (client->connection, buf, (uint32_t)size, offset,
                                          rand_r (&seed) % 8 == 0))) {
      memcpy (model + at, buf, size);
      memset (known + at, 1, size);
    }
    else
      memset (known + at, 0, size);
    if (!went_well (client, request_read (client->connection, buf, (uint32_t)size, offset))) {
      usleep (300); /* until the key may be back */
      continue;
    }
    i++;
    for (size_t b = 0; b < size; b++)
      if (known[at + b] && buf[b] != model[at + b])
        abort ();
  }
  free (model);
  free (known);
  free (buf);
  atomic_fetch_sub (&clients_left, 1);
  return NULL;
}

static void
start_clients (struct client *clients, struct volume *volume, bool may_be_refused)
{
  atomic_store (&clients_left, THREADS);
  for (unsigned i = 0; i < THREADS; i++) {
    clients[i] = (struct client){.volume = volume, .index = i, .may_be_refused = may_be_refused};
    assert_int_equal (pthread_create (&clients[i].thread, NULL, run_client, &clients[i]), 0);
  }
}

/* Connections are closed by another thread, as nbdkit does. */
static unsigned
end_clients (struct client *clients)
{
  unsigned served = 0;

  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join (clients[i].thread, NULL);
    connection_free (clients[i].connection);
    served += clients[i].served;
  }
  return served;
}

static void
many_threads_of_mixed_sizes_read_what_they_wrote (void **state)
{
  static const struct engine *const engines[] = {&engine_uring, &engine_auto};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (engines); i++) {
    struct client clients[THREADS];
    struct secret key = {0};
    struct volume *volume = volume_on_ring (&key, engines[i]);

    start_clients (clients, volume, false);
    assert_int_equal (end_clients (clients), THREADS * 2 * ROUNDS);
    assert_int_equal (errors_logged, 0);
    volume_free (volume);
    secret_clear (&key);
  }
}

static void
a_key_that_comes_and_goes_leaves_only_right_bytes_and_errors (void **state)
{
  struct client clients[THREADS];
  struct secret key = {0};
  struct volume *volume = volume_on_ring (&key, &engine_uring);
  struct io_totals totals;

  (void)state;
  start_clients (clients, volume, true);
  while (atomic_load (&clients_left) > 0) {
    usleep (2000);
    gate_close (&volume->gate);
    keys_wipe (volume->keys);
    usleep (200);
    assert_int_equal (keys_set (volume->keys, &key, NULL), 0);
    gate_open (&volume->gate, UINT64_MAX);
  }
  assert_true (end_clients (clients) >= THREADS * ROUNDS);
  totals = volume_totals (volume);
  assert_true (totals.refused > 0);
  assert_int_equal (errors_logged, 0); /* a refusal is no failure */
  volume_free (volume);
  secret_clear (&key);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (many_threads_of_mixed_sizes_read_what_they_wrote),
      cmocka_unit_test (a_key_that_comes_and_goes_leaves_only_right_bytes_and_errors),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
