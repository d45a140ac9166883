/* cmd-inspect.c owns `keyfence inspect`. */
#include <inttypes.h>

#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/facts.h"
#include "tools/print.h"
#include "tools/volume.h"

enum { JSON };

static const struct option_spec options[] = {
    [JSON] = {"json", NULL, "print the facts as one JSON object"},
    {NULL},
};

static void
print_wraps (const struct token *token)
{
  for (size_t i = 0; i < token->wrap_count; i++) {
    const struct wrap *wrap = &token->wraps[i];

    print_fact ("wrap", "%" PRIu32 ", %s", wrap->id, facts_role_name (wrap->role));
    print_fact ("  key", "%s", wrap->key);
    print_fact ("  key version", "%s", wrap->key_version);
    print_fact ("  algorithm", "%s", wrap->algorithm);
    print_fact ("  created", "%s", wrap->created);
  }
  for (size_t i = 0; i < token->past_count; i++) {
    const struct token_past *past = &token->history[i];

    print_fact ("earlier key", "%s", past->key);
    print_fact ("  key version", "%s", past->key_version);
    print_fact ("  used", "%s to %s", past->from, past->until);
  }
}

static void
print_size (const struct volume *volume)
{
  uint64_t bytes = volume_data_bytes (volume);
  char size[FORMAT_SIZE_MAX];

  format_size (bytes, size);
  if (bytes > 0)
    print_fact ("size", "%s (%" PRIu64 " bytes)", size, bytes);
  else
    print_fact ("size", "no data: this is a header backup");
}

static void
print_facts (const struct volume *volume)
{
  const struct header_info *info = header_info (volume->header);
  const struct token *token = header_token (volume->header);
  char offset[FORMAT_SIZE_MAX];

  format_size (info->data_offset_bytes, offset);
  print_fact ("volume", "%s", info->uuid);
  if (*info->label)
    print_fact ("label", "%s", info->label);
  print_size (volume);
  print_fact ("cipher", "%s, 512-bit key, sectors of %" PRIu32 " bytes", HEADER_CIPHER,
              info->sector_size);
  print_fact ("data at", "%s", offset);
  print_fact ("passphrases", "%u", info->keyslot_count);
  if (token)
    print_wraps (token);
  else
    print_fact ("wraps", "none: keyfence adopt makes the first one");
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  const char *path = args->operands[0];

  if (volume_open (path, false, &volume, err) < 0 || volume_load_copy (&volume, err) < 0)
    return -1;
  if (header_info (volume.header)->damaged_copy)
    print_warning ("%s: one of the two copies of the header is damaged or stale, the other one was "
                   "used: keyfence header-backup saves it, header-restore writes both anew",
                   path);
  if (!args->options[JSON])
    print_facts (&volume);
  else if (facts_print_json (&volume, err) < 0)
    return -1;
  return EXIT_DONE;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "print what a volume's header says",
    .details = "PATH may be a header backup too. No key is needed.",
    .operands = {{"PATH", VALUE_VOLUME_FILE}},
    .options = options,
    .run = run,
};
