/* What has happened lately: the last state changes and key operations, counts, and how long checks
 * took.  For status, metrics and the terminal view; the audit log keeps everything.
 *
 * No locks inside: keymon holds its own.
 */
#ifndef NBD_PLUGIN_HISTORY_H
#define NBD_PLUGIN_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "common/json.h"
#include "kms/outcome.h"
#include "nbd-plugin/tell.h"

#define HISTORY_CHANGES 32
#define HISTORY_OPERATIONS 16
#define HISTORY_BUCKETS 11

struct history {
  struct tell_change changes[HISTORY_CHANGES]; /* a ring; so is the next */
  struct tell_operation operations[HISTORY_OPERATIONS];
  uint64_t change_count, operation_count; /* ever */
  uint64_t fences;
  uint64_t classes[KMS_CLASS_COUNT]; /* of operations that asked for access */
  uint64_t buckets[HISTORY_BUCKETS]; /* of checks and unwraps, not cumulative */
  uint64_t timed;
  double timed_s;
};

void history_change (struct history *history, const struct tell_change *change);
void history_operation (struct history *history, const struct tell_operation *operation);

/* Adds "check_latency", "transitions" and "key_operations" to an object. */
void history_report (const struct history *history, struct json *json);

#endif
