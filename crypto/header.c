/* header.c owns the reading of a volume's header, and the proof that a key is the volume's. */
#include "crypto/header.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/parse.h"
#include "crypto/header-copy.h"
#include "crypto/header-private.h"
#include "crypto/luks.h"
#include "crypto/mac.h"
#include "crypto/xts.h"

/* ---- loading ----------------------------------------------------------------------------------*/

/* Label and subsystem are anybody's bytes; whoever prints them should not have to care. */
static void
copy_printable (char *dst, size_t size, const char *src)
{
  snprintf (dst, size, "%s", src);
  for (; *dst; dst++)
    if (iscntrl ((unsigned char)*dst))
      *dst = '?';
}

static int
fill_info (struct header *header, struct luks *luks, struct error *err)
{
  struct header_info *info = &header->info;

  if (!is_uuid (luks_uuid (luks)))
    return error_set (err, ERROR_FOREIGN, "%s: outside keyfence's profile: its uuid is malformed",
                      header->path);
  snprintf (info->uuid, sizeof info->uuid, "%s", luks_uuid (luks));
  copy_printable (info->label, sizeof info->label, luks_label (luks));
  copy_printable (info->subsystem, sizeof info->subsystem, luks_subsystem (luks));
  info->sector_size = header->profile.sector_size;
  info->data_offset_bytes = header->profile.data_offset_bytes;
  info->keyslot_count = header->profile.keyslot_count;
  info->digest_iterations = header->profile.digest.iterations;
  return 0;
}

static int
fill_token (struct header *header, bool want_token, struct error *err)
{
  if (!header->profile.token_text)
    return want_token ? error_set (err, ERROR_FOREIGN,
                                   "%s: a LUKS2 volume without a keyfence token: no key service "
                                   "has its key",
                                   header->path)
                      : 0;
  if (token_parse (header->profile.token_text, &header->token, err) < 0)
    return error_prefix (err, "%s", header->path);
  return 0;
}

/* Everything that libcryptsetup tells; its context is gone when this returns. */
static int
fill_from_copy (struct header *header, const struct header_copy *copy, struct error *err)
{
  CLEANUP_LUKS struct luks *luks = NULL;
  const char *text;
  bool unchanged;

  if (luks_open (copy->path, header->path, &luks, err) < 0
      || header_copy_unchanged (copy, &unchanged, err) < 0 || luks_json (luks, &text, err) < 0)
    return -1;
  header->info.damaged_copy = !unchanged;
  if (profile_check (text, &header->profile, err) < 0)
    return error_prefix (err, "%s: outside keyfence's profile", header->path);
  header->json = strdup (text); /* lint: public bytes */
  if (!header->json)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  return fill_info (header, luks, err);
}

static int
fill_from_fd (struct header *header, int fd, bool search, uint64_t *ret_volume_bytes,
              struct error *err)
{
  CLEANUP_HEADER_COPY struct header_copy copy = {.fd = -1};

  if (header_copy_read (fd, header->path, search, &copy, NULL, err) < 0)
    return -1;
  *ret_volume_bytes = copy.volume_bytes;
  return fill_from_copy (header, &copy, err);
}

/* The smallest copy that can do first; where the size in the first header is what is damaged, the
 * second header is elsewhere.
 */
static int
fill (struct header *header, int fd, bool want_token, bool want_data, struct error *err)
{
  uint64_t volume_bytes = 0, end = 0;
  struct error first = {0};

  if (fill_from_fd (header, fd, false, &volume_bytes, &first) < 0
      && (first.class != ERROR_CORRUPT || volume_bytes == 0
          || fill_from_fd (header, fd, true, &volume_bytes, err) < 0)) {
    if (err && (first.class != ERROR_CORRUPT || volume_bytes == 0))
      *err = first;
    return -1;
  }
  end = want_data ? header->profile.data_offset_bytes + 1 : header->profile.areas_end_bytes;
  if (volume_bytes < end)
    return error_set (err, ERROR_CORRUPT,
                      "%s: it ends at byte %llu, its %s byte %llu: it was cut off", header->path,
                      (unsigned long long)volume_bytes,
                      want_data ? "data start at" : "header ends at",
                      (unsigned long long)(want_data ? end - 1 : end));
  return fill_token (header, want_token, err);
}

