/* A private copy of a volume's header area, in memory, for libcryptsetup to read and even repair.
 *
 * It holds no more of an untrusted disk than a LUKS2 header may have, and what is plainly no header
 * or too large is refused before libcryptsetup sees it.  Nothing here writes to the disk.
 */
#ifndef CRYPTO_HEADER_COPY_H
#define CRYPTO_HEADER_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define HEADER_COPY_PATH_MAX 40

struct header_copy {
  int fd;                          /* a memfd, sparse, as large as a header with all areas can be */
  char path[HEADER_COPY_PATH_MAX]; /* /proc/self/fd/N */
  uint8_t *bytes;                  /* what was read, to tell a repair by; 4096-aligned */
  size_t size;
  uint64_t volume_bytes; /* of the file or device */
  bool luks2;            /* at least one copy of a LUKS2 header, whatever its state, was seen */
};

/* Reads the header copies of `fd` (which may be open for direct I/O): the two that the first one's
 * size says, or, with `search`, all places where the second can be.  `path` is for messages.
 * *ret_luks2 (when not NULL) is set on failure too: whether there is a LUKS2 header of some kind.
 * Errors: ERROR_FOREIGN when there is no header, or one larger than we look at; ERROR_CORRUPT when
 * the file ends inside it; ERROR_SYSTEM.
 */
int header_copy_read (int fd, const char *path, bool search, struct header_copy *ret,
                      bool *ret_luks2, struct error *err) MUST_CHECK;

/* Adds the bytes up to `end_bytes` (for the keyslots). */
int header_copy_extend (struct header_copy *copy, int fd, const char *path, uint64_t end_bytes,
                        struct error *err) MUST_CHECK;

/* Whether the copy still is what was read: libcryptsetup did not mend anything. */
int header_copy_unchanged (const struct header_copy *copy, bool *ret_unchanged, struct error *err)
    MUST_CHECK;

void header_copy_clear (struct header_copy *copy);
#define CLEANUP_HEADER_COPY CLEANUP (header_copy_clear)

/* The size of a regular file or block device. */
int
header_volume_size (int fd, const char *path, uint64_t *ret_bytes, struct error *err) MUST_CHECK;

#endif
