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
  char text[640];       /* one or two sentences: what, and what to do; no secrets */
  char request_id[128]; /* the provider's, or empty */
  uint32_t duration_ms;
};

/* The largest expiry date of a key that is told, 9999-12-31; later ones are told as this one. */
#define KMS_EXPIRY_MAX 253402300799

/* Whether, by this outcome of the primary, a secondary wrap may be asked: only when the service
 * itself is known to be out, so for class KMS_OUTAGE with one of the reasons
 *
 *   connect, timeout, broken, tls, dns   it can't be reached
 *   service_error, throttled             it says that it can't serve
 *   identity_service                     what gives tokens for it says so
 *   read_error                           the disk that a file key lies on
 *
 * Whatever else there is, also what is new one day, does not permit it.  In particular:
 *
 *   nxdomain              a deleted vault's name is gone, too: it may be the owner's no
 *   agent_…, no_memory    our own side is at fault, which proves nothing about the service, and a
 *                         second service would be asked by the same agent
 *   unknown_error, bad_answer, unexpected_answer, too_large
 *                         an answer that is not understood may be a no
 *   tls_verify            somebody else answers in the service's place
 *   key_state, key_changed, external_key_store
 *                         the service is well; this key is not, by what its owner does with it
 */
bool kms_outcome_may_fail_over (const struct kms_outcome *outcome);

/* "ok", "denied", "outage" … */
const char *kms_class_name (enum kms_class class);
bool kms_class_from_name (const char *name, enum kms_class *ret);

/* Fills in class, reason and text, the text made to fit (common/text.h) and fit for logs and JSON
 * by kms_text_clean (request id and duration are left).  Returns 0 for KMS_OK, else -1.
 */
int kms_outcome_set (struct kms_outcome *outcome, enum kms_class class, const char *reason,
                     const char *fmt, ...) __attribute__ ((format (printf, 4, 5)));

/* For what is asked about a key by which nothing was ever wrapped: KMS_DENIED because there is no
 * such key becomes KMS_CONFIG (reason "not_found", too), since nobody took it away: its name is
 * wrong.
 */
void kms_outcome_of_first_use (struct kms_outcome *outcome);

/* For what is asked about a key that has unwrapped in the life of this process, which an agent that
 * was started since does not know: a role that is refused and an identity that is not there are
 * KMS_DENIED, since somebody took them away.
 */
void kms_outcome_of_served_key (struct kms_outcome *outcome);

/* Puts "?" for every byte that is a control character or not part of valid UTF-8: file names and
 * answers of services end up in logs, terminals and JSON.  Returns whether nothing had to change.
 */
bool kms_text_clean (char *text);

#endif
