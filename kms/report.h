/* The lines of `keyfence check KEY`: one requirement each, with how to mend it. */
#ifndef KMS_REPORT_H
#define KMS_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "kms/outcome.h"

enum kms_verdict { KMS_PASS, KMS_WARN, KMS_FAIL };

#define KMS_REPORT_MAX 24

struct kms_report_line {
  enum kms_verdict verdict;
  char name[40];        /* "reachable", "right to unwrap" … */
  bool denied;          /* it failed because the key's owner said no */
  char detail[640];     /* what was found */
  char mend[320];       /* what to do; empty when it passed */
  char request_id[128]; /* of the request that found it, where it did not pass; or empty */
};

struct kms_report {
  size_t count;
  struct kms_report_line lines[KMS_REPORT_MAX];
};

/* What to do about a right to wrap that is denied, for all key services. */
#define KMS_MEND_WRAP                                                                          \
  "grant it (keyfence policy KEY says how); an identity that only runs volumes is checked by " \
  "--run-only, one that may use the key for one volume by --volume"

/* Appends a line (dropped when the report is full), its texts fitted and cleaned as an outcome's
 * are; `mend` may be NULL.
 */
void
kms_report_add (struct kms_report *report, enum kms_verdict verdict, const char *name,
                const char *mend, const char *fmt, ...) __attribute__ ((format (printf, 5, 6)));

/* The line for an outcome that is not KMS_OK, with what its text says behind the last semicolon as
 * what to do, or `mend` where that is not NULL.
 */
void kms_report_add_outcome (struct kms_report *report, enum kms_verdict verdict, const char *name,
                             const char *mend, const struct kms_outcome *outcome);

/* The line on the right to unwrap, by what came of unwrapping the probe of a volume that exists. */
void kms_report_add_probe (struct kms_report *report, const char *volume,
                           const struct kms_outcome *outcome);

/* The line for what a report had no time to ask. */
void kms_report_add_late (struct kms_report *report, enum kms_verdict verdict, const char *name);

#define KMS_RIGHT_TO_UNWRAP "right to unwrap"

/* "pass", "warn", "fail". */
const char *kms_verdict_name (enum kms_verdict verdict);

#endif
