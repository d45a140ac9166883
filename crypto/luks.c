/* luks.c is the only file that knows libcryptsetup. */
#include "crypto/luks.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libcryptsetup.h>

#include "common/wrap.h"

#define SECTOR_BYTES 512 /* libcryptsetup's unit of offsets */

struct luks {
  struct crypt_device *cd;
  char *name;
  char last_error[160]; /* libcryptsetup's, without the final newline */
};

/* ---- its log, our errors ----------------------------------------------------------------------*/

static void
keep_error (int level, const char *text, void *opaque)
{
  struct luks *luks = opaque;

  if (level != CRYPT_LOG_ERROR)
    return;
  snprintf (luks->last_error, sizeof luks->last_error, "%s", text);
  luks->last_error[strcspn (luks->last_error, "\n")] = '\0';
}

static void
ignore (int level, const char *text, void *opaque)
{
  (void)level;
  (void)text;
  (void)opaque;
}

static void
init_library (void)
{
  crypt_set_log_callback (NULL, ignore, NULL);
  /* Else the type of a token, which is the disk's, names a shared object to load. */
  crypt_token_external_disable ();
}

static int
failed (const struct luks *luks, int r, enum error_class class, const char *what, struct error *err)
{
  const char *why = luks->last_error[0] ? luks->last_error : strerrordesc_np (-r);

  return error_set (err, class, "%s: %s (libcryptsetup: %s)", luks->name, what,
                    why ? why : "unknown error");
}

/* ---- contexts ---------------------------------------------------------------------------------*/

void
luks_free (struct luks *luks)
{
  if (!luks)
    return;
  crypt_free (luks->cd); /* wipes its copy of the volume key */
  free (luks->name);
  free (luks);
}

void
cleanup_luks (struct luks **luks)
{
  luks_free (*luks);
}

static int
context_new (const char *path, const char *name, struct luks **ret_luks, struct error *err)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  CLEANUP_LUKS struct luks *luks = calloc (1, sizeof *luks);
  int r;

  pthread_once (&once, init_library);
  if (!luks || !(luks->name = strdup (name))) /* lint: a path */
    return error_set (err, ERROR_SYSTEM, "out of memory");
  r = crypt_init (&luks->cd, path);
  if (r < 0)
    return failed (luks, r, ERROR_SYSTEM, "can't be opened", err);
  crypt_set_log_callback (luks->cd, keep_error, luks);
  *ret_luks = luks;
  luks = NULL;
  return 0;
}

int
luks_open (const char *path, const char *name, struct luks **ret_luks, struct error *err)
{
  CLEANUP_LUKS struct luks *luks = NULL;
  int r;

  if (context_new (path, name, &luks, err) < 0)
    return -1;
  r = crypt_load (luks->cd, CRYPT_LUKS2, NULL);
  if (r == -EINVAL)
    return failed (luks, r, ERROR_CORRUPT, "no copy of its LUKS2 header is intact", err);
  if (r < 0)
    return failed (luks, r, ERROR_SYSTEM, "can't read its LUKS2 header", err);
  *ret_luks = luks;
  luks = NULL;
  return 0;
}

static const char *
text_or_empty (const char *text)
{
  return text ? text : "";
}

const char *
luks_uuid (struct luks *luks)
{
  return text_or_empty (crypt_get_uuid (luks->cd));
}

const char *
luks_label (struct luks *luks)
{
  return text_or_empty (crypt_get_label (luks->cd));
}

const char *
luks_subsystem (struct luks *luks)
{
  return text_or_empty (crypt_get_subsystem (luks->cd));
}

int
luks_json (struct luks *luks, const char **ret_text, struct error *err)
{
  const char *text;
  int r = crypt_dump_json (luks->cd, &text, 0);

  if (r < 0 || !text)
    return failed (luks, r, ERROR_SYSTEM, "can't read its LUKS2 metadata", err);
  *ret_text = text;
  return 0;
}

/* ---- writing ----------------------------------------------------------------------------------*/

