/* outcome.c owns the names of the outcome classes, the forming of outcome texts, and which reasons
 * permit failing over.
 */
#include "kms/outcome.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

static const char *const class_names[KMS_CLASS_COUNT] = {
    [KMS_OK] = "ok",         [KMS_DENIED] = "denied",
    [KMS_OUTAGE] = "outage", [KMS_CREDENTIALS] = "credentials",
    [KMS_CLOCK] = "clock",   [KMS_CORRUPT] = "corrupt",
    [KMS_CONFIG] = "config",
};

const char *kms_class_name (enum kms_class class)
{
  return class_names[class];
}

bool
kms_class_from_name (const char *name, enum kms_class *ret)
{
  for (int i = 0; i < KMS_CLASS_COUNT; i++) {
    if (strcmp (class_names[i], name) == 0) {
      *ret = (enum kms_class)i;
      return true;
    }
  }
  return false;
}

bool
kms_outcome_may_fail_over (const struct kms_outcome *outcome)
{
  static const char *const reasons[] = {
      "connect",       "timeout",   "broken",           "tls",        "dns",
      "service_error", "throttled", "identity_service", "read_error",
  };

  if (outcome->class != KMS_OUTAGE)
    return false;
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (strcmp (reasons[i], outcome->reason) == 0)
      return true;
  return false;
}

/* The well-formed UTF-8 sequences (Unicode Standard, table 3-7) but for the control characters. */
static const struct {
  unsigned char first_min, first_max, second_min, second_max;
  size_t length;
} utf8_sequences[] = {
    {0x20, 0x7e, 0, 0, 1},       {0xc2, 0xc2, 0xa0, 0xbf, 2}, {0xc3, 0xdf, 0x80, 0xbf, 2},
    {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
    {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
    {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* The length of the printable character at `p`, or 0.  A NUL ends every comparison in time. */
static size_t
character_length (const unsigned char *p)
{
  for (size_t i = 0; i < sizeof utf8_sequences / sizeof utf8_sequences[0]; i++) {
    size_t length = utf8_sequences[i].length;

    if (p[0] < utf8_sequences[i].first_min || p[0] > utf8_sequences[i].first_max)
      continue;
    if (length > 1 && (p[1] < utf8_sequences[i].second_min || p[1] > utf8_sequences[i].second_max))
      return 0;
    for (size_t j = 2; j < length; j++)
      if (p[j] < 0x80 || p[j] > 0xbf)
        return 0;
    return length;
  }
  return 0;
}

bool
kms_text_clean (char *text)
{
  bool clean = true;
  char *p = text;

  while (*p) {
    size_t length = character_length ((const unsigned char *)p);

    if (length == 0) {
      *p = '?';
      clean = false;
      length = 1;
    }
    p += length;
  }
  return clean;
}

int
kms_outcome_set (struct kms_outcome *outcome, enum kms_class class, const char *reason,
                 const char *fmt, ...)
{
  va_list args;

  outcome->class = class;
  snprintf (outcome->reason, sizeof outcome->reason, "%s", reason);
  va_start (args, fmt);
  text_vprint (outcome->text, sizeof outcome->text, fmt, args);
  va_end (args);
  kms_text_clean (outcome->text);
  return class == KMS_OK ? 0 : -1;
}

void
kms_outcome_of_first_use (struct kms_outcome *outcome)
{
  if (outcome->class == KMS_DENIED && strcmp (outcome->reason, "not_found") == 0)
    outcome->class = KMS_CONFIG;
}

void
kms_outcome_of_served_key (struct kms_outcome *outcome)
{
  static const char *const reasons[] = {"role_denied", "identity_gone"};

  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (outcome->class != KMS_OK && strcmp (outcome->reason, reasons[i]) == 0)
      outcome->class = KMS_DENIED;
}
