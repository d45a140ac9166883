/* connection.c owns the connections of clients and the workers that serve them.
 *
 * nbdkit gives each connection threads of its own, which serve it for life.  A thread finds its
 * worker in a thread-local variable; the number of the connection beside it tells whether that is
 * still true, since one thread may serve several connections one after the other.
 */
#include "nbd-plugin/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic uint64_t last_connection_id;
static atomic_uint last_worker_number;

static __thread struct {
  uint64_t connection_id;
  struct worker *worker;
} here;

static void
worker_free (struct volume *volume, struct worker *worker)
{
  volume->engine->queue_free (worker->queue);
  munmap (worker->small, SMALL_BYTES);
  free (worker);
}

/* Straight from the kernel: aligned, takes no memory before it is used, and gives it back. */
static uint8_t *
small_new (void)
{
  void *small =
      mmap (NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  return small == MAP_FAILED ? NULL : small;
}

static struct worker *
worker_new (struct volume *volume, struct chunks *chunks)
{
  void *memory = NULL;
  struct worker *worker;

  if (posix_memalign (&memory, _Alignof(struct worker), sizeof *worker) != 0)
    return NULL;
  worker = memset (memory, 0, sizeof *worker);
  worker->thread = pthread_self ();
  worker->number = atomic_fetch_add (&last_worker_number, 1);
  worker->small = small_new ();
  if (!worker->small)
    goto err;
  worker->buffers =
      chunks_take (chunks, volume->engine->depth * CHUNK_BYTES, volume->backing.direct);
  if (!worker->buffers
      || volume->engine->queue_new (&volume->backing, worker->buffers, &worker->queue) < 0)
    goto err;
  return worker;

err:
  if (worker->small)
    munmap (worker->small, SMALL_BYTES);
  free (worker);
  return NULL;
}

/* The worker that this thread made before it served another connection in between, or a new one.
 * Apart, so that requests don't pay for what only the first one does. */
static __attribute__ ((noinline)) struct worker *
find_or_make_worker (struct connection *connection)
{
  struct worker *worker;
  LOCK_FOR_SCOPE (&connection->mutex);

  for (worker = connection->workers; worker; worker = worker->next)
    if (pthread_equal (worker->thread, pthread_self ()))
      return worker;
  worker = worker_new (connection->volume, &connection->chunks);
  if (!worker)
    return NULL;
  rangelock_add_slot (&connection->volume->rangelock, &worker->range);
  worker->next = connection->workers;
  connection->workers = worker;
  return worker;
}

int
connection_worker (struct connection *connection, struct worker **ret_worker)
{
  if (here.connection_id != connection->id) {
    struct worker *worker = find_or_make_worker (connection);

    if (!worker)
      return -ENOMEM;
    here.connection_id = connection->id;
    here.worker = worker;
  }
  *ret_worker = here.worker;
  return 0;
}

struct connection *
connection_new (struct volume *volume, bool read_only, struct error *err)
{
  struct connection *connection;
  void *memory = NULL;
  int r = 0;

  if (posix_memalign (&memory, _Alignof(struct connection), sizeof *connection) != 0) {
    error_set (err, ERROR_SYSTEM, "out of memory");
    return NULL;
  }
  connection = memset (memory, 0, sizeof *connection);
  connection->id = atomic_fetch_add (&last_connection_id, 1) + 1;
  connection->volume = volume;
  connection->read_only = read_only || volume->backing.read_only;
  if (gate_is_open (&volume->gate))
    r = volume_measure (volume, &connection->size_bytes);
  else
    connection->size_bytes = volume_size (volume);
  if (r < 0) {
    free (connection);
    error_set_errno (err, -r, "measuring %s", volume->params.path);
    return NULL;
  }
  pthread_mutex_init (&connection->mutex, NULL);
  {
    LOCK_FOR_SCOPE (&volume->mutex);
    connection->next = volume->connections;
    volume->connections = connection;
  }
  return connection;
}

static void
retire (struct volume *volume, struct worker *worker)
{
  struct io_counters *from = &worker->counters, *to = &volume->retired;

  to->reads += from->reads;
  to->writes += from->writes;
  to->bytes_read += from->bytes_read;
  to->bytes_written += from->bytes_written;
  to->refused += from->refused;
  rangelock_remove_slot (&volume->rangelock, &worker->range);
}

static void
unlink_connection (struct volume *volume, struct connection *connection)
{
  for (struct connection **p = &volume->connections; *p; p = &(*p)->next) {
    if (*p == connection) {
      *p = connection->next;
      return;
    }
  }
}

void
connection_free (struct connection *connection)
{
  struct volume *volume = connection->volume;

  {
    LOCK_FOR_SCOPE (&volume->mutex);

    unlink_connection (volume, connection);
    for (struct worker *w = connection->workers; w; w = w->next)
      retire (volume, w);
  }
  while (connection->workers) {
    struct worker *worker = connection->workers;

    connection->workers = worker->next;
    worker_free (volume, worker);
  }
  chunks_free (&connection->chunks); /* the rings that knew them are gone */
  pthread_mutex_destroy (&connection->mutex);
  free (connection);
}
