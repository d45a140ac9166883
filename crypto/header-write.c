/* header-write.c owns what changes a header: create, adopt, passphrases, backup, restore, destroy.
 *
 * Every change first reads the header as header_load does, and then lets libcryptsetup write only
 * if what it has read from the disk is the same.
 */
#include "crypto/header.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "crypto/header-copy.h"
#include "crypto/header-private.h"
#include "crypto/luks.h"

#define METADATA_BYTES UINT64_C (65536) /* of one copy: room for all wraps and the history */
#define WIPE_BYTES 65536
#define BINARY_BYTES 4096

/* ---- small things -----------------------------------------------------------------------------*/

static int
open_path (const char *path, int flags, int *ret_fd, struct error *err)
{
  int fd = open (path, flags | O_CLOEXEC);

  if (fd < 0)
    return errno == ENOENT ? error_set (err, ERROR_NOT_FOUND, "%s: there is no such file", path)
                           : error_set_errno (err, errno, "%s: can't open it", path);
  *ret_fd = fd;
  return 0;
}

static int
load_path (const char *path, struct header **ret_header, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;

  if (open_path (path, O_RDONLY, &fd, err) < 0)
    return -1;
  return header_load (fd, path, false, ret_header, err);
}

static int
sync_path (const char *path, int flags, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;

  if (open_path (path, O_RDONLY | flags, &fd, err) < 0)
    return -1;
  return fsync (fd) < 0 ? error_set_errno (err, errno, "%s: can't flush it", path) : 0;
}

static int
sync_folder_of (const char *path, struct error *err)
{
  CLEANUP_FREE char *copy = strdup (path); /* lint: a path */

  return copy ? sync_path (dirname (copy), O_DIRECTORY, err)
              : error_set (err, ERROR_SYSTEM, "out of memory");
}

int
header_new_uuid (char ret_uuid[HEADER_UUID_MAX], struct error *err)
{
  uint8_t b[16];

  if (RAND_bytes (b, sizeof b) != 1)
    return error_set (err, ERROR_SYSTEM, "OpenSSL's random generator failed");
  b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122, 4.4 */
  b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
  snprintf (ret_uuid, HEADER_UUID_MAX,
            "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
            b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
            b[15]);
  return 0;
}

/* The header on the real disk, which must still be the one that was checked. */
static int
open_same (const char *path, const struct header *header, struct luks **ret_luks, struct error *err)
{
  CLEANUP_LUKS struct luks *luks = NULL;
  const char *text;

  if (luks_open (path, path, &luks, err) < 0 || luks_json (luks, &text, err) < 0)
    return -1;
  if (strcmp (text, header->json) != 0 || strcmp (luks_uuid (luks), header->info.uuid) != 0)
    return error_set (err, ERROR_BUSY,
                      "%s: its header was changed meanwhile by somebody else: try again", path);
  *ret_luks = luks;
  luks = NULL;
  return 0;
}

/* ---- create -----------------------------------------------------------------------------------*/

static bool
has_upper_case (const char *text)
{
  while (*text && !isupper ((unsigned char)*text))
    text++;
  return *text != '\0';
}

static int
check_params (const struct header_params *params, struct error *err)
{
  if (!params->uuid || !is_uuid (params->uuid) || has_upper_case (params->uuid))
    return error_set (err, ERROR_USAGE, "uuid: expected 36 lower-case characters as %s",
                      "01234567-89ab-cdef-0123-456789abcdef");
  if (params->sector_size != 512 && params->sector_size != 4096)
    return error_set (err, ERROR_USAGE, "sector size %u: expected 512 or 4096",
                      params->sector_size);
  if (!params->label)
    return 0;
  if (strlen (params->label) >= HEADER_LABEL_MAX)
    return error_set (err, ERROR_USAGE, "the label has %zu bytes: expected at most %d",
                      strlen (params->label), HEADER_LABEL_MAX - 1);
  for (const char *c = params->label; *c; c++)
    if (iscntrl ((unsigned char)*c))
      return error_set (err, ERROR_USAGE, "the label holds control characters");
  return 0;
}

static int
check_volume_size (const char *path, uint32_t sector_size, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  uint64_t bytes;

  if (open_path (path, O_RDONLY, &fd, err) < 0 || header_volume_size (fd, path, &bytes, err) < 0)
    return -1;
  if (bytes < HEADER_DATA_OFFSET_BYTES + sector_size)
    return error_set (err, ERROR_USAGE,
                      "%s: it has %llu bytes, of which the header needs %llu: make it larger", path,
                      (unsigned long long)bytes, (unsigned long long)HEADER_DATA_OFFSET_BYTES);
  if (!is_aligned (bytes, sector_size))
    return error_set (err, ERROR_USAGE,
                      "%s: it has %llu bytes, which is not a multiple of the sector size %u", path,
                      (unsigned long long)bytes, sector_size);
  return 0;
}

/* The token's text with its MAC in place. */
static int
seal_token (struct token *token, const char *uuid, uint32_t sector_size, uint64_t data_offset_bytes,
            const struct secret *volume_key, char **ret_text, struct error *err)
{
  if (header_mac (token, uuid, sector_size, data_offset_bytes, volume_key, token->mac, err) < 0)
    return -1;
  return token_print (token, ret_text, err);
}

