/* What crypto/xts.h promises about memory: contexts are locked or said not to be, and nothing of a
 * key stays behind.
 *
 * libgcrypt is set up once a process, so each test is a run of its own of this program, in a child,
 * with the test's name as the argument.
 */
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/wrap.h"
#include "config.h"
#include "crypto/secret.h"
#include "crypto/xts.h"
#include "tests/unit/secret-test.h"
#include "tests/xts-variants.h"

#if HAVE_GCRYPT
#include <gcrypt.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define SKIP 77

extern char **environ;

static const struct xts_backend *
backend_called (const char *name)
{
  for (size_t i = 0; xts_backends[i]; i++)
    if (strcmp (xts_backends[i]->name, name) == 0)
      return xts_backends[i];
  return NULL;
}

#if HAVE_GCRYPT

/* What is said may be less than what is true only where the machine forbids locking. */
static bool
machine_locks (void)
{
  CLEANUP_SECRET struct secret s = {0};

  return secret_init (&s, 1 << 20, NULL) == 0 && secret_all_locked ();
}

/* More than are ever used; they live as long as the process. */
static struct xts_context *contexts[1000];
static size_t context_count;

/* A context with a key of its own. */
static bool
make_context (const struct xts_backend *backend)
{
  CLEANUP_SECRET struct secret key = {0};

  if (context_count == ARRAY_SIZE (contexts) || secret_random (&key, VOLUME_KEY_SIZE, NULL) < 0)
    return false;
  contexts[context_count] = backend->context_new (&key, NULL);
  return contexts[context_count++] != NULL;
}

static int
gcrypt_contexts_are_locked_until_its_pool_is_full (void)
{
  const struct xts_backend *gcrypt = backend_called ("gcrypt");

  EXPECT (!gcrypt->locks_memory);
  EXPECT (gcrypt->load (NULL) == 0);
  if (!machine_locks ())
    return SKIP;
  EXPECT (gcrypt->locks_memory);
  while (secret_all_locked ())
    EXPECT (make_context (gcrypt));
  EXPECT (context_count > 128); /* as many as a server has workers */
  EXPECT (xts_known_answers (gcrypt, NULL) == 0);
  return 0;
}

static int
gcrypt_without_a_right_to_lock_memory_works_and_says_so (void)
{
  const struct xts_backend *gcrypt = backend_called ("gcrypt");

  EXPECT (forbid_locking () == 0);
  EXPECT (gcrypt->load (NULL) == 0);
  EXPECT (!gcrypt->locks_memory);
  EXPECT (xts_known_answers (gcrypt, NULL) == 0);
  EXPECT (!secret_all_locked ());
  return 0;
}

static int
gcrypt_set_up_by_another_library_is_locked_too (void)
{
  const struct xts_backend *gcrypt = backend_called ("gcrypt");

  EXPECT (gcry_check_version (NULL) != NULL);
  gcry_control (GCRYCTL_DISABLE_SECMEM_WARN);
  gcry_control (GCRYCTL_INIT_SECMEM, 16384, 0);
  gcry_control (GCRYCTL_INITIALIZATION_FINISHED, 0);
  EXPECT (gcrypt->load (NULL) == 0);
  EXPECT (gcrypt->locks_memory || !machine_locks ());
  for (int i = 0; i < 20; i++) /* more than its pool holds */
    EXPECT (make_context (gcrypt));
  EXPECT (!secret_all_locked ());
  return 0;
}

static int
gcrypt_whose_secure_memory_another_library_disabled_says_so (void)
{
  const struct xts_backend *gcrypt = backend_called ("gcrypt");

  EXPECT (gcry_check_version (NULL) != NULL);
  gcry_control (GCRYCTL_DISABLE_SECMEM);
  gcry_control (GCRYCTL_INITIALIZATION_FINISHED, 0);
  EXPECT (gcrypt->load (NULL) == 0);
  EXPECT (!gcrypt->locks_memory);
  EXPECT (xts_known_answers (gcrypt, NULL) == 0);
  EXPECT (!secret_all_locked ());
  return 0;
}

