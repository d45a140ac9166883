/* outcome-error.c owns what an outcome is as an error, for programs. */
#include <string.h>

#include "kms/client.h"

/* A request that can't be right is the caller's mistake, but for a key that is not there. */
static enum error_class
class_of (const struct kms_outcome *outcome)
{
  static const enum error_class classes[KMS_CLASS_COUNT] = {
      [KMS_OK] = ERROR_NONE,
      [KMS_DENIED] = ERROR_DENIED,
      [KMS_OUTAGE] = ERROR_UNAVAILABLE,
      [KMS_CREDENTIALS] = ERROR_UNAVAILABLE,
      [KMS_CLOCK] = ERROR_UNAVAILABLE,
      [KMS_CORRUPT] = ERROR_CORRUPT,
      [KMS_CONFIG] = ERROR_USAGE,
  };

  if (outcome->class == KMS_CONFIG && strcmp (outcome->reason, "not_found") == 0)
    return ERROR_NOT_FOUND;
  return classes[outcome->class];
}

int
kms_outcome_error (const struct kms_outcome *outcome, struct error *err)
{
  if (outcome->class == KMS_OK)
    return 0;
  if (outcome->request_id[0] == '\0')
    return error_set (err, class_of (outcome), "%s", outcome->text);
  return error_set (err, class_of (outcome), "%s (request id %s)", outcome->text,
                    outcome->request_id);
}