static int
format_with_token (const char *path, const struct header_params *params, const char *token_text,
                   const struct secret *volume_key, struct error *err)
{
  const struct luks_format format = {.uuid = params->uuid,
                                     .label = params->label,
                                     .subsystem = HEADER_SUBSYSTEM,
                                     .sector_size = params->sector_size,
                                     .metadata_bytes = METADATA_BYTES,
                                     .data_offset_bytes = HEADER_DATA_OFFSET_BYTES};
  CLEANUP_LUKS struct luks *luks = NULL;

  if (luks_format (path, &format, volume_key, &luks, err) < 0)
    return -1;
  return luks_set_token (luks, -1, token_text, err);
}

/* Reads back what was written: a header that can't be verified now never could. */
static int
verify_path (const char *path, const struct secret *volume_key, struct error *err)
{
  CLEANUP_HEADER struct header *header = NULL;

  if (sync_path (path, 0, err) < 0 || load_path (path, &header, err) < 0)
    return -1;
  return header_verify (header, volume_key, err);
}

int
header_create (const char *path, const struct header_params *params, struct token *token,
               const struct secret *volume_key, struct error *err)
{
  CLEANUP_FREE char *text = NULL;

  if (check_params (params, err) < 0 || check_volume_size (path, params->sector_size, err) < 0
      || header_check_key (volume_key, err) < 0
      || seal_token (token, params->uuid, params->sector_size, HEADER_DATA_OFFSET_BYTES, volume_key,
                     &text, err)
             < 0
      || format_with_token (path, params, text, volume_key, err) < 0)
    return -1;
  return verify_path (path, volume_key, err);
}

/* ---- change -----------------------------------------------------------------------------------*/

static int
write_token (const char *path, const struct header *header, const char *text, struct error *err)
{
  CLEANUP_LUKS struct luks *luks = NULL;

  if (open_same (path, header, &luks, err) < 0
      || luks_set_token (luks, header->profile.token_id, text, err) < 0)
    return -1;
  if (strcmp (luks_subsystem (luks), HEADER_SUBSYSTEM) == 0)
    return 0;
  return luks_set_labels (luks, luks_label (luks), HEADER_SUBSYSTEM, err);
}

int
header_set_token (const char *path, const char *uuid, struct token *token,
                  const struct secret *volume_key, struct error *err)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_FREE char *text = NULL;

  if (load_path (path, &header, err) < 0)
    return -1;
  if (strcmp (header->info.uuid, uuid) != 0)
    return error_set (err, ERROR_FOREIGN, "%s: it holds volume %s, expected %s", path,
                      header->info.uuid, uuid);
  if (header_verify_digest (header, volume_key, err) < 0
      || seal_token (token, uuid, header->info.sector_size, header->info.data_offset_bytes,
                     volume_key, &text, err)
             < 0
      || write_token (path, header, text, err) < 0)
    return -1;
  return verify_path (path, volume_key, err);
}

int
header_add_passphrase (const char *path, const struct secret *passphrase,
                       const struct secret *volume_key, struct error *err)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_LUKS struct luks *luks = NULL;

  if (load_path (path, &header, err) < 0 || header_verify_digest (header, volume_key, err) < 0
      || open_same (path, header, &luks, err) < 0
      || luks_add_passphrase (luks, passphrase, volume_key, err) < 0)
    return -1;
  return sync_path (path, 0, err);
}

static int
unlock_copy (int fd, const char *path, const struct header *header, const struct secret *passphrase,
             struct secret *ret_volume_key, struct error *err)
{
  CLEANUP_HEADER_COPY struct header_copy copy = {.fd = -1};
  CLEANUP_LUKS struct luks *luks = NULL;

  if (header_copy_read (fd, path, header->info.damaged_copy, &copy, NULL, err) < 0
      || header_copy_extend (&copy, fd, path, header->profile.areas_end_bytes, err) < 0
      || luks_open (copy.path, path, &luks, err) < 0)
    return -1;
  return luks_unlock (luks, passphrase, ret_volume_key, err);
}

int
header_unlock (const char *path, const struct secret *passphrase, struct secret *ret_volume_key,
               struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_SECRET struct secret volume_key = {0};

  if (open_path (path, O_RDONLY, &fd, err) < 0 || header_load (fd, path, false, &header, err) < 0)
    return -1;
  if (header->info.keyslot_count == 0)
    return error_set (err, ERROR_DENIED, "%s: it has no keyslot: no passphrase opens it", path);
  if (unlock_copy (fd, path, header, passphrase, &volume_key, err) < 0
      || header_verify_digest (header, &volume_key, err) < 0)
    return -1;
  secret_take (ret_volume_key, &volume_key);
  return 0;
}

/* ---- backup and restore -----------------------------------------------------------------------*/