static int
load (int fd, const char *path, bool want_token, bool want_data, struct header **ret_header,
      struct error *err)
{
  CLEANUP_HEADER struct header *header = calloc (1, sizeof *header);

  if (!header || !(header->path = strdup (path))) /* lint: a path */
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (fill (header, fd, want_token, want_data, err) < 0)
    return -1;
  *ret_header = header;
  header = NULL;
  return 0;
}

int
header_load (int fd, const char *path, bool want_token, struct header **ret_header,
             struct error *err)
{
  return load (fd, path, want_token, true, ret_header, err);
}

int
header_load_backup (int fd, const char *path, bool want_token, struct header **ret_header,
                    struct error *err)
{
  return load (fd, path, want_token, false, ret_header, err);
}

bool
header_is_luks2 (int fd)
{
  CLEANUP_HEADER_COPY struct header_copy copy = {.fd = -1};
  bool luks2 = false;

  if (header_copy_read (fd, "", true, &copy, &luks2, NULL) < 0)
    return luks2;
  return true;
}

void
header_free (struct header *header)
{
  if (!header)
    return;
  profile_clear (&header->profile);
  token_free (header->token);
  free (header->path);
  free (header->json);
  free (header);
}

void
cleanup_header (struct header **header)
{
  header_free (*header);
}

const struct header_info *
header_info (const struct header *header)
{
  return &header->info;
}

const struct token *
header_token (const struct header *header)
{
  return header->token;
}

/* ---- proving a key ----------------------------------------------------------------------------*/

int
header_mac (const struct token *token, const char *uuid, uint32_t sector_size,
            uint64_t data_offset_bytes, const struct secret *volume_key,
            uint8_t ret_mac[TOKEN_MAC_SIZE], struct error *err)
{
  const struct token_binding binding = {.uuid = uuid,
                                        .cipher = PROFILE_CIPHER,
                                        .key_bits = PROFILE_KEY_BITS,
                                        .sector_size = sector_size,
                                        .data_offset_bytes = data_offset_bytes,
                                        .segment_count = PROFILE_SEGMENTS};
  CLEANUP_FREE uint8_t *bytes = NULL;
  size_t size;

  if (token_canonical (token, &binding, &bytes, &size, err) < 0)
    return -1;
  return mac_compute (volume_key, uuid, bytes, size, ret_mac, err);
}

int
header_check_key (const struct secret *volume_key, struct error *err)
{
  if (volume_key->size != VOLUME_KEY_SIZE)
    return error_set (err, ERROR_CORRUPT, "the volume key has %zu bytes, expected %d",
                      volume_key->size, VOLUME_KEY_SIZE);
  if (xts_check_key (volume_key, err) < 0)
    return error_set (err, ERROR_CORRUPT,
                      "the volume key's halves are equal: AES-XTS must not be used with it");
  return 0;
}

int
header_verify_digest (struct header *header, const struct secret *volume_key, struct error *err)
{
  bool matches;

  if (header_check_key (volume_key, err) < 0)
    return error_prefix (err, "%s", header->path);
  if (mac_digest_matches (volume_key, &header->profile.digest, &matches, err) < 0)
    return -1;
  if (!matches)
    return error_set (err, ERROR_CORRUPT,
                      "%s: the key is not volume %s's: the LUKS2 digest does not match it",
                      header->path, header->info.uuid);
  return 0;
}

int
header_verify (struct header *header, const struct secret *volume_key, struct error *err)
{
  uint8_t mac[TOKEN_MAC_SIZE];

  if (!header->token)
    return error_set (err, ERROR_CORRUPT, "%s: it has no keyfence token to verify", header->path);
  if (header_verify_digest (header, volume_key, err) < 0
      || header_mac (header->token, header->info.uuid, header->info.sector_size,
                     header->info.data_offset_bytes, volume_key, mac, err)
             < 0)
    return -1;
  if (!mac_equal (mac, header->token->mac))
    return error_set (err, ERROR_CORRUPT,
                      "%s: its header was changed by somebody without the volume key (the keyfence "
                      "token's MAC does not match): put back a header backup",
                      header->path);
  return 0;
}
