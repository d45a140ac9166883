/* secret.c owns secret memory: its pages, their guards, their wiping, and the process' hardening.
 */
#include "crypto/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/checked.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447 /* the same on every architecture that has it (Linux 5.14) */
#endif

#define SECRET_MAX ((size_t)1 << 20)

/* Only ever set, and guards no other memory, so no ordering is needed; as the next. */
static atomic_bool some_unlocked;

/* Set when the kernel (or valgrind) lacks the call, so that it is not asked each time. */
static atomic_bool no_memfd_secret;

static size_t
page_bytes (void)
{
  return (size_t)sysconf (_SC_PAGESIZE);
}

static bool
debug_dumpable (void)
{
  const char *value = secure_getenv ("KEYFENCE_DEBUG_DUMPABLE");

  return value && strcmp (value, "1") == 0;
}

/* Both kinds map the guard pages together with the body, because a mapping put over another one
 * (MAP_FIXED) that fails can leave a hole, which another thread's mapping might fill.  `total` is
 * guard + body + guard; all of it is inaccessible.  NULL when that kind can't be had.
 */
static uint8_t *
map_memfd_secret (size_t total)
{
  CLEANUP_CLOSE int fd = -1;
  void *map;

  if (debug_dumpable () || atomic_load_explicit (&no_memfd_secret, memory_order_relaxed))
    return NULL;
  fd = (int)syscall (SYS_memfd_secret, O_CLOEXEC);
  if (fd < 0 && errno == ENOSYS)
    atomic_store_explicit (&no_memfd_secret, true, memory_order_relaxed);
  if (fd < 0 || ftruncate (fd, (off_t)total) < 0)
    return NULL;
  map = mmap (NULL, total, PROT_NONE, MAP_SHARED, fd, 0);
  return map == MAP_FAILED ? NULL : map;
}

static uint8_t *
map_anonymous (size_t total)
{
  void *map = mmap (NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  return map == MAP_FAILED ? NULL : map;
}

int
secret_lock_pages (void *start, size_t size)
{
  return (int)syscall (SYS_mlock, start, size);
}

/* Opens the body between the guards; none of the three is in a child.  Whether it stays out of core
 * files and of children is not optional; whether it is locked depends on limits that are not ours.
 * memfd_secret(2)'s pages are never swapped, with mlock(2) or without.
 */
static int
open_body (uint8_t *map, size_t total, bool lock)
{
  size_t page = page_bytes ();
  uint8_t *body = map + page;
  size_t size = total - 2 * page;

  if (mprotect (body, size, PROT_READ | PROT_WRITE) < 0 || madvise (body, size, MADV_DONTDUMP) < 0
      || madvise (map, total, MADV_DONTFORK) < 0)
    return -1;
  if (lock && secret_lock_pages (body, size) < 0)
    secret_report_unlocked ();
  return 0;
}

/* The secret ends where its body does, so that the first byte past it is the guard's. */
int
secret_init (struct secret *ret, size_t size, struct error *err)
{
  size_t page = page_bytes (), total;
  bool lock = false;
  uint8_t *map;

  assert (ret->bytes == NULL);
  if (size == 0 || size > SECRET_MAX)
    return error_set (err, ERROR_USAGE, "a secret has 1 to %zu bytes, not %zu", SECRET_MAX, size);
  total = round_up (size, page) + 2 * page;
  map = map_memfd_secret (total);
  if (!map) {
    lock = true;
    map = map_anonymous (total);
  }
  if (!map)
    return error_set_errno (err, errno, "no memory for a key (%zu bytes)", total);
  if (open_body (map, total, lock) < 0) {
    error_set_errno (err, errno, "can't protect the memory for a key (%zu bytes)", total);
    munmap (map, total);
    return -1;
  }
  *ret = (struct secret){map + total - page - size, size, total, getpid ()};
  return 0;
}

void
secret_clear (struct secret *s)
{
  size_t page = page_bytes ();
  uint8_t *body;

  /* In a child these addresses may be another mapping's by now. */
  if (s->bytes && s->owner == getpid ()) {
    /* The whole body, whatever `size` says by now. */
    body = (uint8_t *)round_down ((uintptr_t)s->bytes, page);
    OPENSSL_cleanse (body, s->mapped_bytes - 2 * page);
    munmap (body - page, s->mapped_bytes);
  }
  *s = (struct secret){NULL, 0, 0, 0};
}

void
secret_take (struct secret *dst, struct secret *src)
{
  assert (dst->bytes == NULL);
  *dst = *src;
  *src = (struct secret){NULL, 0, 0, 0};
}

int
secret_random (struct secret *ret, size_t size, struct error *err)
{
  CLEANUP_SECRET struct secret s = {NULL, 0, 0, 0};

  if (secret_init (&s, size, err) < 0)
    return -1;
  if (RAND_priv_bytes (s.bytes, (int)size) != 1)
    return error_set (err, ERROR_SYSTEM, "OpenSSL's random generator failed: no key was made");
  secret_take (ret, &s);
  return 0;
}

bool
secret_equal (const struct secret *a, const struct secret *b)
{
  return a->size == b->size && (a->size == 0 || CRYPTO_memcmp (a->bytes, b->bytes, a->size) == 0);
}

int
secret_sha256 (const struct secret *s, uint8_t ret_digest[32])
{
  uint8_t digest[32];

  if (EVP_Digest (s->bytes, s->size, digest, NULL, EVP_sha256 (), NULL) != 1)
    return -1;
  memcpy (ret_digest, digest, sizeof digest);
  return 0;
}

bool
secret_all_locked (void)
{
  return !atomic_load_explicit (&some_unlocked, memory_order_relaxed);
}

void
secret_report_unlocked (void)
{
  atomic_store_explicit (&some_unlocked, true, memory_order_relaxed);
}

/* Tries, because a kernel may have the call and RLIMIT_MEMLOCK forbid its pages. */
const char *
secret_kind (void)
{
  size_t total = 3 * page_bytes ();
  uint8_t *map = map_memfd_secret (total);

  if (!map)
    return "mmap";
  munmap (map, total);
  return "memfd_secret";
}

void
secret_harden_process (void)
{
  const struct rlimit none = {0, 0};

  if (debug_dumpable ()) {
    fprintf (stderr, /* lint: must be seen by whoever runs it */
             "%s: KEYFENCE_DEBUG_DUMPABLE=1: keys in this process's memory can be read by "
             "debuggers and core dumps; unset it outside tests\n",
             program_invocation_short_name);
    return;
  }
  prctl (PR_SET_DUMPABLE, 0);
  setrlimit (RLIMIT_CORE, &none);
}

void
secret_wipe (void *bytes, size_t size)
{
  OPENSSL_cleanse (bytes, size);
}
