/* report.c owns the forming of a report's lines. */
#include "kms/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "kms/outcome.h"

void
kms_report_add (struct kms_report *report, enum kms_verdict verdict, const char *name,
                const char *mend, const char *fmt, ...)
{
  struct kms_report_line *line;
  va_list args;

  if (report->count >= KMS_REPORT_MAX)
    return;
  line = &report->lines[report->count++];
  line->verdict = verdict;
  snprintf (line->name, sizeof line->name, "%s", name);
  snprintf (line->mend, sizeof line->mend, "%s", mend ? mend : "");
  va_start (args, fmt);
  vsnprintf (line->detail, sizeof line->detail, fmt, args);
  va_end (args);
  kms_text_clean (line->name);
  kms_text_clean (line->mend);
  kms_text_clean (line->detail);
}

const char *
kms_verdict_name (enum kms_verdict verdict)
{
  static const char *const names[] = {
      [KMS_PASS] = "pass", [KMS_WARN] = "warn", [KMS_FAIL] = "fail"};

  return names[verdict];
}
