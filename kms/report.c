/* report.c owns the forming of a report's lines. */
#include "kms/report.h"

#include <stdarg.h>
#include <string.h>

#include "common/text.h"
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
  text_print (line->name, sizeof line->name, "%s", name);
  text_print (line->mend, sizeof line->mend, "%s", mend ? mend : "");
  va_start (args, fmt);
  text_vprint (line->detail, sizeof line->detail, fmt, args);
  va_end (args);
  kms_text_clean (line->name);
  kms_text_clean (line->mend);
  kms_text_clean (line->detail);
}

void
kms_report_add_outcome (struct kms_report *report, enum kms_verdict verdict, const char *name,
                        const char *mend, const struct kms_outcome *outcome)
{
  char text[sizeof outcome->text];
  struct kms_report_line *line;
  char *advice = NULL;

  if (report->count >= KMS_REPORT_MAX)
    return;
  memcpy (text, outcome->text, sizeof text);
  for (char *p = text; (p = strstr (p, "; ")); p++)
    advice = p;
  if (advice) {
    *advice = '\0';
    advice += 2;
  }
  line = &report->lines[report->count];
  kms_report_add (report, verdict, name, mend ? mend : advice, "%s", text);
  line->denied = verdict == KMS_FAIL && outcome->class == KMS_DENIED;
  memcpy (line->request_id, outcome->request_id, sizeof line->request_id);
}

void
kms_report_add_probe (struct kms_report *report, const char *volume,
                      const struct kms_outcome *outcome)
{
  if (outcome->class == KMS_OK)
    kms_report_add (report, KMS_PASS, KMS_RIGHT_TO_UNWRAP, NULL,
                    "the probe of the volume %s was unwrapped", volume);
  else
    kms_report_add_outcome (report, KMS_FAIL, KMS_RIGHT_TO_UNWRAP, NULL, outcome);
}

void
kms_report_add_late (struct kms_report *report, enum kms_verdict verdict, const char *name)
{
  kms_report_add (report, verdict, name, "find out why what was asked before takes so long",
                  "not tried: the time for this report was used up");
}

const char *
kms_verdict_name (enum kms_verdict verdict)
{
  static const char *const names[] = {
      [KMS_PASS] = "pass", [KMS_WARN] = "warn", [KMS_FAIL] = "fail"};

  return names[verdict];
}
