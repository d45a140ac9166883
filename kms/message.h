/* The packets between client and agent: one call, one reply, each one JSON object.
 *
 * Both sides take no more than what is written here: every member must be there, of its type and
 * within its limit, and no other.  A volume key is never part of a message: it travels as a raw
 * packet of its own, from the agent's child behind an "ok" reply (unwrap, generate), or to it
 * behind the call (wrap).  So does a notification with its URL, to the agent's child.
 */
#ifndef KMS_MESSAGE_H
#define KMS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/wrap.h"
#include "kms/outcome.h"
#include "kms/report.h"

/* Differs where a program and an agent of different versions can't understand each other. */
#define MESSAGE_PROTOCOL 2
#define MESSAGE_MAX 65536  /* bytes; the largest message, a full report, stays below */
#define MESSAGE_AGENT_FD 3 /* where the agent finds its socket */

enum kms_operation {
  KMS_OPERATION_UNWRAP,
  KMS_OPERATION_CHECK,
  KMS_OPERATION_EXPIRY,
  KMS_OPERATION_GENERATE,
  KMS_OPERATION_WRAP,
  KMS_OPERATION_INSPECT,
  KMS_OPERATION_INSPECT_WRAP, /* the same of a key with a wrap by it, whose probe is unwrapped */
  KMS_OPERATION_NOTIFY,       /* about no key at all */
};

/* What an operation's messages carry, and where it runs. */
struct operation_traits {
  const char *name;
  bool call_has_wrap;      /* else key */
  bool call_sends_key;     /* a raw packet follows the call: a volume key, … */
  bool call_sends_message; /* … or a notification (kms/notify.h); then the key's name is empty */
  bool reply_has_wrap;
  bool reply_sends_key; /* a raw packet follows an ok reply */
  bool reply_has_report;
  bool reply_has_expiry;
  bool in_child; /* has a volume key or a notification's URL in memory */
};

const struct operation_traits *operation_traits (enum kms_operation operation);

struct kms_call {
  enum kms_operation operation;
  uint32_t timeout_ms;    /* 1 or more */
  char key[WRAP_KEY_MAX]; /* of calls with a wrap: the wrap's */
  char volume[40];        /* a uuid; may be empty for inspect, is empty for notify */
  char region[64];        /* may be empty */
  bool fresh;             /* with credentials fetched anew: unwrap and check */
  bool run_only;          /* of calls whose reply has a report */
  struct wrap wrap;       /* without id and role */
};

struct kms_reply {
  struct kms_outcome outcome;
  struct wrap wrap; /* of an ok generate or wrap */
  struct kms_report report;
  int64_t expires_unix_s; /* of an ok expiry: 0 … KMS_EXPIRY_MAX */
};

/* New strings, or NULL when out of memory. */
char *message_print_call (const struct kms_call *call) MUST_CHECK;
char *message_print_reply (enum kms_operation operation, const struct kms_reply *reply) MUST_CHECK;

/* 0, or -1 for anything that the print functions do not make.  The outputs are large: not for small
 * stacks.
 */
int message_parse_call (const char *text, size_t size, struct kms_call *ret) MUST_CHECK;
int message_parse_reply (enum kms_operation operation, const char *text, size_t size,
                         struct kms_reply *ret) MUST_CHECK;

#endif
