/* azure-inspect-facts.c owns the lines that follow from what is known about a key. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/parse.h"
#include "kms/azure-inspect.h"

#define MEND_MAX (WRAP_KEY_MAX + 100)
#define DAY_S (24 * 3600)
#define EXPIRY_WARN_DAYS 30
#define RECOVERABLE_DAYS 90 /* what Azure's own services ask for */

static void
inspect_enabled (const struct azure_key_facts *facts, struct kms_report *report)
{
  char mend[MEND_MAX];

  snprintf (mend, sizeof mend, "az keyvault key set-attributes --enabled true --id %s", facts->id);
  if (facts->enabled)
    kms_report_add (report, KMS_PASS, "enabled", NULL, "version %s", facts->version);
  else
    kms_report_add (report, KMS_FAIL, "enabled", mend,
                    "version %s is disabled, so that what it wrapped can't be unwrapped",
                    facts->version);
}

static void
inspect_type (const struct azure_key_facts *facts, struct kms_report *report)
{
  const char *algorithm = azure_key_algorithm (facts->type);

  if (!algorithm)
    kms_report_add (report, KMS_FAIL, "type and size",
                    "make an RSA key (az keyvault key create --kty RSA --size 3072)",
                    "%s keys can't wrap", facts->type);
  else if (facts->bits > 0 && facts->bits < 2048)
    kms_report_add (report, KMS_FAIL, "type and size", "make a key of 2048 bits or more",
                    "%s, %u bits", facts->type, facts->bits);
  else if (facts->bits > 0)
    kms_report_add (report, KMS_PASS, "type and size", NULL, "%s, %u bits: %s", facts->type,
                    facts->bits, algorithm);
  else
    kms_report_add (report, KMS_PASS, "type and size", NULL, "%s: %s", facts->type, algorithm);
}

static void
inspect_operations (const struct azure_key_facts *facts, struct kms_report *report)
{
  char mend[MEND_MAX];

  snprintf (mend, sizeof mend, "az keyvault key set-attributes --ops wrapKey unwrapKey --id %s",
            facts->id);
  if (facts->can_wrap && facts->can_unwrap)
    kms_report_add (report, KMS_PASS, "key operations", NULL, "wrapKey and unwrapKey");
  else
    kms_report_add (report, KMS_FAIL, "key operations", mend, "the key's own list lacks %s%s%s",
                    facts->can_wrap ? "" : "wrapKey",
                    facts->can_wrap || facts->can_unwrap ? "" : " and ",
                    facts->can_unwrap ? "" : "unwrapKey");
}

static void
inspect_dates (const struct azure_key_facts *facts, int64_t now_s, struct kms_report *report)
{
  char when[FORMAT_TIME_MAX], mend[MEND_MAX];

  snprintf (mend, sizeof mend,
            "wait, or move it: az keyvault key set-attributes --not-before DATE --id %s",
            facts->id);
  format_time (facts->not_before_s, when);
  if (facts->not_before_s > now_s)
    kms_report_add (report, KMS_FAIL, "activation date", mend, "%s", when);
  else
    kms_report_add (report, KMS_PASS, "activation date", NULL, "%s",
                    facts->not_before_s ? when : "none");
  format_time (facts->expires_s, when);
  if (facts->expires_s == 0)
    kms_report_add (report, KMS_PASS, "expiry date", NULL, "none");
  else if (facts->expires_s <= now_s)
    kms_report_add (report, KMS_FAIL, "expiry date",
                    "rotate the key for new volumes (those that have a wrap by it still open)",
                    "%s: it can't wrap any more", when);
  else if (facts->expires_s - now_s < (int64_t)EXPIRY_WARN_DAYS * DAY_S)
    kms_report_add (report, KMS_WARN, "expiry date", "rotate the key before, for new volumes",
                    "%s, in less than %d days", when, EXPIRY_WARN_DAYS);
  else
    kms_report_add (report, KMS_PASS, "expiry date", NULL, "%s", when);
}

/* The levels are those of "Azure Key Vault soft-delete overview". */
static void
inspect_recovery (const struct azure_key_facts *facts, struct kms_report *report)
{
  const char *level = facts->recovery_level;

  if (!*level)
    return;
  if (strcmp (level, "Purgeable") == 0)
    kms_report_add (report, KMS_FAIL, "soft delete",
                    "az keyvault update --enable-soft-delete true --name VAULT",
                    "a deleted key is lost at once (%s)", level);
  else if (facts->recoverable_days > 0 && facts->recoverable_days < RECOVERABLE_DAYS)
    kms_report_add (report, KMS_WARN, "soft delete",
                    "make a vault with 90 days, as Azure's own services ask for: they can't be "
                    "changed later",
                    "a deleted key can be recovered for %d days (%s)", (int)facts->recoverable_days,
                    level);
  else
    kms_report_add (report, KMS_PASS, "soft delete", NULL, "a deleted key can be recovered (%s)",
                    level);
  if (strstr (level, "Purgeable"))
    kms_report_add (report, KMS_WARN, "purge protection",
                    "az keyvault update --enable-purge-protection true --name VAULT",
                    "off: who may purge can destroy the key, and every volume with it, for good");
  else
    kms_report_add (report, KMS_PASS, "purge protection", NULL, "on");
}

void
azure_inspect_facts (const struct azure_key_facts *facts, int64_t now_s, struct kms_report *report)
{
  inspect_enabled (facts, report);
  inspect_type (facts, report);
  inspect_operations (facts, report);
  inspect_dates (facts, now_s, report);
  inspect_recovery (facts, report);
}

static bool
is_same_region (const char *a, const char *b)
{
  for (;;) {
    while (*a == ' ' || *a == '-')
      a++;
    while (*b == ' ' || *b == '-')
      b++;
    if (tolower ((unsigned char)*a) != tolower ((unsigned char)*b))
      return false;
    if (*a == '\0')
      return true;
    a++;
    b++;
  }
}

void
azure_inspect_region (const char *found, const char *wanted, const char *whose,
                      struct kms_report *report)
{
  if (!*found)
    kms_report_add (report, wanted ? KMS_WARN : KMS_PASS, "region", NULL,
                    "the service does not tell");
  else if (!wanted)
    kms_report_add (report, KMS_PASS, "region", NULL, "%s (give --region to have it compared)",
                    found);
  else if (is_same_region (found, wanted))
    kms_report_add (report, KMS_PASS, "region", NULL, "%s, as %s", found, whose);
  else
    kms_report_add (
        report, KMS_WARN, "region",
        "use a key in the region of the data, or accept that an outage of either stops it",
        "%s, where %s is %s", found, whose, wanted);
}
