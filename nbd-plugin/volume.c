/* volume.c owns the open volume. */
#include "nbd-plugin/volume.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/checked.h"
#include "common/paths.h"
#include "crypto/secret.h"
#include "nbd-plugin/log.h"

static int
choose_unit (struct volume *volume, struct error *err)
{
  uint64_t offset_bytes = volume->info.data_offset_bytes, size_bytes;
  int r;

  if (backing_choose_cache (&volume->backing, volume->params.cache, offset_bytes, err) < 0)
    return -1;
  volume->unit_bytes = MAX (volume->info.sector_size, volume->backing.align_bytes);
  if (volume->backing.cache_note[0])
    log_notice ("%s goes through the page cache: %s", volume->params.path,
                volume->backing.cache_note);
  r = volume_measure (volume, &size_bytes);
  if (r < 0)
    return error_set_errno (err, -r, "measuring %s", volume->params.path);
  if (size_bytes == 0)
    return error_set (err, ERROR_CORRUPT,
                      "%s is cut short: its data begins at byte %" PRIu64
                      " and there is not one whole sector",
                      volume->params.path, offset_bytes);
  return 0;
}

static int
take_header (struct volume *volume, const struct header *header, struct error *err)
{
  volume->info = *header_info (header);
  if (volume->params.uuid && strcasecmp (volume->params.uuid, volume->info.uuid) != 0)
    return error_set (err, ERROR_FOREIGN, "%s holds volume %s, and uuid= asks for %s",
                      volume->params.path, volume->info.uuid, volume->params.uuid);
  if (!token_primary (header_token (header)))
    return error_set (err, ERROR_CORRUPT, "%s has no primary wrap: restore its header",
                      volume->params.path);
  if (volume->info.damaged_copy)
    log_error (
        "%s: one of the two copies of its header is damaged; the other is used; make it whole "
        "with keyfence header-restore, or cryptsetup repair",
        volume->params.path);
  return 0;
}

struct volume *
volume_new (void)
{
  void *memory = NULL;
  struct volume *volume;

  /* Its parts that are written by different threads have cache lines of their own. */
  if (posix_memalign (&memory, _Alignof(struct volume), sizeof *volume) != 0)
    return NULL;
  volume = memset (memory, 0, sizeof *volume);
  volume->backing.fd = volume->backing.meta_fd = -1;
  pthread_mutex_init (&volume->mutex, NULL);
  rangelock_init (&volume->rangelock);
  gate_init (&volume->gate, 0);
  return volume;
}

/* The agent that was asked for, or that belongs to the file that this code was loaded from. */
static int
choose_agent (struct volume *volume, struct error *err)
{
  Dl_info info;

  if (volume->params.agent)
    volume->agent = strdup (volume->params.agent);
  else
    volume->agent =
        path_agent (dladdr ((void *)(uintptr_t)choose_agent, &info) ? info.dli_fname : NULL);
  return volume->agent ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}

int
volume_open (const struct params *params, struct volume **ret_volume, struct header **ret_header,
             struct error *err)
{
  struct volume *volume = volume_new ();
  struct header *header = NULL;

  if (!volume)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  volume->params = *params;
  volume->gate.stall_limit_ms = params->on_fence == ON_FENCE_STALL ? params->stall_limit_ms : 0;
  if (backing_open (params->path, params->read_only, &volume->backing, err) < 0
      || header_load (volume->backing.meta_fd, params->path, true, &header, err) < 0
      || choose_agent (volume, err) < 0 || take_header (volume, header, err) < 0
      || choose_unit (volume, err) < 0 || xts_select (params->crypto, &volume->xts, err) < 0
      || keys_new (volume->xts, &volume->keys, err) < 0) {
    header_free (header);
    volume_free (volume);
    return -1;
  }
  volume->engine = engine_choose (params->engine, &volume->backing);
  *ret_volume = volume;
  *ret_header = header;
  return 0;
}

void
volume_free (struct volume *volume)
{
  if (!volume)
    return;
  while (volume->connections)
    connection_free (volume->connections);
  keys_free (volume->keys);
  free (volume->agent);
  backing_close (&volume->backing);
  rangelock_clear (&volume->rangelock);
  gate_destroy (&volume->gate);
  pthread_mutex_destroy (&volume->mutex);
  free (volume);
}

/* Tried, since root of a container need not have what root has: more than the limit, of which no
 * page is ever touched.
 */
static bool
locks_without_limit (void)
{
  struct rlimit limit;
  size_t size_bytes;
  void *memory;
  bool locked;

  if (getrlimit (RLIMIT_MEMLOCK, &limit) < 0)
    return false;
  if (limit.rlim_cur == RLIM_INFINITY)
    return true;
  size_bytes = round_up (limit.rlim_cur + 1, 4096);
  memory = mmap (NULL, size_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return false;
  locked = mlock2 (memory, size_bytes, MLOCK_ONFAULT) == 0;
  munmap (memory, size_bytes);
  return locked;
}

void
volume_lock_memory (struct volume *volume)
{
  /* With a limit, locking all that is to come would make later allocations fail. */
  if (locks_without_limit ())
    volume->all_memory_locked = mlockall (MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool
volume_memory_locked (const struct volume *volume)
{
  return secret_all_locked () && (volume->xts->locks_memory || volume->all_memory_locked);
}

int
volume_measure (struct volume *volume, uint64_t *ret_bytes)
{
  uint64_t size_bytes = 0;
  int r = backing_size (&volume->backing, &size_bytes);

  if (r < 0)
    return r;
  if (size_bytes < volume->info.data_offset_bytes)
    size_bytes = volume->info.data_offset_bytes;
  *ret_bytes = round_down (size_bytes - volume->info.data_offset_bytes, volume->unit_bytes);
  atomic_store_explicit (&volume->size_bytes, *ret_bytes, memory_order_relaxed);
  return 0;
}

uint64_t
volume_size (const struct volume *volume)
{
  return atomic_load_explicit (&volume->size_bytes, memory_order_relaxed);
}

static void
add_counters (struct io_totals *totals, const struct io_counters *counters)
{
  totals->reads += atomic_load_explicit (&counters->reads, memory_order_relaxed);
  totals->writes += atomic_load_explicit (&counters->writes, memory_order_relaxed);
  totals->bytes_read += atomic_load_explicit (&counters->bytes_read, memory_order_relaxed);
  totals->bytes_written += atomic_load_explicit (&counters->bytes_written, memory_order_relaxed);
  totals->refused += atomic_load_explicit (&counters->refused, memory_order_relaxed);
}

struct io_totals
volume_totals (struct volume *volume)
{
  struct io_totals totals = {0};
  LOCK_FOR_SCOPE (&volume->mutex);

  add_counters (&totals, &volume->retired);
  for (struct connection *c = volume->connections; c; c = c->next) {
    LOCK_FOR_SCOPE (&c->mutex);

    for (const struct worker *w = c->workers; w; w = w->next)
      add_counters (&totals, &w->counters);
  }
  return totals;
}