int
header_backup (const char *path, const char *backup_path, struct error *err)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_LUKS struct luks *luks = NULL;

  if (load_path (path, &header, err) < 0)
    return -1;
  if (access (backup_path, F_OK) == 0)
    return error_set (err, ERROR_USAGE, "%s: it exists already: name another file", backup_path);
  if (open_same (path, header, &luks, err) < 0 || luks_backup (luks, backup_path, err) < 0
      || sync_path (backup_path, 0, err) < 0)
    return -1;
  return sync_folder_of (backup_path, err);
}

static int
load_backup (const char *backup_path, struct header **ret_header, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;

  if (open_path (backup_path, O_RDONLY, &fd, err) < 0)
    return -1;
  return header_load_backup (fd, backup_path, true, ret_header, err);
}

static bool
same_geometry (const struct header *a, const struct header *b)
{
  return a->info.sector_size == b->info.sector_size
         && a->info.data_offset_bytes == b->info.data_offset_bytes
         && a->profile.areas_end_bytes == b->profile.areas_end_bytes;
}

/* Whether the header that is there may be replaced by the backup's. */
static int
check_replaceable (int fd, const char *path, const struct header *backup, bool force,
                   bool *ret_in_the_way, struct error *err)
{
  CLEANUP_HEADER struct header *own = NULL;
  struct error why = {0};
  bool loads = header_load_backup (fd, path, false, &own, &why) == 0;

  if (!force && loads && strcmp (own->info.uuid, backup->info.uuid) != 0)
    return error_set (
        err, ERROR_USAGE,
        "%s: it holds volume %s, the backup is of volume %s: give --force only when all "
        "that is on it may be lost",
        path, own->info.uuid, backup->info.uuid);
  if (!force && loads && !same_geometry (own, backup))
    return error_set (
        err, ERROR_USAGE,
        "%s: its sector size or data offset is not the backup's: give --force only when "
        "its header is known to be wrong",
        path);
  if (!force && !loads && why.class == ERROR_FOREIGN && header_is_luks2 (fd)) {
    if (err)
      *err = why;
    return error_prefix (err, "the header there is somebody else's; --force replaces it");
  }
  *ret_in_the_way = loads ? !same_geometry (own, backup) : header_is_luks2 (fd);
  return 0;
}

/* libcryptsetup replaces no header by one of another layout: take away what it would compare.  Only
 * bytes that the restored header will cover are touched.
 */
static int
clear_old_header (int fd, const char *path, uint64_t end_bytes, struct error *err)
{
  static const uint8_t zeroes[BINARY_BYTES];
  uint64_t at = 0;

  while (at + sizeof zeroes <= end_bytes) {
    int r = pwrite_full (fd, zeroes, sizeof zeroes, at);

    if (r < 0)
      return error_set_errno (err, -r, "%s: can't clear its old header", path);
    at = at ? 2 * at : UINT64_C (16384); /* where second copies can begin */
  }
  return 0;
}

int
header_restore (const char *path, const char *backup_path, bool force, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  CLEANUP_HEADER struct header *backup = NULL;
  CLEANUP_HEADER struct header *restored = NULL;
  uint64_t volume_bytes;
  bool in_the_way;

  if (load_backup (backup_path, &backup, err) < 0 || open_path (path, O_RDWR, &fd, err) < 0
      || header_volume_size (fd, path, &volume_bytes, err) < 0)
    return -1;
  if (volume_bytes <= backup->info.data_offset_bytes)
    return error_set (err, ERROR_USAGE, "%s: it has %llu bytes, too few for the backup's volume",
                      path, (unsigned long long)volume_bytes);
  if (check_replaceable (fd, path, backup, force, &in_the_way, err) < 0
      || (in_the_way && clear_old_header (fd, path, backup->profile.areas_end_bytes, err) < 0)
      || luks_restore (path, backup_path, err) < 0)
    return -1;
  if (fsync (fd) < 0)
    return error_set_errno (err, errno, "%s: can't flush it", path);
  return header_load (fd, path, true, &restored, err);
}

/* ---- destroy ----------------------------------------------------------------------------------*/

static int
overwrite (int fd, const char *path, uint64_t end_bytes, struct error *err)
{
  CLEANUP_FREE uint8_t *noise = malloc (WIPE_BYTES);

  if (!noise)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  for (uint64_t at = 0; at < end_bytes;) {
    size_t size = (size_t)MIN (end_bytes - at, WIPE_BYTES);
    int r;

    if (RAND_bytes (noise, (int)size) != 1)
      return error_set (err, ERROR_SYSTEM, "OpenSSL's random generator failed");
    r = pwrite_full (fd, noise, size, at);
    if (r < 0)
      return error_set_errno (err, -r, "%s: can't overwrite its header", path);
    at += size;
  }
  return 0;
}

int
header_destroy (const char *path, uint64_t data_offset_bytes, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  uint64_t volume_bytes;

  if (open_path (path, O_WRONLY, &fd, err) < 0
      || header_volume_size (fd, path, &volume_bytes, err) < 0
      || overwrite (fd, path, MIN (data_offset_bytes, volume_bytes), err) < 0)
    return -1;
  return fsync (fd) < 0 ? error_set_errno (err, errno, "%s: can't flush it", path) : 0;
}
