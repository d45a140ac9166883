/* The lines of `keyfence check KEY`: one requirement each, with how to mend it. */
#ifndef KMS_REPORT_H
#define KMS_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "kms/outcome.h"

enum kms_verdict { KMS_PASS, KMS_WARN, KMS_FAIL };

#define KMS_REPORT_MAX 32

struct kms_report_line {
  enum kms_verdict verdict;
  char name[40];    /* "reachable", "right to unwrap" … */
  bool denied;      /* it failed because the key's owner said no */
  char detail[400]; /* what was found */
  char mend[256];   /* what to do; empty when it passed */
};

struct kms_report {
  size_t count;
  struct kms_report_line lines[KMS_REPORT_MAX];
};

/* Appends a line (dropped when the report is full), its texts cleaned as an outcome's are; `mend`
 * may be NULL.
 */
void
kms_report_add (struct kms_report *report, enum kms_verdict verdict, const char *name,
                const char *mend, const char *fmt, ...) __attribute__ ((format (printf, 5, 6)));

/* The line for an outcome that is not KMS_OK: KMS_FAIL, with what its text says behind the last
 * semicolon as what to do.
 */
void kms_report_add_outcome (struct kms_report *report, const char *name,
                             const struct kms_outcome *outcome);

/* "pass", "warn", "fail". */
const char *kms_verdict_name (enum kms_verdict verdict);

#endif
