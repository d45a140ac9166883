/* header-copy.c owns what is read of an untrusted disk before anything is believed about it. */
#include "crypto/header-copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/fs.h>

#include "common/checked.h"
#include "common/io.h"
#include "crypto/profile.h"

/* LUKS2 On-Disk Format Specification 2.1 and table 1: the binary header, and the sizes of one copy
 * (the second copy begins where the first ends).
 */
#define MAGIC_SIZE 6
#define VERSION_AT 6
#define SIZE_AT 8
#define BINARY_BYTES 4096
#define FIRST_READ_BYTES 16384
#define COPY_MIN_BYTES UINT64_C (16384)
#define COPY_MAX_BYTES UINT64_C (4194304)
#define KEYSLOTS_MAX_BYTES UINT64_C (134217728)
#define ALIGNMENT 4096

static const uint8_t magic_first[MAGIC_SIZE] = {'L', 'U', 'K', 'S', 0xba, 0xbe};
static const uint8_t magic_second[MAGIC_SIZE] = {'S', 'K', 'U', 'L', 0xba, 0xbe};

int
header_volume_size (int fd, const char *path, uint64_t *ret_bytes, struct error *err)
{
  struct stat st;
  uint64_t bytes;

  if (fstat (fd, &st) < 0)
    return error_set_errno (err, errno, "%s: can't tell its size", path);
  if (S_ISREG (st.st_mode)) {
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
  }
  if (!S_ISBLK (st.st_mode))
    return error_set (err, ERROR_USAGE,
                      "%s: neither a regular file nor a block device: no volume can be in it",
                      path);
  if (ioctl (fd, BLKGETSIZE64, &bytes) < 0)
    return error_set_errno (err, errno, "%s: can't tell the device's size", path);
  *ret_bytes = bytes;
  return 0;
}

/* ---- looking at what was read -----------------------------------------------------------------*/

static uint64_t
big_endian (const uint8_t *bytes, size_t size)
{
  uint64_t n = 0;

  for (size_t i = 0; i < size; i++)
    n = n << 8 | bytes[i];
  return n;
}

static bool
starts_with (const struct header_copy *copy, uint64_t at, const uint8_t magic[MAGIC_SIZE])
{
  return at + BINARY_BYTES <= copy->size
         && memcmp (copy->bytes + at, magic, MAGIC_SIZE) == 0; /* lint: public bytes */
}

static unsigned
version_at (const struct header_copy *copy, uint64_t at)
{
  return (unsigned)big_endian (copy->bytes + at + VERSION_AT, 2);
}

/* The size of one copy as the first one says it; 0 when it is absent or absurd. */
static uint64_t
told_size (const struct header_copy *copy)
{
  uint64_t size;

  if (!starts_with (copy, 0, magic_first) || version_at (copy, 0) != 2)
    return 0;
  size = big_endian (copy->bytes + SIZE_AT, 8);
  return is_power_of_2 (size) && size >= COPY_MIN_BYTES && size <= COPY_MAX_BYTES ? size : 0;
}

/* libcryptsetup's checks take time that grows with the square of some counts: bound the text. */
static bool
text_is_bounded (const struct header_copy *copy, uint64_t at)
{
  size_t left = copy->size - at - BINARY_BYTES;

  return strnlen ((const char *)copy->bytes + at + BINARY_BYTES, left) <= PROFILE_TEXT_MAX;
}

/* Looks at every place that libcryptsetup will look at. */
static int
inspect (struct header_copy *copy, const char *path, struct error *err)
{
  bool bounded = true;

  if (starts_with (copy, 0, magic_first) && version_at (copy, 0) == 2) {
    copy->luks2 = true;
    bounded = text_is_bounded (copy, 0);
  }
  for (uint64_t at = COPY_MIN_BYTES; at <= COPY_MAX_BYTES; at *= 2)
    if (starts_with (copy, at, magic_second) && version_at (copy, at) == 2) {
      copy->luks2 = true;
      bounded = bounded && text_is_bounded (copy, at);
    }
  if (!bounded)
    return error_set (err, ERROR_FOREIGN,
                      "%s: outside keyfence's profile: its metadata have more "
                      "than %d bytes",
                      path, PROFILE_TEXT_MAX);
  return 0;
}

static int
no_header (const struct header_copy *copy, const char *path, struct error *err)
{
  if (starts_with (copy, 0, magic_first))
    return error_set (
        err, ERROR_FOREIGN,
        "%s: it has a LUKS header of version %u, keyfence needs LUKS2: back it up and "
        "see `cryptsetup convert`",
        path, version_at (copy, 0));
  return error_set (err, ERROR_FOREIGN,
                    "%s: there is no LUKS2 header in it: not a keyfence volume (`keyfence create` "
                    "makes one)",
                    path);
}

/* ---- reading ----------------------------------------------------------------------------------*/

