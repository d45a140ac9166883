/* cmd-create.c owns `keyfence create`. */
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/facts.h"
#include "tools/key-service.h"
#include "tools/progress.h"
#include "tools/secret-file.h"
#include "tools/target.h"

enum { KEY, SECONDARY, SIZE, LABEL, SECTOR_SIZE, PREALLOCATE, PASSPHRASE, FORCE, JSON };

static const struct option_spec options[] = {
    [KEY] = {"key", "KEY",
             "the customer's key that wraps the volume key: file:///absolute/path, "
             "arn:aws:kms:… or https://VAULT.vault.azure.net/keys/NAME",
             VALUE_KEY, .required = true},
    [SECONDARY] = {"secondary", "KEY",
                   "another key that wraps the volume key too, asked only while the service of the "
                   "first gives no answer; up to four, each with its own --secondary",
                   VALUE_KEY, .most = TOKEN_WRAPS_MAX - 1},
    [SIZE] = {"size", "SIZE",
              "size of the disk, as 10G or 1.5T (powers of 1024); needed for a file, while a block "
              "device is used whole"},
    [LABEL] = {"label", "LABEL", "a name for people and for keyfence status, up to 47 bytes"},
    [SECTOR_SIZE] = {"sector-size", "BYTES", "unit of encryption, 512 or 4096 (the default)",
                     VALUE_CHOICE, "512 4096"},
    [PREALLOCATE] = {"preallocate", NULL, "take all of the space on the disk now"},
    [PASSPHRASE] = {"recovery-passphrase-file", "FILE",
                    "add a LUKS2 keyslot that opens the volume by the passphrase in FILE (- is "
                    "standard input), without the key and without keyfence",
                    VALUE_FILE},
    [FORCE] = {"force", NULL, "overwrite a file, or a block device that holds something"},
    [JSON] = {"json", NULL, "print the facts of the new volume as one JSON object"},
    {NULL},
};

/* Bytes behind this are used for locks (common/lock.h). */
#define FILE_BYTES_MAX (UINT64_C (1) << 62)

struct plan {
  const char *key, *path;
  const char *secondaries[TOKEN_WRAPS_MAX - 1];
  size_t secondary_count;
  struct header_params header;
  char uuid[HEADER_UUID_MAX];
  const char *size_text; /* NULL: not given */
  uint64_t file_bytes;
  bool preallocate;
  const char *passphrase_file; /* NULL: none */
  struct secret passphrase;    /* empty: none */
};

static int
check_label (const char *label, struct error *err)
{
  if (strlen (label) >= HEADER_LABEL_MAX)
    return error_set (err, ERROR_USAGE, "--label: it has %zu bytes, a label has at most %d",
                      strlen (label), HEADER_LABEL_MAX - 1);
  for (const char *p = label; *p; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '/')
      return error_set (err, ERROR_USAGE,
                        "--label: neither slashes nor control characters, so that it can't be "
                        "taken for a path");
  if (is_uuid (label))
    return error_set (err, ERROR_USAGE, "--label: it looks like a uuid; choose another one");
  return 0;
}

static int
check_size (const char *text, uint32_t sector_size, uint64_t *ret_file_bytes, struct error *err)
{
  uint64_t bytes;

  if (parse_size (text, &bytes, err) < 0)
    return error_prefix (err, "--size");
  if (bytes == 0 || !is_aligned (bytes, sector_size))
    return error_set (err, ERROR_USAGE,
                      "--size %s: the size must be a multiple of the sector size, %u bytes", text,
                      sector_size);
  if (bytes > FILE_BYTES_MAX - HEADER_DATA_OFFSET_BYTES)
    return error_set (err, ERROR_USAGE, "--size %s: more than a file can hold", text);
  *ret_file_bytes = bytes + HEADER_DATA_OFFSET_BYTES;
  return 0;
}

/* Other names of a key that is there already are found when its service has been asked. */
static int
take_keys (const struct arguments *args, struct plan *plan, struct error *err)
{
  const char *key;

  plan->key = args->options[KEY];
  while ((key = arguments_value (args, SECONDARY, plan->secondary_count)) != NULL) {
    bool again = strcmp (key, plan->key) == 0;

    for (size_t i = 0; i < plan->secondary_count; i++)
      again = again || strcmp (key, plan->secondaries[i]) == 0;
    if (again)
      return error_set (err, ERROR_USAGE,
                        "--secondary %s: this key is given twice; a second wrap by it protects "
                        "from nothing",
                        key);
    plan->secondaries[plan->secondary_count++] = key;
  }
  return 0;
}

/* All that can be known to be wrong before anything is touched. */
static int
make_plan (const struct arguments *args, struct plan *plan, struct error *err)
{
  const char *sector_size = args->options[SECTOR_SIZE];

  plan->path = args->operands[0];
  if (take_keys (args, plan, err) < 0)
    return -1;
  plan->preallocate = args->options[PREALLOCATE];
  plan->size_text = args->options[SIZE];
  plan->header = (struct header_params){
      .uuid = plan->uuid,
      .label = args->options[LABEL],
      .sector_size = sector_size && strcmp (sector_size, "512") == 0 ? 512 : 4096};
  if (plan->header.label && check_label (plan->header.label, err) < 0)
    return -1;
  if (plan->size_text
      && check_size (plan->size_text, plan->header.sector_size, &plan->file_bytes, err) < 0)
    return -1;
  plan->passphrase_file = args->options[PASSPHRASE];
  if (args->options[PASSPHRASE]
      && secret_file_passphrase (args->options[PASSPHRASE], &plan->passphrase, err) < 0)
    return -1;
  return header_new_uuid (plan->uuid, err);
}

