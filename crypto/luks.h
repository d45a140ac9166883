/* LUKS2 by libcryptsetup, behind the few calls that the header needs; luks.c alone includes it.
 *
 * Private to crypto/header*.c.  A `struct luks` is a libcryptsetup context: while it exists, it may
 * hold a copy of the volume key in ordinary memory (after format and unlock); luks_free wipes that,
 * so contexts live no longer than one operation.  libcryptsetup logs nowhere; its last error line
 * is put into our error text.  Plugins for foreign token types are never loaded.
 *
 * All return 0, or -1 with an error that begins with the path's `name` in messages.
 */
#ifndef CRYPTO_LUKS_H
#define CRYPTO_LUKS_H

#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/secret.h"

struct luks;

/* Opens the metadata of the file or device `path`, called `name` in messages.  Repairs a damaged
 * copy there when it can write.  ERROR_CORRUPT when there is no usable copy.
 */
int luks_open (const char *path, const char *name, struct luks **ret_luks, struct error *err)
    MUST_CHECK;

void luks_free (struct luks *luks);
void cleanup_luks (struct luks **luks);
#define CLEANUP_LUKS CLEANUP (cleanup_luks)

/* What the metadata say; owned by the context.  Never NULL. */
const char *luks_uuid (struct luks *luks);
const char *luks_label (struct luks *luks);
const char *luks_subsystem (struct luks *luks);
int luks_json (struct luks *luks, const char **ret_text, struct error *err) MUST_CHECK;

struct luks_format {
  const char *uuid, *label, *subsystem; /* label may be NULL */
  uint32_t sector_size;
  uint64_t metadata_bytes; /* of one copy */
  uint64_t data_offset_bytes;
};

/* Writes new metadata without keyslots: aes-xts-plain64, a digest of few iterations. */
int
luks_format (const char *path, const struct luks_format *format, const struct secret *volume_key,
             struct luks **ret_luks, struct error *err) MUST_CHECK;

/* Writes both header copies, one after the other, each synced.  Refused when somebody else has
 * written them since luks_open.  id -1: the first that is free.
 */
int luks_set_token (struct luks *luks, int id, const char *text, struct error *err) MUST_CHECK;
int luks_set_labels (struct luks *luks, const char *label, const char *subsystem, struct error *err)
    MUST_CHECK;

/* A new argon2id keyslot. */
int luks_add_passphrase (struct luks *luks, const struct secret *passphrase,
                         const struct secret *volume_key, struct error *err) MUST_CHECK;

/* The volume key by any keyslot; *ret_volume_key is an empty secret of VOLUME_KEY_SIZE bytes
 * afterwards filled in.  ERROR_DENIED when no keyslot opens.
 */
int luks_unlock (struct luks *luks, const struct secret *passphrase, struct secret *ret_volume_key,
                 struct error *err) MUST_CHECK;

int luks_backup (struct luks *luks, const char *backup_path, struct error *err) MUST_CHECK;
int luks_restore (const char *path, const char *backup_path, struct error *err) MUST_CHECK;

#endif
