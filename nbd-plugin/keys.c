/* keys.c owns the lanes of keyed contexts. */
#include "nbd-plugin/keys.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"

#define LANES_MIN 16
#define LANES_MAX 128 /* their schedules fit into libgcrypt's locked pool */
#define LANES_PER_CPU 4

struct lane {
  _Alignas(128) pthread_mutex_t mutex; /* guards context; held for the crypto of one chunk */
  struct xts_context *context;         /* NULL while there is no key */
};

/* Every request reads it: on a cache line that nothing else writes to. */
struct keys {
  _Alignas(64) const struct xts_backend *backend;
  /* False from the moment a wipe begins: workers then leave the lanes to it. */
  atomic_bool keyed;
  unsigned lane_count; /* a power of two */
  struct lane *lanes;
};

static unsigned
choose_lane_count (void)
{
  long cpus = sysconf (_SC_NPROCESSORS_ONLN);
  unsigned count = LANES_MIN;

  while (count < LANES_MAX && (long)count < cpus * LANES_PER_CPU)
    count *= 2;
  return count;
}

/* Who wipes runs with a real-time priority where it may, and lends it to who holds a lane. */
static void
init_lanes (struct keys *keys)
{
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
  pthread_mutexattr_setprotocol (&attributes, PTHREAD_PRIO_INHERIT);
  for (unsigned i = 0; i < keys->lane_count; i++) {
    if (pthread_mutex_init (&keys->lanes[i].mutex, &attributes) != 0)
      pthread_mutex_init (&keys->lanes[i].mutex, NULL);
    keys->lanes[i].context = NULL;
  }
  pthread_mutexattr_destroy (&attributes);
}

int
keys_new (const struct xts_backend *backend, struct keys **ret_keys, struct error *err)
{
  void *memory = NULL, *lanes = NULL;
  struct keys *keys;

  if (posix_memalign (&memory, _Alignof(struct keys), sizeof *keys) != 0)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  keys = memset (memory, 0, sizeof *keys);
  keys->backend = backend;
  keys->lane_count = choose_lane_count ();
  if (posix_memalign (&lanes, _Alignof(struct lane), keys->lane_count * sizeof (struct lane))
      != 0) {
    free (keys);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  keys->lanes = lanes;
  init_lanes (keys);
  *ret_keys = keys;
  return 0;
}

void
keys_free (struct keys *keys)
{
  if (!keys)
    return;
  keys_wipe (keys);
  for (unsigned i = 0; i < keys->lane_count; i++)
    pthread_mutex_destroy (&keys->lanes[i].mutex);
  free (keys->lanes);
  free (keys);
}

static void
set_lane (struct keys *keys, struct lane *lane, struct xts_context *context)
{
  LOCK_FOR_SCOPE (&lane->mutex);

  keys->backend->context_free (lane->context);
  lane->context = context;
}

int
keys_set (struct keys *keys, const struct secret *volume_key, struct error *err)
{
  for (unsigned i = 0; i < keys->lane_count; i++) {
    struct xts_context *context = keys->backend->context_new (volume_key, err);

    if (!context) {
      keys_wipe (keys);
      return -1;
    }
    set_lane (keys, &keys->lanes[i], context);
  }
  atomic_store (&keys->keyed, true);
  return 0;
}

void
keys_wipe (struct keys *keys)
{
  atomic_store (&keys->keyed, false);
  for (unsigned i = 0; i < keys->lane_count; i++)
    set_lane (keys, &keys->lanes[i], NULL);
}

/* A locked lane: the worker's own, or the next free one; with all taken, the worker's own in its
 * turn. */
static struct lane *
lock_lane (struct keys *keys, unsigned hint)
{
  struct lane *own = &keys->lanes[hint & (keys->lane_count - 1)];

  for (unsigned i = 0; i < keys->lane_count; i++) {
    struct lane *lane = &keys->lanes[(hint + i) & (keys->lane_count - 1)];

    if (pthread_mutex_trylock (&lane->mutex) == 0)
      return lane;
  }
  pthread_mutex_lock (&own->mutex);
  return own;
}

/* One of the back end's directions, on a lane near `hint`. */
static int
crypt_on_lane (struct keys *keys, unsigned hint,
               int (*crypt) (struct xts_context *, uint64_t, size_t, const uint8_t *, uint8_t *,
                             size_t),
               uint64_t first_tweak, size_t sector_size, const uint8_t *in, uint8_t *out,
               size_t count)
{
  struct lane *lane;
  int r = -ENOKEY;

  if (!atomic_load_explicit (&keys->keyed, memory_order_relaxed))
    return -ENOKEY;
  lane = lock_lane (keys, hint);
  if (lane->context)
    r = crypt (lane->context, first_tweak, sector_size, in, out, count) == 0 ? 0 : -EIO;
  pthread_mutex_unlock (&lane->mutex);
  return r;
}

int
keys_encrypt (struct keys *keys, unsigned hint, uint64_t first_tweak, size_t sector_size,
              const uint8_t *in, uint8_t *out, size_t count)
{
  return crypt_on_lane (keys, hint, keys->backend->encrypt, first_tweak, sector_size, in, out,
                        count);
}

int
keys_decrypt (struct keys *keys, unsigned hint, uint64_t first_tweak, size_t sector_size,
              const uint8_t *in, uint8_t *out, size_t count)
{
  return crypt_on_lane (keys, hint, keys->backend->decrypt, first_tweak, sector_size, in, out,
                        count);
}