/* The key itself is made while it can be locked, so that only the context can't. */
static int
make_context_without_locking (void *arg)
{
  const struct xts_backend *backend = arg;
  CLEANUP_SECRET struct secret key = {0};

  EXPECT (secret_random (&key, VOLUME_KEY_SIZE, NULL) == 0);
  EXPECT (forbid_locking () == 0);
  EXPECT (secret_all_locked ());
  contexts[0] = backend->context_new (&key, NULL);
  EXPECT (contexts[0] != NULL);
  EXPECT (!secret_all_locked ());
  return 0;
}

static int
make_context_with_locking (void *arg)
{
  EXPECT (make_context (arg));
  EXPECT (secret_all_locked ());
  return 0;
}

/* Locks end at a fork: a daemon's contexts have to be locked again, or reported. */
static int
gcrypt_contexts_made_after_a_fork_are_locked_again (void)
{
  const struct xts_backend *gcrypt = backend_called ("gcrypt");

  EXPECT (gcrypt->load (NULL) == 0);
  if (!machine_locks ())
    return SKIP;
  EXPECT (run_child (make_context_with_locking, (void *)gcrypt) == 0);
  EXPECT (run_child (make_context_without_locking, (void *)gcrypt) == 0);
  return 0;
}

#endif

/* ---- the search for keys ------------------------------------------------------------------- */

#define HALF (VOLUME_KEY_SIZE / 2)
#define MASK 0xa5

/* The key, masked, so that this copy is not found. */
static uint8_t masked[VOLUME_KEY_SIZE];

static bool
is_half (const uint8_t *p, const uint8_t *half)
{
  size_t i = 0;

  while (i < HALF && p[i] == (half[i] ^ MASK))
    i++;
  return i == HALF;
}

static size_t
count_in (const uint8_t *start, const uint8_t *end)
{
  size_t count = 0;

  for (const uint8_t *p = start; p + HALF <= end; p++)
    if (p[0] == (masked[0] ^ MASK) || p[0] == (masked[HALF] ^ MASK))
      count += (size_t)is_half (p, masked) + (size_t)is_half (p, masked + HALF);
  return count;
}

/* What `count_in_range` counts, in all of this process' writable memory. */
static size_t
count_in_memory (size_t (*count_in_range) (const uint8_t *start, const uint8_t *end))
{
  CLEANUP_FCLOSE FILE *maps = fopen ("/proc/self/maps", "re");
  char line[512];
  size_t count = 0;

  while (maps && fgets (line, sizeof line, maps)) {
    uintptr_t start, end;
    char mode[5];

    if (sscanf (line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, mode) == 3
        && strncmp (mode, "rw", 2) == 0)
      count += count_in_range ((const uint8_t *)start, (const uint8_t *)end);
  }
  return count;
}

/* How often a half of the key is in memory.  A key schedule begins with its key, so that a context
 * counts too.
 */
static size_t
count_halves (void)
{
  return count_in_memory (count_in);
}

static bool
memory_is_searchable (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return false;
#endif
#endif
  return !RUNNING_ON_VALGRIND; /* their own memory is too large, and not ours to read */
}

static int
search_for_keys (const struct xts_backend *backend)
{
  CLEANUP_SECRET struct secret key = {0};
  struct xts_context *context;
  static uint8_t sector[4096];

  if (!memory_is_searchable ())
    return SKIP;
  EXPECT (backend->load (NULL) == 0);
  EXPECT (secret_random (&key, VOLUME_KEY_SIZE, NULL) == 0);
  for (size_t i = 0; i < VOLUME_KEY_SIZE; i++)
    masked[i] = key.bytes[i] ^ MASK;
  EXPECT (count_halves () == 2); /* the control: the secret is found */
  context = backend->context_new (&key, NULL);
  EXPECT (context != NULL);
  secret_clear (&key);
  EXPECT (backend->encrypt (context, 8, 4096, sector, sector, 1) == 0);
  EXPECT (backend->decrypt (context, 8, 4096, sector, sector, 1) == 0);
  EXPECT (count_halves () >= 2); /* the key schedules */
  backend->context_free (context);
  EXPECT (count_halves () == 0);
  return 0;
}

static int
openssl_leaves_nothing_of_a_key_behind (void)
{
  return search_for_keys (backend_called ("openssl"));
}

