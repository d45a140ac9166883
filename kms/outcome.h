/* What came of asking a key service: the class that the fence acts on, and words for people. */
#ifndef KMS_OUTCOME_H
#define KMS_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum kms_class {
  KMS_OK,
  KMS_DENIED,      /* the owner said no: disabled, deleted, not found, right revoked */
  KMS_OUTAGE,      /* no answer that means anything: time-out, connection, throttling, 5xx */
  KMS_CREDENTIALS, /* ours are missing, expired or unreadable */
  KMS_CLOCK,       /* the clocks differ too much */
  KMS_CORRUPT,     /* it answered, and what came out is not what was wrapped */
  KMS_CONFIG,      /* the request itself can't be right: no such kind of key, malformed name */
};
#define KMS_CLASS_COUNT 7

struct kms_outcome {
  enum kms_class class;
  char reason[40];      /* one short word for machines: "not_found", "wrong_key", "timeout" … */
  char text[400];       /* one or two sentences: what, and what to do; no secrets */
  char request_id[128]; /* the provider's, or empty */
  uint32_t duration_ms;
};

/* "ok", "denied", "outage" … */
const char *kms_class_name (enum kms_class class);
bool kms_class_from_name (const char *name, enum kms_class *ret);

/* Fills in class, reason and text, the text made fit for logs and JSON by kms_text_clean (request
 * id and duration are left).  Returns 0 for KMS_OK, else -1.
 */
int kms_outcome_set (struct kms_outcome *outcome, enum kms_class class, const char *reason,
                     const char *fmt, ...) __attribute__ ((format (printf, 4, 5)));

/* Puts "?" for every byte that is a control character or not part of valid UTF-8: file names and
 * answers of services end up in logs, terminals and JSON.  Returns whether nothing had to change.
 */
bool kms_text_clean (char *text);

#endif
