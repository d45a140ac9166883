/* The strict profile: what LUKS2 metadata must say to be served.  Pure: text in, verdict out.
 *
 * The text is the JSON of a header whose checksum libcryptsetup has found right.  A checksum only
 * proves that no accident happened: the text is an attacker's, until the MAC has been verified.
 */
#ifndef CRYPTO_PROFILE_H
#define CRYPTO_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define PROFILE_CIPHER "aes-xts-plain64"
#define PROFILE_KEY_BITS 512
#define PROFILE_SEGMENTS 1
#define PROFILE_TEXT_MAX 131072 /* bytes of JSON */
#define PROFILE_DIGEST_SALT_SIZE 32
#define PROFILE_DIGEST_MAX 64
#define PROFILE_ITERATIONS_MAX 10000000 /* seconds, not hours, whatever the header says */
#define PROFILE_KEYSLOTS_MAX 32

/* The volume key's PBKDF2 digest. */
struct profile_digest {
  char hash[8]; /* "sha256" or "sha512" */
  uint64_t iterations;
  uint8_t salt[PROFILE_DIGEST_SALT_SIZE];
  uint8_t bytes[PROFILE_DIGEST_MAX];
  size_t size;
};

struct profile {
  uint32_t sector_size;
  uint64_t data_offset_bytes;
  uint64_t areas_end_bytes; /* both copies and the keyslots: what a header backup has */
  unsigned keyslot_count;
  struct profile_digest digest;
  int token_id;     /* -1: there is none */
  char *token_text; /* owned; NULL: there is none */
};

/* ERROR_FOREIGN with what was found and what was expected.  *ret is filled in on success only, and
 * then the caller clears it.
 */
int profile_check (const char *text, struct profile *ret, struct error *err) MUST_CHECK;

void profile_clear (struct profile *profile);
#define CLEANUP_PROFILE CLEANUP (profile_clear)

#endif
