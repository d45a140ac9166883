/* The lines of `keyfence check KEY`: one requirement each, with how to mend it. */
#ifndef KMS_REPORT_H
#define KMS_REPORT_H

#include <stddef.h>

enum kms_verdict { KMS_PASS, KMS_WARN, KMS_FAIL };

#define KMS_REPORT_MAX 32

struct kms_report_line {
  enum kms_verdict verdict;
  char name[40];    /* "reachable", "right to unwrap" … */
  char detail[256]; /* what was found */
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

/* "pass", "warn", "fail". */
const char *kms_verdict_name (enum kms_verdict verdict);

#endif
