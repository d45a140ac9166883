/* xts-gcrypt.c owns the libgcrypt back end: one secure handle a context, and the truth about
 * whether libgcrypt's secure memory is locked.
 *
 * libgcrypt locks its main pool when it can, silently goes without when it can't, grows by pools
 * that are never locked, and may have been set up by another library of this process.  And locks do
 * not survive a fork.  So the pool is found in the process' map, locked by us (again, after a
 * fork), and handles outside of it are reported.
 */
#include "crypto/xts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <gcrypt.h>

#include "crypto/xts-backend.h"

/* A handle takes about 3 KiB: contexts for over 150 workers, in a 16th of the usual
 * RLIMIT_MEMLOCK.
 */
#define POOL_BYTES (512 * 1024)
#define POOL_GROWTH_BYTES (128 * 1024)

struct xts_context {
  gcry_cipher_hd_t handle;
};

/* The mapping that holds libgcrypt's main pool; empty when it was not found.  Set by load (). */
static uintptr_t pool_start, pool_end;

/* Costs little when the pool is locked already.  Out of dumps, too; but unlike our own secrets not
 * away from children: a child that uses libgcrypt needs the pool's bookkeeping.
 */
static bool
lock_pool (void)
{
  size_t size = pool_end - pool_start;

  if (size == 0)
    return false;
  madvise ((void *)pool_start, size, MADV_DONTDUMP);
  return secret_lock_pages ((void *)pool_start, size) == 0;
}

static bool
in_pool (const void *p)
{
  return (uintptr_t)p >= pool_start && (uintptr_t)p < pool_end;
}

/* Finds the mapping around `p` (/proc/self/maps, proc(5)). */
static void
find_pool (const void *p)
{
  CLEANUP_FCLOSE FILE *maps = fopen ("/proc/self/maps", "re");
  CLEANUP_FREE char *line = NULL;
  size_t size = 0;

  while (maps && getline (&line, &size, maps) > 0) {
    uintptr_t start, end;

    if (sscanf (line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2 && (uintptr_t)p >= start
        && (uintptr_t)p < end) {
      pool_start = start;
      pool_end = end;
      return;
    }
  }
}

/* Only the first library of a process may set libgcrypt up; growth may be allowed at any time, and
 * with it a context more never fails for want of secure memory.
 */
static int
set_up (struct error *err)
{
  if (!gcry_check_version (GCRYPT_VERSION))
    return error_set (err, ERROR_SYSTEM,
                      "libgcrypt is version %s, older than the %s this was built with: upgrade it, "
                      "or use crypto=openssl",
                      gcry_check_version (NULL), GCRYPT_VERSION);
  if (!gcry_control (GCRYCTL_INITIALIZATION_FINISHED_P)) {
    gcry_control (GCRYCTL_DISABLE_PRIV_DROP);
    gcry_control (GCRYCTL_DISABLE_SECMEM_WARN);
    gcry_control (GCRYCTL_INIT_SECMEM, POOL_BYTES, 0);
    gcry_control (GCRYCTL_INITIALIZATION_FINISHED, 0);
  }
  gcry_control (GCRYCTL_AUTO_EXPAND_SECMEM, (unsigned)POOL_GROWTH_BYTES);
  return 0;
}

static int
gcrypt_load (struct error *err)
{
  void *probe;

  if (pool_end > pool_start)
    return 0;
  if (set_up (err) < 0)
    return -1;
  probe = gcry_malloc_secure (16);
  if (probe && gcry_is_secure (probe))
    find_pool (probe);
  gcry_free (probe);
  xts_gcrypt.locks_memory = lock_pool ();
  return 0;
}

static void
gcrypt_context_free (struct xts_context *context)
{
  if (!context)
    return;
  gcry_cipher_close (context->handle);
  free (context);
}

/* The handle is the address of the context's own memory. */
static gcry_error_t
open_keyed (gcry_cipher_hd_t *handle, const struct secret *key)
{
  gcry_error_t e =
      gcry_cipher_open (handle, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, GCRY_CIPHER_SECURE);

  if (e)
    return e;
  if (!lock_pool () || !in_pool (*handle))
    secret_report_unlocked ();
  return gcry_cipher_setkey (*handle, key->bytes, key->size);
}

static struct xts_context *
gcrypt_context_new (const struct secret *key, struct error *err)
{
  struct xts_context *context;
  gcry_error_t e;

  if (xts_check_key (key, err) < 0)
    return NULL;
  context = calloc (1, sizeof *context);
  if (!context) {
    error_set (err, ERROR_SYSTEM, "no memory for a cipher context");
    return NULL;
  }
  e = open_keyed (&context->handle, key);
  if (e) {
    error_set (err, ERROR_SYSTEM, "libgcrypt made no AES-256-XTS context: %s", gcry_strerror (e));
    gcrypt_context_free (context);
    return NULL;
  }
  return context;
}

typedef gcry_error_t (*crypt_fn) (gcry_cipher_hd_t, void *, size_t, const void *, size_t);

static int
crypt_sectors (struct xts_context *context, crypt_fn crypt, uint64_t tweak, size_t sector_size,
               const uint8_t *in, uint8_t *out, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    uint8_t iv[XTS_TWEAK_SIZE];

    xts_tweak_bytes (tweak, iv);
    if (gcry_cipher_setiv (context->handle, iv, sizeof iv)
        || crypt (context->handle, out, sector_size, in, sector_size))
      return -1;
    tweak += sector_size / XTS_TWEAK_UNIT;
    in += sector_size;
    out += sector_size;
  }
  return 0;
}

static int
gcrypt_encrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                const uint8_t *in, uint8_t *out, size_t count)
{
  return crypt_sectors (context, gcry_cipher_encrypt, first_tweak, sector_size, in, out, count);
}

static int
gcrypt_decrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                const uint8_t *in, uint8_t *out, size_t count)
{
  return crypt_sectors (context, gcry_cipher_decrypt, first_tweak, sector_size, in, out, count);
}

struct xts_backend xts_gcrypt = {
    .name = "gcrypt",
    .locks_memory = false, /* until load () knows */
    .load = gcrypt_load,
    .context_new = gcrypt_context_new,
    .context_free = gcrypt_context_free,
    .encrypt = gcrypt_encrypt,
    .decrypt = gcrypt_decrypt,
};
