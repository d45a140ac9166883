/* preset.c owns the command lines of the presets. */
#include "tools/drill/preset.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "kms/aws-arn.h"
#include "kms/azure-uri.h"
#include "kms/file-uri.h"
#include "tools/words.h"

/* `word` as one word for a shell: a new string, or NULL. */
static char *
quoted (const char *word)
{
  size_t size;
  char *text = NULL;
  FILE *f = open_memstream (&text, &size);

  if (!f)
    return NULL;
  words_quote (f, word);
  if (fclose (f) == 0)
    return text;
  free (text);
  return NULL;
}

static int
both (int revoke_length, int restore_length, struct error *err)
{
  return revoke_length < 0 || restore_length < 0 ? error_set (err, ERROR_SYSTEM, "out of memory")
                                                 : 0;
}

static int
aws (const char *key, const char *version, char **ret_revoke, char **ret_restore, struct error *err)
{
  CLEANUP_FREE char *arn = NULL, *region = NULL;
  struct aws_key parsed;

  (void)version;
  if (aws_key_parse (key, &parsed, err) < 0)
    return -1;
  if (parsed.is_alias)
    return error_set (err, ERROR_USAGE,
                      "the volume's key is named by an alias, and AWS KMS disables keys only by "
                      "their ids: give --revoke and --restore");
  arn = quoted (parsed.arn);
  region = quoted (parsed.region);
  if (!arn || !region)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  return both (asprintf (ret_revoke, "aws kms disable-key --key-id %s --region %s", arn, region),
               asprintf (ret_restore, "aws kms enable-key --key-id %s --region %s", arn, region),
               err);
}

static int
azure (const char *key, const char *version, char **ret_revoke, char **ret_restore,
       struct error *err)
{
  CLEANUP_FREE char *id = NULL;
  struct azure_key parsed;
  char name[WRAP_KEY_MAX];

  if (azure_key_parse (key, getenv ("AZURE_AUTHORITY_HOST"), &parsed) < 0)
    return error_set (err, ERROR_USAGE, "%s is not a key's name of the form " AZURE_URI_FORM, key);
  if (!*parsed.version && azure_is_version (version))
    snprintf (parsed.version, sizeof parsed.version, "%s", version);
  if (!*parsed.version)
    return error_set (err, ERROR_USAGE,
                      "which version of %s the volume was wrapped with can't be read: give "
                      "--revoke and --restore",
                      key);
  if (azure_key_print (&parsed, name) < 0)
    return error_set (err, ERROR_USAGE, "%s is too long", key);
  id = quoted (name);
  if (!id)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  return both (asprintf (ret_revoke, "az keyvault key set-attributes --id %s --enabled false", id),
               asprintf (ret_restore, "az keyvault key set-attributes --id %s --enabled true", id),
               err);
}

/* The state folder is $KEYFENCE_KMS_SIM_DIR, as for everything else that is said to a simulator. */
static int
sim (const char *key, const char *version, char **ret_revoke, char **ret_restore, struct error *err)
{
  CLEANUP_FREE char *word = quoted (key);

  (void)version;
  if (strncmp (key, "file:", 5) == 0)
    return error_set (err, ERROR_USAGE,
                      "the volume's key is a file, and none of the simulator: --preset file");
  if (!word)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  return both (asprintf (ret_revoke, "keyfence-kms-sim ctl disable %s", word),
               asprintf (ret_restore, "keyfence-kms-sim ctl enable %s", word), err);
}

/* Nothing is ever overwritten, and what is in its place already counts as restored. */
static int
file (const char *key, const char *version, char **ret_revoke, char **ret_restore,
      struct error *err)
{
  CLEANUP_FREE char *here = NULL, *away = NULL;
  char path[WRAP_KEY_MAX], away_path[WRAP_KEY_MAX + 16];

  (void)version;
  if (file_uri_path (key, path) < 0)
    return error_set (err, ERROR_USAGE, "%s is not a key's name of the form %s", key,
                      FILE_URI_FORM);
  snprintf (away_path, sizeof away_path, "%s.drill", path);
  here = quoted (path);
  away = quoted (away_path);
  if (!here || !away)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  return both (asprintf (ret_revoke, "test ! -e %s && mv -n -- %s %s", away, here, away),
               asprintf (ret_restore, "if test -e %s; then mv -n -- %s %s; fi; test -e %s", away,
                         away, here, here),
               err);
}

int
preset_commands (const char *preset, const char *key, const char *version, char **ret_revoke,
                 char **ret_restore, struct error *err)
{
  static const struct {
    const char *name;
    int (*make) (const char *key, const char *version, char **ret_revoke, char **ret_restore,
                 struct error *err);
  } presets[] = {{"aws", aws}, {"azure", azure}, {"sim", sim}, {"file", file}};

  for (size_t i = 0; i < ARRAY_SIZE (presets); i++)
    if (strcmp (preset, presets[i].name) == 0
        && presets[i].make (key, version, ret_revoke, ret_restore, err) < 0)
      return error_prefix (err, "--preset %s", preset);
    else if (strcmp (preset, presets[i].name) == 0)
      return 0;
  return error_set (err, ERROR_USAGE, "--preset %s: expected one of: " PRESET_NAMES, preset);
}