#if HAVE_GCRYPT
static int
gcrypt_leaves_nothing_of_a_key_behind (void)
{
  return search_for_keys (backend_called ("gcrypt"));
}
#endif

/* ---- the search for round keys and tweaks --------------------------------------------------- */

#if HAVE_VAES

/* All round keys, masked, and the tweaks of all blocks of one sector, too. */
#define ROUND_KEYS (3 * XTS_VAES_ROUND_KEYS)
#define TWEAKS (4096 / XTS_VAES_BLOCK)
static uint8_t masked_blocks[ROUND_KEYS + TWEAKS][XTS_VAES_BLOCK];
static bool first_bytes[256];

static size_t
count_blocks_in (const uint8_t *start, const uint8_t *end)
{
  size_t count = 0;

  for (const uint8_t *p = start; p + XTS_VAES_BLOCK <= end; p++)
    for (size_t i = 0; first_bytes[*p] && i < ARRAY_SIZE (masked_blocks); i++) {
      size_t j = 0;

      while (j < XTS_VAES_BLOCK && p[j] == (masked_blocks[i][j] ^ MASK))
        j++;
      count += j == XTS_VAES_BLOCK;
    }
  return count;
}

static size_t
count_blocks (void)
{
  return count_in_memory (count_blocks_in);
}

static void
mask_block (size_t i, const uint8_t *block)
{
  for (size_t j = 0; j < XTS_VAES_BLOCK; j++)
    masked_blocks[i][j] = block[j] ^ MASK;
  first_bytes[block[0]] = true;
}

/* Returns how often they are found while one schedule is there: more than ROUND_KEYS, because two
 * of decryption's are encryption's.
 */
static size_t
mask_round_keys (const struct secret *key)
{
  CLEANUP_SECRET struct secret memory = {0};
  struct xts_vaes_keys *keys;

  if (secret_init (&memory, sizeof *keys, NULL) < 0)
    return 0;
  keys = (struct xts_vaes_keys *)memory.bytes;
  xts_vaes_expand (key->bytes, keys);
  for (size_t i = 0; i < XTS_VAES_ROUND_KEYS; i++) {
    mask_block (i, keys->encrypt[i]);
    mask_block (XTS_VAES_ROUND_KEYS + i, keys->decrypt[i]);
    mask_block (2 * XTS_VAES_ROUND_KEYS + i, keys->tweak[i]);
  }
  return count_blocks ();
}

/* T of sector 8 by OpenSSL, and times x for each block (IEEE 1619, section 5.2). */
static int
mask_tweaks (const struct secret *key)
{
  static const uint8_t number[XTS_VAES_BLOCK] = {8};
  CLEANUP_SECRET struct secret t = {0};
  EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new ();
  int written;

  EXPECT (evp && secret_init (&t, XTS_VAES_BLOCK, NULL) == 0);
  EXPECT (EVP_EncryptInit_ex (evp, EVP_aes_256_ecb (), NULL, key->bytes + HALF, NULL) == 1);
  EXPECT (EVP_EncryptUpdate (evp, t.bytes, &written, number, sizeof number) == 1);
  EVP_CIPHER_CTX_free (evp);
  for (size_t i = 0; i < TWEAKS; i++) {
    uint8_t carry = t.bytes[XTS_VAES_BLOCK - 1] >> 7;

    mask_block (ROUND_KEYS + i, t.bytes);
    for (size_t j = XTS_VAES_BLOCK - 1; j > 0; j--)
      t.bytes[j] = (uint8_t)(t.bytes[j] << 1 | t.bytes[j - 1] >> 7);
    t.bytes[0] = (uint8_t)(t.bytes[0] << 1 ^ (carry ? 0x87 : 0));
  }
  return 0;
}

/* A context has one schedule, and T of the sector that it worked on last; nothing else is anywhere.
 */