/* Whole aligned pieces into aligned memory, as direct I/O wants it. */
static int
read_up_to (struct header_copy *copy, int fd, const char *path, size_t size, struct error *err)
{
  size_t wanted = round_up (size, ALIGNMENT);

  while (copy->size < size) {
    ssize_t got = pread (fd, copy->bytes + copy->size, wanted - copy->size, (off_t)copy->size);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return error_set_errno (err, errno, "%s: can't read its header", path);
    if (got == 0)
      return error_set (err, ERROR_CORRUPT, "%s: it ends inside its header", path);
    copy->size += MIN ((size_t)got, size - copy->size);
  }
  return 0;
}

static int
grow (struct header_copy *copy, int fd, const char *path, uint64_t size, struct error *err)
{
  uint8_t *bytes;

  size = MIN (size, copy->volume_bytes);
  if (size <= copy->size)
    return 0;
  bytes = aligned_alloc (ALIGNMENT, round_up (size, ALIGNMENT));
  if (!bytes)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (copy->bytes)
    memcpy (bytes, copy->bytes, copy->size);
  /* An unaligned tail would be read again from an unaligned place. */
  copy->size = round_down (copy->size, ALIGNMENT);
  free (copy->bytes);
  copy->bytes = bytes;
  return read_up_to (copy, fd, path, size, err);
}

static int
write_out (struct header_copy *copy, const char *path, struct error *err)
{
  int r;

  copy->fd = memfd_create ("keyfence-header", MFD_CLOEXEC);
  if (copy->fd < 0)
    return error_set_errno (err, errno, "%s: can't make a copy of its header in memory", path);
  snprintf (copy->path, sizeof copy->path, "/proc/self/fd/%d", copy->fd);
  r = pwrite_full (copy->fd, copy->bytes, copy->size, 0);
  if (r == 0 && ftruncate (copy->fd, (off_t)(2 * COPY_MAX_BYTES + KEYSLOTS_MAX_BYTES)) < 0)
    r = -errno;
  if (r < 0)
    return error_set_errno (err, -r, "%s: can't copy its header into memory", path);
  return 0;
}

static int
cut_off (const struct header_copy *copy, const char *path, struct error *err)
{
  return error_set (err, ERROR_CORRUPT,
                    "%s: it ends at byte %llu, inside its LUKS2 header: it was cut off", path,
                    (unsigned long long)copy->volume_bytes);
}

static int
fill (struct header_copy *copy, int fd, const char *path, bool search, struct error *err)
{
  uint64_t told;

  if (header_volume_size (fd, path, &copy->volume_bytes, err) < 0)
    return -1;
  if (grow (copy, fd, path, FIRST_READ_BYTES, err) < 0)
    return -1;
  if (copy->size >= MAGIC_SIZE && copy->size < BINARY_BYTES
      && memcmp (copy->bytes, magic_first, MAGIC_SIZE) == 0) /* lint: public bytes */
    return cut_off (copy, path, err);
  told = told_size (copy);
  copy->luks2 = told != 0;
  if (told != 0 && copy->volume_bytes < 2 * told)
    return cut_off (copy, path, err);
  if (grow (copy, fd, path, told != 0 && !search ? 2 * told : 2 * COPY_MAX_BYTES, err) < 0
      || inspect (copy, path, err) < 0)
    return -1;
  if (!copy->luks2)
    return no_header (copy, path, err);
  return write_out (copy, path, err);
}

int
header_copy_read (int fd, const char *path, bool search, struct header_copy *ret, bool *ret_luks2,
                  struct error *err)
{
  struct header_copy copy = {.fd = -1};
  int r = fill (&copy, fd, path, search, err);

  if (ret_luks2)
    *ret_luks2 = copy.luks2;
  if (r < 0) {
    header_copy_clear (&copy);
    return -1;
  }
  *ret = copy;
  return 0;
}

int
header_copy_extend (struct header_copy *copy, int fd, const char *path, uint64_t end_bytes,
                    struct error *err)
{
  uint64_t had = copy->size;
  int r;

  if (grow (copy, fd, path, MIN (end_bytes, 2 * COPY_MAX_BYTES + KEYSLOTS_MAX_BYTES), err) < 0)
    return -1;
  r = copy->size > had ? pwrite_full (copy->fd, copy->bytes + had, copy->size - had, had) : 0;
  return r < 0 ? error_set_errno (err, -r, "%s: can't copy its keyslots into memory", path) : 0;
}

int
header_copy_unchanged (const struct header_copy *copy, bool *ret_unchanged, struct error *err)
{
  uint8_t *map = mmap (NULL, copy->size, PROT_READ, MAP_SHARED, copy->fd, 0);

  if (map == MAP_FAILED)
    return error_set_errno (err, errno, "can't map the copy of the header");
  *ret_unchanged = memcmp (map, copy->bytes, copy->size) == 0; /* lint: public bytes */
  munmap (map, copy->size);
  return 0;
}

void
header_copy_clear (struct header_copy *copy)
{
  cleanup_close (&copy->fd);
  free (copy->bytes);
  *copy = (struct header_copy){.fd = -1};
}
