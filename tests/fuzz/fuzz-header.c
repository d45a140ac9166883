/* Feeds header_load and header_verify with LUKS2 headers whose checksums are right.
 *
 * An input is a byte of flags, then (FLAG_BINARY) the 512 bytes of a binary header, then the JSON
 * of both copies.  Magic, version, size, offset and checksum are filled in, so that nothing is lost
 * on what the checksum would refuse anyway.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "common/checked.h"
#include "common/io.h"
#include "crypto/header.h"
#include "tests/fuzz/fuzz.h"

#define FLAG_BINARY 1      /* the input has a binary header */
#define FLAG_WANT_TOKEN 2  /* how header_load is called */
#define FLAG_BREAK_FIRST 4 /* one copy's checksum stays wrong */
#define FLAG_BREAK_SECOND 8
#define FLAG_RAW 16 /* size and offset stay the input's */

#define COPY_BYTES 16384
#define BINARY_BYTES 4096
#define BINARY_USED 512
#define CHECKSUM_AT 448
#define VOLUME_BYTES (HEADER_DATA_OFFSET_BYTES + 4096)
#define ITERATIONS_MAX 2000 /* more is time spent in PBKDF2 alone */

static void
put_big_endian (uint8_t *bytes, size_t size, uint64_t n)
{
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(n >> (8 * (size - 1 - i)));
}

static void
fill_copy (uint8_t *copy, int second, uint8_t flags)
{
  memcpy (copy, second ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6);
  put_big_endian (copy + 6, 2, 2);
  if (!(flags & FLAG_RAW)) {
    put_big_endian (copy + 8, 8, COPY_BYTES);
    put_big_endian (copy + 256, 8, second ? COPY_BYTES : 0);
    memcpy (copy + 72, "sha256", 7);
  }
  memset (copy + CHECKSUM_AT, 0, 64);
  if (!(flags & (second ? FLAG_BREAK_SECOND : FLAG_BREAK_FIRST))) {
    uint8_t sum[SHA256_DIGEST_LENGTH];

    SHA256 (copy, COPY_BYTES, sum);
    memcpy (copy + CHECKSUM_AT, sum, sizeof sum);
  }
}

static void
build (const uint8_t *data, size_t size, uint8_t both[2 * COPY_BYTES], uint8_t *ret_flags)
{
  uint8_t flags = size > 0 ? data[0] : 0;
  size_t at = MIN (size, 1), binary = flags & FLAG_BINARY ? MIN (size - at, BINARY_USED) : 0;

  memset (both, 0, 2 * COPY_BYTES);
  memcpy (both + 168, "11111111-2222-4333-8444-555555555555", 36);
  memcpy (both, data + at, binary);
  at += binary;
  memcpy (both + BINARY_BYTES, data + at, MIN (size - at, COPY_BYTES - BINARY_BYTES));
  memcpy (both + COPY_BYTES, both, COPY_BYTES);
  fill_copy (both, 0, flags);
  fill_copy (both + COPY_BYTES, 1, flags);
  *ret_flags = flags;
}

static void
verify (struct header *header)
{
  CLEANUP_SECRET struct secret key = {0};

  if (header_info (header)->digest_iterations > ITERATIONS_MAX
      || secret_init (&key, VOLUME_KEY_SIZE, NULL) < 0)
    return;
  for (size_t i = 0; i < key.size; i++)
    key.bytes[i] = (uint8_t)(i * 7 + 1); /* the seeds' */
  if (header_verify_digest (header, &key, NULL) == 0 && header_token (header)
      && header_verify (header, &key, NULL) == 0 && !token_primary (header_token (header)))
    abort ();
}

static void
load (int fd, uint8_t flags)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_HEADER struct header *backup = NULL;
  struct error err = {0};

  if (header_load (fd, "fuzz", flags & FLAG_WANT_TOKEN, &header, &err) == 0) {
    if (header_load_backup (fd, "fuzz", false, &backup, NULL) < 0)
      abort ();
    verify (header);
  }
  else if (err.class == ERROR_NONE || err.text[0] == '\0')
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static uint8_t both[2 * COPY_BYTES];
  CLEANUP_CLOSE int fd = memfd_create ("fuzz", MFD_CLOEXEC);
  uint8_t flags;

  build (data, size, both, &flags);
  if (fd < 0 || pwrite_full (fd, both, sizeof both, 0) < 0
      || ftruncate (fd, (off_t)VOLUME_BYTES) < 0)
    return 0;
  load (fd, flags);
  return 0;
}
