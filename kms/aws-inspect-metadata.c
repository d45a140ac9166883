/* aws-inspect-metadata.c owns the lines of a report that come from what KMS says of a key. */
#include "kms/aws-inspect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "common/parse.h"
#include "kms/aws-kms.h"

#define SOON_S (30 * 24 * 3600)

static void
string_of (const struct answer *answer, const char *path, char *ret, size_t max)
{
  if (answer_string (answer, path, ret, max) < 0)
    ret[0] = '\0';
}

/* A date as people read it, or "an unknown date". */
static void
date_of (const struct answer *answer, const char *path, char ret[FORMAT_TIME_MAX])
{
  int64_t seconds;

  if (answer_int64 (answer, path, &seconds) == 0)
    format_time (seconds, ret);
  else
    snprintf (ret, FORMAT_TIME_MAX, "an unknown date");
}

/* ---- is it there, and on ---- */

static const struct {
  const char *state, *found, *mend;
} bad_states[] = {
    {"Disabled", "it is disabled", "enable it: aws kms enable-key --key-id ARN"},
    {"PendingDeletion", "it will be deleted",
     "aws kms cancel-key-deletion --key-id ARN, then aws kms enable-key --key-id ARN"},
    {"PendingReplicaDeletion", "it will be deleted when its replicas are",
     "aws kms cancel-key-deletion --key-id ARN, then aws kms enable-key --key-id ARN"},
    {"PendingImport", "it has no key material",
     "import its key material again (aws kms import-key-material)"},
    {"Unavailable", "its custom key store is disconnected",
     "aws kms connect-custom-key-store --custom-key-store-id ID"},
    {"Creating", "it is still being made", "wait a minute, and check again"},
};

static void
inspect_state (const struct answer *metadata, struct kms_report *report)
{
  char state[40];
  bool enabled = false;

  string_of (metadata, "KeyMetadata/KeyState", state, sizeof state);
  if (answer_bool (metadata, "KeyMetadata/Enabled", &enabled) < 0)
    enabled = strcmp (state, "Enabled") == 0;
  for (size_t i = 0; i < ARRAY_SIZE (bad_states); i++)
    if (strcmp (bad_states[i].state, state) == 0) {
      kms_report_add (report, KMS_FAIL, "enabled", bad_states[i].mend, "%s (state %s)",
                      bad_states[i].found, state);
      return;
    }
  if (enabled)
    kms_report_add (report, KMS_PASS, "enabled", NULL, "state %.40s", state[0] ? state : "Enabled");
  else
    kms_report_add (report, KMS_FAIL, "enabled", "look at the key in the AWS console",
                    "it is in the state \"%.40s\"", state);
}

static void
inspect_deletion (const struct answer *metadata, struct kms_report *report)
{
  char date[FORMAT_TIME_MAX];

  if (!answer_has (metadata, "KeyMetadata/DeletionDate")) {
    kms_report_add (report, KMS_PASS, "deletion", NULL,
                    "none is scheduled; KMS waits 7 to 30 days before it deletes a key");
    return;
  }
  date_of (metadata, "KeyMetadata/DeletionDate", date);
  kms_report_add (report, KMS_FAIL, "deletion",
                  "before that date: aws kms cancel-key-deletion --key-id ARN",
                  "on %s it is deleted, and what it wrapped is lost for ever", date);
}

/* ---- what kind ---- */

static const char *
algorithm_of (const struct answer *metadata, const char *spec)
{
  if (strcmp (spec, AWS_SYMMETRIC) == 0)
    return AWS_SYMMETRIC;
  if (strncmp (spec, "RSA_", 4) == 0
      && answer_array_has (metadata, "KeyMetadata/EncryptionAlgorithms", AWS_RSA_OAEP))
    return AWS_RSA_OAEP;
  return NULL;
}