static int
search_for_round_keys (const struct xts_backend *variant)
{
  CLEANUP_SECRET struct secret key = {0};
  static uint8_t text[4096];
  struct xts_context *context;
  size_t schedule;

  if (!variant || !memory_is_searchable ())
    return SKIP;
  EXPECT (secret_random (&key, VOLUME_KEY_SIZE, NULL) == 0);
  schedule = mask_round_keys (&key);
  EXPECT (mask_tweaks (&key) == 0);
  schedule -= count_blocks (); /* the key itself, which is four round keys */
  EXPECT (schedule >= ROUND_KEYS);
  context = variant->context_new (&key, NULL);
  secret_clear (&key);
  EXPECT (context && count_blocks () == schedule);
  EXPECT (variant->encrypt (context, 8, 4096, text, text, 1) == 0);
  EXPECT (count_blocks () == schedule + 1);
  EXPECT (variant->decrypt (context, 8, 4096, text, text, 1) == 0);
  EXPECT (count_blocks () == schedule + 1);
  variant->context_free (context);
  EXPECT (count_blocks () == 0);
  return 0;
}

static const struct xts_backend *
variant_called (const char *name)
{
  const struct xts_backend *variants[XTS_VARIANTS_MAX];
  size_t count = xts_variants (variants);

  for (size_t i = 0; i < count; i++)
    if (strcmp (variants[i]->name, name) == 0)
      return variants[i];
  return NULL;
}

static int
the_kernel_of_512_bits_leaves_nothing_of_a_key_behind (void)
{
  return search_for_round_keys (variant_called ("vaes-512"));
}

static int
the_kernel_of_256_bits_leaves_nothing_of_a_key_behind (void)
{
  return search_for_round_keys (variant_called ("vaes-256"));
}

static int
vaes_without_a_right_to_lock_memory_works_and_says_so (void)
{
  const struct xts_backend *vaes = variant_called ("vaes");

  if (!vaes)
    return SKIP;
  EXPECT (vaes->locks_memory);
  EXPECT (forbid_locking () == 0);
  EXPECT (xts_known_answers (vaes, NULL) == 0);
  EXPECT (!secret_all_locked ());
  return 0;
}

#endif

/* ---- runs of this program ------------------------------------------------------------------ */

static const struct run {
  const char *name;
  int (*fn) (void);
} runs[] = {
#define RUN(fn) \
  {             \
#fn, fn     \
  }
#if HAVE_GCRYPT
    RUN (gcrypt_contexts_are_locked_until_its_pool_is_full),
    RUN (gcrypt_without_a_right_to_lock_memory_works_and_says_so),
    RUN (gcrypt_set_up_by_another_library_is_locked_too),
    RUN (gcrypt_whose_secure_memory_another_library_disabled_says_so),
    RUN (gcrypt_contexts_made_after_a_fork_are_locked_again),
    RUN (gcrypt_leaves_nothing_of_a_key_behind),
#endif
    RUN (openssl_leaves_nothing_of_a_key_behind),
#if HAVE_VAES
    RUN (vaes_without_a_right_to_lock_memory_works_and_says_so),
    RUN (the_kernel_of_512_bits_leaves_nothing_of_a_key_behind),
    RUN (the_kernel_of_256_bits_leaves_nothing_of_a_key_behind),
#endif
};

static void
run_alone (void **state)
{
  const struct run *run = *state;
  char *argv[] = {(char *)"test-xts-memory", (char *)run->name, NULL};
  char self[4096] = "";
  pid_t pid;
  int status;

  /* Not spawned by that name: under valgrind it would be valgrind's. */
  assert_true (readlink ("/proc/self/exe", self, sizeof self - 1) > 0);
  assert_int_equal (posix_spawn (&pid, self, NULL, NULL, argv, environ), 0);
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_true (WIFEXITED (status));
  if (WEXITSTATUS (status) == SKIP) {
    print_message ("skipped: memory can't be locked or not be searched (sanitizer, valgrind), or "
                   "no such processor\n");
    skip ();
  }
  assert_int_equal (WEXITSTATUS (status), 0);
}

int
main (int argc, char **argv)
{
  struct CMUnitTest tests[ARRAY_SIZE (runs)];

  for (size_t i = 0; i < ARRAY_SIZE (runs); i++) {
    if (argc == 2 && strcmp (argv[1], runs[i].name) == 0)
      return runs[i].fn ();
    tests[i] = (struct CMUnitTest){runs[i].name, run_alone, NULL, NULL, (void *)&runs[i]};
  }
  return cmocka_run_group_tests (tests, NULL, NULL);
}