static int
check_device (const struct plan *plan, const struct volume *device, struct error *err)
{
  uint32_t sector_size = plan->header.sector_size;

  if (plan->size_text || plan->preallocate)
    return error_set (err, ERROR_USAGE,
                      "%s is a block device, all of which is used: leave out --size and "
                      "--preallocate",
                      plan->path);
  if (device->file_bytes < HEADER_DATA_OFFSET_BYTES + sector_size)
    return error_set (err, ERROR_USAGE, "%s is too small: the header alone takes 1 MiB",
                      plan->path);
  if (!is_aligned (device->file_bytes, sector_size))
    return error_set (err, ERROR_USAGE,
                      "the size of %s is no multiple of %u bytes: use --sector-size 512",
                      plan->path, sector_size);
  return 0;
}

static bool
is_file (const struct volume *volume, const char *path)
{
  struct stat opened, named;

  return path && fstat (volume->fd, &opened) == 0 && stat (path, &named) == 0
         && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static bool
is_key_file (const struct volume *volume, const char *key)
{
  static const char scheme[] = "file://";

  return strncmp (key, scheme, strlen (scheme)) == 0 && is_file (volume, key + strlen (scheme));
}

/* With --force, a slip of the hand would overwrite the very key that is to wrap the volume's. */
static int
check_not_a_key (const struct plan *plan, const struct target *target, struct error *err)
{
  bool precious =
      is_file (&target->volume, plan->passphrase_file) || is_key_file (&target->volume, plan->key);

  for (size_t i = 0; i < plan->secondary_count; i++)
    precious = precious || is_key_file (&target->volume, plan->secondaries[i]);
  if (precious)
    return error_set (err, ERROR_USAGE,
                      "%s is the file of the key or of the passphrase itself: nothing was changed",
                      plan->path);
  return 0;
}

static int
check_target (const struct plan *plan, const struct target *target, struct error *err)
{
  if (check_not_a_key (plan, target, err) < 0)
    return -1;
  if (target->volume.block_device)
    return check_device (plan, &target->volume, err);
  if (!plan->size_text)
    return error_set (err, ERROR_USAGE, "--size SIZE is missing; see keyfence create --help");
  return 0;
}

static int
add_passphrase (const struct plan *plan, const struct secret *volume_key, struct error *err)
{
  CLEANUP_PROGRESS struct progress *progress = NULL;

  if (!plan->passphrase.bytes)
    return 0;
  progress = progress_start ("adding the recovery passphrase", 0);
  return header_add_passphrase (plan->path, &plan->passphrase, volume_key, err);
}

static int
make_wraps (const struct plan *plan, struct kms_client *client, struct secret *volume_key,
            struct token **ret_token, struct error *err)
{
  CLEANUP_TOKEN struct token *token = NULL;

  if (key_service_token (client, plan->key, plan->uuid, volume_key, &token, err) < 0)
    return -1;
  for (size_t i = 0; i < plan->secondary_count; i++)
    if (key_service_add_secondary (client, plan->secondaries[i], plan->uuid, volume_key, token, err)
        < 0)
      return -1;
  *ret_token = token;
  token = NULL;
  return 0;
}

/* The key services are asked first: when one refuses, what the target held is still there. */
static int
make_volume (const struct plan *plan, struct target *target, struct error *err)
{
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_SECRET struct secret volume_key = {0};
  CLEANUP_TOKEN struct token *token = NULL;

  if (key_service_open (&client, err) < 0
      || make_wraps (plan, client, &volume_key, &token, err) < 0)
    return -1;
  if (!target->volume.block_device
      && target_resize (target, plan->file_bytes, plan->preallocate, err) < 0)
    return -1;
  target->touched = true;
  if (volume_check_same (&target->volume, err) < 0)
    return -1;
  if (header_create (plan->path, &plan->header, token, &volume_key, err) < 0
      || add_passphrase (plan, &volume_key, err) < 0)
    return -1;
  secret_clear (&volume_key);
  return key_service_prove (client, target->volume.fd, plan->path, plan->uuid, err);
}

static void
clear_plan (struct plan *plan)
{
  secret_clear (&plan->passphrase);
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP (clear_plan) struct plan plan = {0};
  CLEANUP_TARGET struct target target = TARGET_INIT;

  if (make_plan (args, &plan, err) < 0
      || target_open (plan.path, args->options[FORCE], &target, err) < 0
      || check_target (&plan, &target, err) < 0 || make_volume (&plan, &target, err) < 0
      || target_keep (&target, err) < 0)
    return -1;
  return facts_print_done ("created", plan.path, args->config, args->options[JSON], err);
}

const struct command command_create = {
    .name = "create",
    .summary = "make an encrypted volume in a new file or on a block device",
    .details =
        "A new volume key is made, wrapped by each KEY and stored in a LUKS2 header of 1 MiB at "
        "the start; the header is read back and verified. When anything fails, nothing "
        "half-made is left.",
    .operands = {{"PATH", VALUE_VOLUME_FILE}},
    .options = options,
    .run = run,
};