static const char *
inspect_kind (const struct answer *metadata, struct kms_report *report)
{
  char usage[40], spec[40];
  const char *algorithm;

  string_of (metadata, "KeyMetadata/KeyUsage", usage, sizeof usage);
  string_of (metadata, "KeyMetadata/KeySpec", spec, sizeof spec);
  if (spec[0] == '\0')
    string_of (metadata, "KeyMetadata/CustomerMasterKeySpec", spec, sizeof spec);
  algorithm = algorithm_of (metadata, spec);
  if (strcmp (usage, "ENCRYPT_DECRYPT") == 0)
    kms_report_add (report, KMS_PASS, "usage", NULL, "%s", usage);
  else
    kms_report_add (report, KMS_FAIL, "usage", "make a key with the usage ENCRYPT_DECRYPT",
                    "it is for %.40s", usage);
  if (!algorithm)
    kms_report_add (report, KMS_FAIL, "type and size",
                    "make a symmetric key (SYMMETRIC_DEFAULT), or an RSA key for encryption",
                    "%.40s can't wrap a volume key", spec);
  else if (strcmp (algorithm, AWS_RSA_OAEP) == 0)
    kms_report_add (report, KMS_WARN, "type and size",
                    "prefer a symmetric key, which binds each wrap to its volume",
                    "%.40s: wraps are not bound to a volume by KMS", spec);
  else
    kms_report_add (report, KMS_PASS, "type and size", NULL, "%.40s (AES-256)", spec);
  return algorithm;
}

/* ---- whose, and until when ---- */

static void
inspect_validity (const struct answer *metadata, struct kms_report *report)
{
  char date[FORMAT_TIME_MAX];
  int64_t until_s = 0, now_s = (int64_t)time (NULL);

  if (answer_int64 (metadata, "KeyMetadata/ValidTo", &until_s) < 0) {
    kms_report_add (report, KMS_PASS, "expiry", NULL, "its key material does not expire");
    return;
  }
  date_of (metadata, "KeyMetadata/ValidTo", date);
  kms_report_add (
      report,
      until_s < now_s            ? KMS_FAIL
      : until_s < now_s + SOON_S ? KMS_WARN
                                 : KMS_PASS,
      "expiry",
      until_s < now_s + SOON_S ? "import the same key material with a later date, or none" : NULL,
      "its imported key material %s on %s", until_s < now_s ? "expired" : "expires", date);
}

static void
inspect_owner (const struct answer *metadata, struct kms_report *report)
{
  char manager[20], origin[40];

  string_of (metadata, "KeyMetadata/KeyManager", manager, sizeof manager);
  string_of (metadata, "KeyMetadata/Origin", origin, sizeof origin);
  if (strcmp (manager, "AWS") == 0)
    kms_report_add (report, KMS_WARN, "owner", "use a key of your own",
                    "AWS manages it: you can neither revoke it nor change its policy");
  else
    kms_report_add (report, KMS_PASS, "owner", NULL, "a customer's key, origin %.40s",
                    origin[0] ? origin : "not told");
}

static void
inspect_regions (const struct answer *metadata, struct kms_report *report)
{
  char type[20];
  bool multi = false;

  if (answer_bool (metadata, "KeyMetadata/MultiRegion", &multi) < 0 || !multi) {
    kms_report_add (report, KMS_PASS, "multi-Region", NULL, "no: no other key opens its wraps");
    return;
  }
  string_of (metadata, "KeyMetadata/MultiRegionConfiguration/MultiRegionKeyType", type,
             sizeof type);
  kms_report_add (report, KMS_WARN, "multi-Region",
                  "to revoke, disable it in every region that has it: disabling one leaves the "
                  "others on",
                  "yes (%.20s): each of its replicas opens its wraps", type);
}

const char *
aws_inspect_metadata (const struct answer *metadata, struct kms_report *report)
{
  const char *algorithm;

  inspect_state (metadata, report);
  inspect_deletion (metadata, report);
  algorithm = inspect_kind (metadata, report);
  inspect_validity (metadata, report);
  inspect_owner (metadata, report);
  inspect_regions (metadata, report);
  return algorithm;
}

void
aws_inspect_rotation (const struct answer *rotation, struct kms_report *report)
{
  char next[FORMAT_TIME_MAX];
  bool enabled = false;
  int64_t days = 365;

  if (answer_bool (rotation, "KeyRotationEnabled", &enabled) < 0 || !enabled) {
    kms_report_add (report, KMS_WARN, "rotation",
                    "aws kms enable-key-rotation --key-id ARN (older wraps stay good)",
                    "it is not rotated automatically");
    return;
  }
  if (answer_int64 (rotation, "RotationPeriodInDays", &days) < 0)
    days = 365;
  if (answer_has (rotation, "NextRotationDate")) {
    date_of (rotation, "NextRotationDate", next);
    kms_report_add (report, KMS_PASS, "rotation", NULL, "every %d days, next on %s", (int)days,
                    next);
  }
  else
    kms_report_add (report, KMS_PASS, "rotation", NULL, "every %d days", (int)days);
}
