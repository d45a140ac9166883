/* ctl-keys.c owns the commands on keys of both clouds: a key is named by its ARN or its URL. */
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/sim/aws-keys.h"
#include "tools/sim/aws-policy.h"
#include "tools/sim/azure-keys.h"
#include "tools/sim/ctl.h"
#include "tools/sim/demo-env.h"

#define DAY_S 86400

/* ---- finding ----------------------------------------------------------------------------------
 */

static int
fail_no_key (const char *name, struct error *err)
{
  return error_set (err, ERROR_NOT_FOUND,
                    "no key is called '%.200s': give an ARN (arn:aws:kms:REGION:ACCOUNT:key/ID) or "
                    "a URL (https://VAULT.vault.localhost:PORT/keys/NAME)",
                    name ? name : "");
}

static int
find_aws (struct sim *sim, const char *arn, struct aws_key **ret, struct error *err)
{
  char region[AWS_REGION_MAX], account[13], id[48];

  if (sscanf (arn, "arn:%*[a-z-]:kms:%31[a-z0-9-]:%12[0-9]:key/%47[a-z0-9-]", region, account, id)
      != 3)
    return fail_no_key (arn, err);
  *ret = aws_key_load (sim, region, id, time (NULL));
  return *ret ? 0 : fail_no_key (arn, err);
}

/* A vault's key and, where the URL names one, the version (else the current one). */
struct azure_named {
  struct azure_vault vault;
  struct azure_key *key;
  struct azure_version *version;
};

static void
azure_named_clear (struct azure_named *named)
{
  azure_key_free (named->key);
}

static int
find_azure (struct sim *sim, const char *url, struct azure_named *ret, struct error *err)
{
  char vault[64], domain[32], name[128], version[64] = "";

  if (sscanf (url, "https://%63[^.].%31[^.].%*[^/]/keys/%127[^/]/%63s", vault, domain, name,
              version)
          < 3
      || azure_vault_load (sim, vault, strcmp (domain, "managedhsm") == 0, &ret->vault) < 0
      || !(ret->key = azure_key_load (sim, &ret->vault, name, time (NULL)))
      || !(ret->version = azure_key_version (ret->key, version)))
    return fail_no_key (url, err);
  return 0;
}

/* ---- changing ---------------------------------------------------------------------------------
 */

static void
aws_set (struct aws_key *key, const char *state)
{
  snprintf (key->state, sizeof key->state, "%s", state);
  key->deletion_s = 0;
}

static int
aws_enable (struct aws_key *key, struct error *err)
{
  (void)err;
  aws_set (key, "Enabled");
  return 0;
}

static int
aws_disable (struct aws_key *key, struct error *err)
{
  (void)err;
  aws_set (key, "Disabled");
  return 0;
}

static int
aws_delete (struct aws_key *key, struct error *err)
{
  (void)err;
  aws_set (key, "PendingDeletion");
  key->deletion_s = time (NULL) + 7 * DAY_S;
  return 0;
}

static int
aws_rotate (struct aws_key *key, struct error *err)
{
  if (aws_key_is_symmetric (key) && aws_key_rotate (key, time (NULL)))
    return 0;
  return error_set (err, ERROR_USAGE,
                    "the key can't be rotated: it is asymmetric, or was too often");
}

static int
azure_set_enabled (struct azure_named *named, bool enabled)
{
  named->version->enabled = enabled;
  named->version->updated_s = time (NULL);
  return 0;
}

static int
azure_enable (struct azure_named *named, struct error *err)
{
  (void)err;
  named->key->deleted_s = named->key->purge_s = 0;
  return azure_set_enabled (named, true);
}

static int
azure_disable (struct azure_named *named, struct error *err)
{
  (void)err;
  return azure_set_enabled (named, false);
}

static int
azure_delete (struct azure_named *named, struct error *err)
{
  (void)err;
  named->key->deleted_s = time (NULL);
  named->key->purge_s = named->key->deleted_s + (int64_t)named->vault.retention_days * DAY_S;
  return 0;
}

static int
azure_rotate (struct azure_named *named, struct error *err)
{
  if (azure_key_add_version (named->key, time (NULL)))
    return 0;
  return error_set (err, ERROR_USAGE, "the key has too many versions");
}

static int
change (struct sim *sim, const struct json *words, int (*aws) (struct aws_key *, struct error *),
        int (*azure) (struct azure_named *, struct error *), struct error *err)
{
  const char *name = ctl_word (words, 0);
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  CLEANUP (azure_named_clear) struct azure_named named = {.key = NULL};

  if (!name)
    return fail_no_key (name, err);
  if (strncmp (name, "https://", 8) == 0) {
    if (find_azure (sim, name, &named, err) < 0 || azure (&named, err) < 0)
      return -1;
    azure_key_save (sim, &named.vault, named.key);
    return 0;
  }
  if (find_aws (sim, name, &key, err) < 0 || aws (key, err) < 0)
    return -1;
  aws_key_save (sim, key);
  return 0;
}

