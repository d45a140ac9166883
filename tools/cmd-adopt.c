/* cmd-adopt.c owns `keyfence adopt`. */
#include "tools/arguments.h"
#include "tools/facts.h"
#include "tools/key-service.h"
#include "tools/progress.h"
#include "tools/secret-file.h"

enum { KEY, PASSPHRASE, VOLUME_KEY, JSON };

static const struct option_spec options[] = {
    [KEY] = {"key", "KEY",
             "the customer's key that wraps the volume key: file:///absolute/path, "
             "arn:aws:kms:… or https://VAULT.vault.azure.net/keys/NAME",
             VALUE_KEY, .required = true},
    [PASSPHRASE] = {"passphrase-file", "FILE",
                    "open the volume by the passphrase in FILE (- is standard input)", VALUE_FILE},
    [VOLUME_KEY] = {"volume-key-file", "FILE",
                    "open it by the volume key itself, 64 bytes in FILE (as cryptsetup luksDump "
                    "--dump-volume-key --volume-key-file writes them)",
                    VALUE_FILE},
    [JSON] = {"json", NULL, "print the facts of the volume as one JSON object"},
    {NULL},
};

static int
unlock (const char *path, const char *passphrase_file, struct secret *ret_volume_key,
        struct error *err)
{
  CLEANUP_PROGRESS struct progress *progress = NULL;
  CLEANUP_SECRET struct secret passphrase = {0};

  if (secret_file_passphrase (passphrase_file, &passphrase, err) < 0)
    return -1;
  progress = progress_start ("trying the passphrase", 0);
  return header_unlock (path, &passphrase, ret_volume_key, err);
}

static int
get_volume_key (const struct arguments *args, struct volume *volume, struct secret *ret_volume_key,
                struct error *err)
{
  const char *passphrase = args->options[PASSPHRASE], *volume_key = args->options[VOLUME_KEY];
  int r;

  if (!passphrase == !volume_key)
    return error_set (err, ERROR_USAGE,
                      "the volume key comes from one place: give --passphrase-file or "
                      "--volume-key-file, and not both");
  if (passphrase)
    r = unlock (volume->path, passphrase, ret_volume_key, err);
  else
    r = secret_file_key (volume_key, VOLUME_KEY_SIZE, ret_volume_key, err);
  return r < 0 ? -1 : header_verify_digest (volume->header, ret_volume_key, err);
}

static int
check_unwrapped (const struct volume *volume, struct error *err)
{
  const struct token *token = header_token (volume->header);
  const struct wrap *wrap = token ? token_primary (token) : NULL;

  if (!token)
    return 0;
  return error_set (err, ERROR_USAGE,
                    "%s is a volume of keyfence already, wrapped by %s: keyfence serve serves it",
                    volume->path, wrap ? wrap->key : "no primary key");
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  CLEANUP_SECRET struct secret volume_key = {0};
  CLEANUP_TOKEN struct token *token = NULL;
  const char *path = args->operands[0], *uuid;

  if (volume_open (path, true, &volume, err) < 0 || volume_load (&volume, false, err) < 0
      || check_unwrapped (&volume, err) < 0 || get_volume_key (args, &volume, &volume_key, err) < 0)
    return -1;
  uuid = header_info (volume.header)->uuid;
  if (key_service_open (&client, err) < 0
      || key_service_token (client, args->options[KEY], uuid, &volume_key, &token, err) < 0
      || volume_check_same (&volume, err) < 0
      || header_set_token (path, uuid, token, &volume_key, err) < 0
      || key_service_prove (client, volume.fd, path, uuid, err) < 0)
    return -1;
  return facts_print_done ("adopted", path, args->config, args->options[JSON], err);
}

const struct command command_adopt = {
    .name = "adopt",
    .summary = "give an existing LUKS2 volume its first wrap",
    .details = "The data is not touched. The volume must be aes-xts-plain64 with a 512-bit key, "
               "one segment and no "
               "integrity, as cryptsetup luksFormat makes it by default. Its passphrases stay: "
               "remove them with cryptsetup luksKillSlot when only KEY shall open it.",
    .operands = {{"PATH", VALUE_VOLUME_FILE}},
    .options = options,
    .run = run,
};
