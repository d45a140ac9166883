/* Secret memory: the only place where a key may lie.
 *
 * A secret is a run of bytes in pages of its own, between two guard pages, locked into RAM, kept
 * out of core dumps and of forked children, and wiped before the pages go back.  Where the kernel
 * has memfd_secret(2) the pages also leave the kernel's own map, so that not even root can read
 * them through /proc/PID/mem; read(2), recv(2) and write(2) work on them, direct I/O and ptrace
 * don't.
 *
 * A secret moves and is never copied: secret_take empties its source.  A zeroed struct is an empty
 * secret, and secret_clear accepts it, so CLEANUP_SECRET can be declared first.  No function here
 * may be used on one secret by two threads at once.
 *
 * A forked child has the struct but not the pages: touching the bytes there faults, and
 * secret_clear only empties the child's struct.  So a daemon makes its secrets after its fork.
 */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

struct secret {
  uint8_t *bytes; /* NULL when empty */
  size_t size;
  size_t mapped_bytes; /* guard pages included */
  pid_t owner;         /* the process that has the pages */
};

#define CLEANUP_SECRET CLEANUP (secret_clear)

/* `size` zero bytes (1 byte to 1 MiB) of secret memory into *ret, which must be empty.  When the
 * memory can't be locked (RLIMIT_MEMLOCK), it is used all the same and secret_all_locked () turns
 * false: the caller tells the user.
 */
int secret_init (struct secret *ret, size_t size, struct error *err) MUST_CHECK;

/* Wipes and unmaps; *s is empty afterwards. */
void secret_clear (struct secret *s);

/* Moves: *dst (which must be empty) owns the bytes, *src is empty. */
void secret_take (struct secret *dst, struct secret *src);

/* secret_init and `size` bytes of OpenSSL's private random generator. */
int secret_random (struct secret *ret, size_t size, struct error *err) MUST_CHECK;

/* Whether both have the same size and bytes, in constant time for a given size. */
bool secret_equal (const struct secret *a, const struct secret *b);

/* SHA-256 of the secret's bytes. */
int secret_sha256 (const struct secret *s, uint8_t ret_digest[32]) MUST_CHECK;

/* False once any secret of this process could not be locked. */
bool secret_all_locked (void);

/* mlock(2), by its number: the sanitizers replace mlock () by nothing, and what is reported has to
 * be true.  0 or -1.
 */
int secret_lock_pages (void *start, size_t size) MUST_CHECK;

/* Turns secret_all_locked () false: for key material in a library's memory that could not be
 * locked.
 */
void secret_report_unlocked (void);

/* "memfd_secret" or "mmap": what a new secret would be made of at this moment. */
const char *secret_kind (void);

/* For this whole process: not dumpable (no ptrace, no /proc/PID/mem for the same user), core size
 * 0. Every program of keyfence calls it first.  KEYFENCE_DEBUG_DUMPABLE=1 in the environment turns
 * it and memfd_secret off, for debuggers and for the tests that search memory for keys; it is said
 * on stderr, each time.
 */
void secret_harden_process (void);

/* memset that the compiler keeps, for the few bytes of key material that pass through a stack. */
void secret_wipe (void *bytes, size_t size);

#endif