#define CHANGE(name, aws, azure)                                                     \
  static int run_##name (struct sim *sim, const struct json *words, char **ret_text, \
                         struct error *err)                                          \
  {                                                                                  \
    (void)ret_text;                                                                  \
    return change (sim, words, aws, azure, err);                                     \
  }

CHANGE (enable, aws_enable, azure_enable)
CHANGE (disable, aws_disable, azure_disable)
CHANGE (delete, aws_delete, azure_delete)
CHANGE (rotate, aws_rotate, azure_rotate)

static int
run_key_state (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  static const char *const states[] = {
      "Enabled",       "Disabled",    "PendingDeletion", "PendingReplicaDeletion",
      "PendingImport", "Unavailable", "Creating"};
  const char *name = ctl_word (words, 0), *state = ctl_word (words, 1);
  CLEANUP_AWS_KEY struct aws_key *key = NULL;

  (void)ret_text;
  for (size_t i = 0; state && i < ARRAY_SIZE (states); i++)
    if (strcmp (states[i], state) == 0) {
      if (find_aws (sim, name, &key, err) < 0)
        return -1;
      aws_set (key, state);
      aws_key_save (sim, key);
      return 0;
    }
  return error_set (err, ERROR_USAGE,
                    "key-state ARN Enabled, Disabled, PendingDeletion, PendingReplicaDeletion, "
                    "PendingImport, Unavailable or Creating");
}

static int
run_key_policy (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *name = ctl_word (words, 0), *policy = ctl_word (words, 1);
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char why[160];

  (void)ret_text;
  if (!name || !policy)
    return error_set (err, ERROR_USAGE, "key-policy ARN JSON, or key-policy ARN default");
  if (find_aws (sim, name, &key, err) < 0)
    return -1;
  if (strcmp (policy, "default") != 0 && aws_policy_check (policy, why, sizeof why) < 0)
    return error_set (err, ERROR_USAGE, "%s", why);
  free (key->policy);
  key->policy = strcmp (policy, "default") == 0 ? NULL : ctl_text ("%s", policy);
  aws_key_save (sim, key);
  return 0;
}

/* A date as a time from now, which may be past, or "none"; without a text, as it was. */
static int
take_date (const char *text, int64_t *date_s, struct error *err)
{
  bool past = text && text[0] == '-';
  uint64_t ms = 0;

  if (!text)
    return 0;
  if (strcmp (text, "none") == 0)
    *date_s = 0;
  else if (parse_duration (text + past, &ms, err) < 0)
    return -1;
  else
    *date_s = time (NULL) + (past ? -(int64_t)ms : (int64_t)ms) / 1000;
  return 0;
}

static int
azure_dates (struct sim *sim, const char *name, const char *not_before, const char *expires,
             struct error *err)
{
  CLEANUP (azure_named_clear) struct azure_named named = {.key = NULL};

  if (find_azure (sim, name, &named, err) < 0
      || take_date (not_before, &named.version->nbf_s, err) < 0
      || take_date (expires, &named.version->exp_s, err) < 0)
    return -1;
  azure_key_save (sim, &named.vault, named.key);
  return 0;
}

/* Only imported key material has a date, so that it counts as that from now on; and as imported
 * again where it had expired.
 */
static int
aws_dates (struct sim *sim, const char *name, const char *not_before, const char *expires,
           struct error *err)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;

  if (not_before)
    return error_set (err, ERROR_USAGE, "AWS keys have no --not-before");
  if (find_aws (sim, name, &key, err) < 0 || take_date (expires, &key->valid_to_s, err) < 0)
    return -1;
  key->imported = true;
  if (strcmp (key->state, "PendingImport") == 0)
    aws_set (key, "Enabled");
  aws_key_save (sim, key);
  return 0;
}

static int
run_key_dates (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *name = ctl_word (words, 0), *not_before = ctl_option (words, "--not-before"),
             *expires = ctl_option (words, "--expires");

  (void)ret_text;
  if (!name)
    return fail_no_key (name, err);
  return strncmp (name, "arn:", 4) == 0 ? aws_dates (sim, name, not_before, expires, err)
                                        : azure_dates (sim, name, not_before, expires, err);
}

/* ---- creating ---------------------------------------------------------------------------------
 */

static const char *
option_or (const struct json *words, const char *option, const char *otherwise)
{
  const char *value = ctl_option (words, option);

  return value ? value : otherwise;
}