static int
format_context (struct luks *luks, const struct luks_format *format,
                const struct secret *volume_key, struct error *err)
{
  /* The volume key has full entropy, which iterations can't add to: the least that LUKS2 takes
   * keeps start-up fast. */
  struct crypt_pbkdf_type pbkdf = {.type = CRYPT_KDF_PBKDF2,
                                   .hash = "sha256",
                                   .iterations = 1000,
                                   .flags = CRYPT_PBKDF_NO_BENCHMARK};
  struct crypt_params_luks2 params = {.pbkdf = &pbkdf,
                                      .sector_size = format->sector_size,
                                      .label = format->label,
                                      .subsystem = format->subsystem};
  uint64_t keyslots_bytes = format->data_offset_bytes - 2 * format->metadata_bytes;
  int r = crypt_set_metadata_size (luks->cd, format->metadata_bytes, keyslots_bytes);

  if (r == 0)
    r = crypt_set_data_offset (luks->cd, format->data_offset_bytes / SECTOR_BYTES);
  if (r == 0)
    r = crypt_format (luks->cd, CRYPT_LUKS2, "aes", "xts-plain64", format->uuid,
                      (const char *)volume_key->bytes, volume_key->size, &params);
  if (r == -EBUSY)
    return failed (luks, r, ERROR_BUSY, "can't be formatted: it is in use", err);
  return r < 0 ? failed (luks, r, ERROR_SYSTEM, "can't be formatted", err) : 0;
}

int
luks_format (const char *path, const struct luks_format *format, const struct secret *volume_key,
             struct luks **ret_luks, struct error *err)
{
  CLEANUP_LUKS struct luks *luks = NULL;

  if (context_new (path, path, &luks, err) < 0
      || format_context (luks, format, volume_key, err) < 0)
    return -1;
  *ret_luks = luks;
  luks = NULL;
  return 0;
}

int
luks_set_token (struct luks *luks, int id, const char *text, struct error *err)
{
  int r = crypt_token_json_set (luks->cd, id < 0 ? CRYPT_ANY_TOKEN : id, text);

  return r < 0 ? failed (luks, r, ERROR_SYSTEM, "can't store the keyfence token", err) : 0;
}

int
luks_set_labels (struct luks *luks, const char *label, const char *subsystem, struct error *err)
{
  char kept[64];
  int r;

  /* libcryptsetup clears the old label before it copies the new one: `label` may be the old one. */
  snprintf (kept, sizeof kept, "%s", label);
  r = crypt_set_label (luks->cd, kept, subsystem);
  return r < 0 ? failed (luks, r, ERROR_SYSTEM, "can't set label and subsystem", err) : 0;
}

int
luks_add_passphrase (struct luks *luks, const struct secret *passphrase,
                     const struct secret *volume_key, struct error *err)
{
  struct crypt_pbkdf_type pbkdf = {.type = CRYPT_KDF_ARGON2ID,
                                   .hash = "sha256",
                                   .time_ms = 2000,
                                   .max_memory_kb = 1024 * 1024,
                                   .parallel_threads = 4};
  int r = crypt_set_pbkdf_type (luks->cd, &pbkdf);

  if (r == 0)
    r = crypt_keyslot_add_by_volume_key (luks->cd, CRYPT_ANY_SLOT, (const char *)volume_key->bytes,
                                         volume_key->size, (const char *)passphrase->bytes,
                                         passphrase->size);
  return r < 0 ? failed (luks, r, ERROR_SYSTEM, "can't add a keyslot for the passphrase", err) : 0;
}

int
luks_unlock (struct luks *luks, const struct secret *passphrase, struct secret *ret_volume_key,
             struct error *err)
{
  CLEANUP_SECRET struct secret volume_key = {0};
  size_t size = VOLUME_KEY_SIZE;
  int r;

  if (secret_init (&volume_key, VOLUME_KEY_SIZE, err) < 0)
    return -1;
  r = crypt_volume_key_get (luks->cd, CRYPT_ANY_SLOT, (char *)volume_key.bytes, &size,
                            (const char *)passphrase->bytes, passphrase->size);
  if (r == -EPERM || r == -ENOENT)
    return error_set (err, ERROR_DENIED, "%s: the passphrase fits none of its keyslots",
                      luks->name);
  if (r < 0 || size != VOLUME_KEY_SIZE)
    return failed (luks, r, ERROR_SYSTEM, "can't open a keyslot", err);
  secret_take (ret_volume_key, &volume_key);
  return 0;
}

/* ---- backups ----------------------------------------------------------------------------------*/

int
luks_backup (struct luks *luks, const char *backup_path, struct error *err)
{
  int r = crypt_header_backup (luks->cd, CRYPT_LUKS2, backup_path);

  return r < 0 ? failed (luks, r, ERROR_SYSTEM, "can't back up its header", err) : 0;
}

int
luks_restore (const char *path, const char *backup_path, struct error *err)
{
  CLEANUP_LUKS struct luks *luks = NULL;
  int r;

  if (context_new (path, path, &luks, err) < 0)
    return -1;
  r = crypt_header_restore (luks->cd, CRYPT_LUKS2, backup_path);
  return r < 0 ? failed (luks, r, ERROR_SYSTEM, "can't restore its header", err) : 0;
}
