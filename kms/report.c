/* report.c owns the forming of a report's lines. */
#include "kms/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
  *line = (struct kms_report_line){.verdict = verdict};
  snprintf (line->name, sizeof line->name, "%s", name);
  snprintf (line->mend, sizeof line->mend, "%s", mend ? mend : "");
  va_start (args, fmt);
  vsnprintf (line->detail, sizeof line->detail, fmt, args);
  va_end (args);
  kms_text_clean (line->name);
  kms_text_clean (line->mend);
  kms_text_clean (line->detail);
}

void
kms_report_add_outcome (struct kms_report *report, const char *name,
                        const struct kms_outcome *outcome)
{
  char text[sizeof outcome->text];
  char *mend = NULL;

  if (report->count >= KMS_REPORT_MAX)
    return;
  memcpy (text, outcome->text, sizeof text);
  for (char *p = text; (p = strstr (p, "; ")); p++)
    mend = p;
  if (mend) {
    *mend = '\0';
    mend += 2;
  }
  kms_report_add (report, KMS_FAIL, name, mend, "%s", text);
  report->lines[report->count - 1].denied = outcome->class == KMS_DENIED;
}

const char *
kms_verdict_name (enum kms_verdict verdict)
{
  static const char *const names[] = {
      [KMS_PASS] = "pass", [KMS_WARN] = "warn", [KMS_FAIL] = "fail"};

  return names[verdict];
}
