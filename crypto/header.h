/* The volume's LUKS2 header, by libcryptsetup, held to keyfence's strict profile.
 *
 * Reading never writes: libcryptsetup gets a private copy of the header area in memory, so neither
 * its automatic repair nor a race can change the disk or what was checked.  Writing (create, adopt,
 * set_token, passphrase, backup, restore) goes through libcryptsetup on the real file, which
 * updates the two header copies one after the other.
 *
 * The profile: LUKS2 with metadata of at most 128 KiB, one "crypt" segment from data_offset (a
 * multiple of 4096 behind the header's areas) to the end (size "dynamic"), aes-xts-plain64 with a
 * 512-bit key and 512- or 4096-byte sectors, iv_tweak 0, no integrity, no flags, one pbkdf2 digest
 * (sha256 or sha512, at most 10,000,000 iterations) for the segment, no requirements (so no
 * reencryption), keyslots only of type luks2 for that digest with an aes-xts-plain64 area and a KDF
 * of argon2id, argon2i or pbkdf2, at most one keyfence token (other tokens are left alone and
 * ignored), no member that the LUKS2 specification 1.1 does not name.  Anything else is
 * ERROR_FOREIGN with what was found; a malformed token is ERROR_CORRUPT.
 *
 * One header may be used by one thread at a time.
 */
#ifndef CRYPTO_HEADER_H
#define CRYPTO_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/secret.h"
#include "crypto/token.h"

#define HEADER_UUID_MAX 37
#define HEADER_LABEL_MAX 48
#define HEADER_SUBSYSTEM "keyfence"
#define HEADER_CIPHER "aes-xts-plain64"
#define HEADER_DATA_OFFSET_BYTES UINT64_C (1048576) /* what create makes */

struct header; /* opaque: what was read, and what header_verify needs */

struct header_info {
  char uuid[HEADER_UUID_MAX];
  char label[HEADER_LABEL_MAX]; /* may be empty */
  char subsystem[HEADER_LABEL_MAX];
  uint32_t sector_size;
  uint64_t data_offset_bytes;
  unsigned keyslot_count;     /* passphrases that open the volume without keyfence */
  uint64_t digest_iterations; /* of the volume key's PBKDF2 digest */
  bool damaged_copy; /* one of the two header copies was bad or stale; the other was used */
};

/* Whether `fd` begins with a LUKS2 header of some kind, ours or not, damaged or not. */
bool header_is_luks2 (int fd);

/* Reads the header of the open file or block device `fd` (any mode with reading; `path` is for
 * messages) and checks the profile.  A LUKS2 volume without a keyfence token is accepted only with
 * `want_token` false.  Errors: ERROR_FOREIGN, ERROR_CORRUPT, ERROR_SYSTEM.
 */
int header_load (int fd, const char *path, bool want_token, struct header **ret_header,
                 struct error *err) MUST_CHECK;

/* The same for a header backup (or any copy of the header), which ends where the data would start.
 */
int header_load_backup (int fd, const char *path, bool want_token, struct header **ret_header,
                        struct error *err) MUST_CHECK;

void header_free (struct header *header);
void cleanup_header (struct header **header);
#define CLEANUP_HEADER CLEANUP (cleanup_header)

const struct header_info *header_info (const struct header *header);

/* The token, owned by the header; NULL when there is none. */
const struct token *header_token (const struct header *header);

/* Proves that `volume_key` is this volume's: size, unequal halves, the LUKS2 digest, and the
 * token's MAC. ERROR_CORRUPT with what did not match.  Must pass before a byte is served.
 */
int header_verify (struct header *header, const struct secret *volume_key, struct error *err)
    MUST_CHECK;

/* The digest and the halves alone, for a header that has no token yet. */
int header_verify_digest (struct header *header, const struct secret *volume_key, struct error *err)
    MUST_CHECK;

struct header_params {
  const char *uuid;  /* needed before the key is wrapped, so the caller makes it: header_new_uuid */
  const char *label; /* NULL or up to 47 bytes */
  uint32_t sector_size;
};

/* A random (version 4) UUID. */
int header_new_uuid (char ret_uuid[HEADER_UUID_MAX], struct error *err) MUST_CHECK;

/* Formats: a new header on `path` (an existing file or block device of the right size, whatever it
 * holds), with the token; its mac is filled in here.  Durable when it returns.
 */
int header_create (const char *path, const struct header_params *params, struct token *token,
                   const struct secret *volume_key, struct error *err) MUST_CHECK;

/* Makes `token` (mac filled in here) the volume's keyfence token, replacing the one that is there,
 * and sets the subsystem.  Checks profile, digest and that uuid is `uuid` under libcryptsetup's
 * lock.
 */
int header_set_token (const char *path, const char *uuid, struct token *token,
                      const struct secret *volume_key, struct error *err) MUST_CHECK;

/* Adds a keyslot for the passphrase (argon2id, about two seconds of work). */
int header_add_passphrase (const char *path, const struct secret *passphrase,
                           const struct secret *volume_key, struct error *err) MUST_CHECK;

/* The volume key by a passphrase's keyslot, into an empty secret.  ERROR_DENIED when none fits. */
int header_unlock (const char *path, const struct secret *passphrase, struct secret *ret_volume_key,
                   struct error *err) MUST_CHECK;

/* Writes the header (both copies and the keyslots) to a new file, mode 0400, as luksHeaderBackup
 * does. */
int header_backup (const char *path, const char *backup_path, struct error *err) MUST_CHECK;

/* Puts a backup back.  The backup must be within the profile and have a keyfence token; unless
 * `force`, the volume's own header, where it can be read, must have the same uuid, sector size and
 * data offset.
 */
int header_restore (const char *path, const char *backup_path, bool force, struct error *err)
    MUST_CHECK;

/* Overwrites everything before the data with random bytes, durably: no keyslot, no wrap is left. */
int header_destroy (const char *path, uint64_t data_offset_bytes, struct error *err) MUST_CHECK;

#endif