static int
create_aws (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *account = option_or (words, "--account", AWS_ACCOUNT),
             *region = option_or (words, "--region", "us-east-1"),
             *alias = ctl_option (words, "--alias");
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  char arn[AWS_ARN_MAX];

  if (strlen (account) != 12 || strlen (region) >= AWS_REGION_MAX
      || region[strspn (region, "abcdefghijklmnopqrstuvwxyz0123456789-")])
    return error_set (err, ERROR_USAGE, "an account has 12 digits, a region letters and dashes");
  if (alias && !aws_alias_name_ok (alias))
    return error_set (err, ERROR_USAGE, "an alias starts with alias/");
  key = aws_key_new (account, region, option_or (words, "--spec", "SYMMETRIC_DEFAULT"),
                     ctl_switch (words, "--multi-region"), time (NULL));
  if (!key)
    return error_set (err, ERROR_USAGE, "--spec SYMMETRIC_DEFAULT, RSA_2048, RSA_3072 or RSA_4096");
  aws_key_save (sim, key);
  if (alias)
    aws_alias_save (sim, region, account, alias, key->id);
  aws_key_arn (key, arn);
  *ret_text = ctl_text ("%s", arn);
  return 0;
}

static int
create_azure (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *name = ctl_word (words, 1), *vault_name = option_or (words, "--vault", DEMO_VAULT);
  bool hsm = ctl_switch (words, "--hsm");
  const char *kty = option_or (words, "--kty", hsm ? "RSA-HSM" : "RSA");
  bool oct = strcmp (kty, "oct-HSM") == 0;
  struct azure_vault vault;
  CLEANUP_AZURE_KEY struct azure_key *key = NULL;
  uint64_t bits;

  if (!name || !azure_key_name_ok (name)
      || (!oct && strcmp (kty, "RSA") != 0 && strcmp (kty, "RSA-HSM") != 0))
    return error_set (err, ERROR_USAGE,
                      "create-key azure NAME (letters, digits, dashes), --kty RSA, RSA-HSM or "
                      "oct-HSM");
  if (oct && !hsm)
    return error_set (err, ERROR_USAGE,
                      "Invalid kty value: %s: a vault has RSA and RSA-HSM keys only, as the real "
                      "one; with --hsm the key is made in a managed HSM",
                      kty);
  if (azure_vault_load (sim, vault_name, hsm, &vault) < 0)
    return error_set (err, ERROR_NOT_FOUND, "no vault is called %.60s: see create-vault",
                      vault_name);
  if (parse_uint (option_or (words, "--size", oct ? "256" : "2048"), 128, 4096, &bits, err) < 0)
    return -1;
  key = azure_key_load (sim, &vault, name, time (NULL));
  if (key)
    return error_set (err, ERROR_USAGE, "there is a key %s already", name);
  key = calloc (1, sizeof *key);
  if (!key)
    abort ();
  snprintf (key->name, sizeof key->name, "%s", name);
  snprintf (key->kty, sizeof key->kty, "%s", kty);
  key->bits = (unsigned)bits;
  if ((oct && bits != 128 && bits != 192 && bits != 256)
      || !azure_key_add_version (key, time (NULL)))
    return error_set (err, ERROR_USAGE, "--size 2048, 3072 or 4096 (oct-HSM: 128, 192, 256)");
  azure_key_save (sim, &vault, key);
  *ret_text = ctl_text ("https://%s.%s.localhost:%u/keys/%s", vault.name,
                        hsm ? "managedhsm" : "vault", sim->port, key->name);
  return 0;
}

static int
run_create_key (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *cloud = ctl_word (words, 0);

  if (cloud && strcmp (cloud, "aws") == 0)
    return create_aws (sim, words, ret_text, err);
  if (cloud && strcmp (cloud, "azure") == 0)
    return create_azure (sim, words, ret_text, err);
  return error_set (err, ERROR_USAGE, "create-key aws [...] or create-key azure NAME [...]");
}

const struct ctl_command ctl_keys[] = {
    {"create-key aws",
     "[--spec SPEC] [--region REGION] [--account ID] [--alias NAME] "
     "[--multi-region]",
     "a new KMS key; prints its ARN", NULL},
    {"create-key azure", "NAME [--vault VAULT] [--hsm] [--kty KTY] [--size BITS]",
     "a new key in a vault; prints its URL", NULL},
    {"create-key", NULL, NULL, run_create_key},
    {"disable", "KEY", "disable a key (of a vault: the version named, else the current one)",
     run_disable},
    {"enable", "KEY", "enable it, and take back a deletion", run_enable},
    {"delete", "KEY", "schedule its deletion in 7 days; in a vault: soft delete", run_delete},
    {"rotate", "KEY", "new material; in a vault: a new version", run_rotate},
    {"key-state", "ARN STATE", "put a KMS key into any of its states", run_key_state},
    {"key-policy", "ARN JSON|default", "set the policy of a KMS key", run_key_policy},
    {"key-dates", "KEY [--not-before TIME] [--expires TIME]",
     "set when a vault's key, or imported AWS key material, is valid, from now: 1h, -1h, none",
     run_key_dates},
    {NULL},
};
