/* One key service behind one table of functions; used inside the agent only.
 *
 * Every function returns 0 with class KMS_OK, or -1 with *outcome saying why; it must be back
 * within request->timeout_ms.  Outputs are untouched on failure.
 */
#ifndef KMS_PROVIDER_H
#define KMS_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/outcome.h"
#include "kms/report.h"

struct kms_request {
  const char *key;    /* as the user named it */
  const char *volume; /* uuid: bound to the wrap where the service can */
  const char *region; /* for reports; NULL: not given */
  uint32_t timeout_ms;
  bool stored; /* the name comes from a header, not from a user: nothing in it may name files */
  /* With credentials fetched anew: unwrap and prepare forget first those that are kept.  Where no
   * new ones can be had, that is the outcome.
   */
  bool fresh;

  /* For inspect only. */
  bool run_only;                   /* what running a volume needs, and nothing else */
  const struct kms_outcome *probe; /* of unwrapping the probe of `volume`; NULL: there is none */
};

/* What wrapping made, besides the blob. */
struct kms_wrapped {
  char key[WRAP_KEY_MAX]; /* the name to store: pinned where the service has better than the user's
                           */
  char key_version[WRAP_VERSION_MAX];
  char algorithm[WRAP_ALGORITHM_MAX];
  struct wrap_blob blob;
};

struct kms_provider {
  const char *name;
  const char *form; /* how its keys are named, for messages */

  /* Whether a key of this name is this provider's, and (unless check_name says so) well formed. */
  bool (*owns) (const char *key);

  /* Optional: what is wrong with the name of a key that it owns; -1 with KMS_CONFIG. */
  int (*check_name) (const char *key, struct kms_outcome *outcome);

  int (*wrap) (const struct kms_request *request, const struct secret *plain,
               struct kms_wrapped *ret_wrapped, struct kms_outcome *outcome);

  /* `wrap` says key version and algorithm; `blob` is its wrapped or its probe. */
  int (*unwrap) (const struct kms_request *request, const struct wrap *wrap,
                 const struct wrap_blob *blob, size_t plain_size, struct secret *ret_plain,
                 struct kms_outcome *outcome);

  /* When the key (the version that made `wrap`) expires, as Unix time; 0: never.  NULL: keys of
   * this service never do.  It may need a right that nothing else needs.
   */
  int (*expiry) (const struct kms_request *request, const struct wrap *wrap,
                 int64_t *ret_expires_unix_s, struct kms_outcome *outcome);

  /* A new volume key with its wrap from the service (AWS GenerateDataKey); NULL: made here. */
  int (*generate) (const struct kms_request *request, struct secret *ret_volume_key,
                   struct kms_wrapped *ret_wrapped, struct kms_outcome *outcome);

  /* NULL where a child needs nothing.  In the agent, before it forks a child for an operation on
   * request->key: gets what the child will need from elsewhere (credentials), so that it is got
   * once and kept; *ret_fd is a handover (kms/handover.h), or stays -1.  The agent closes it.
   */
  int (*prepare) (const struct kms_request *request, int *ret_fd, struct kms_outcome *outcome);

  /* In the child, before anything else: takes what `prepare` handed over.  NULL with `prepare`. */
  void (*inherit) (const struct kms_request *request, int fd);

  /* Adds one line for each requirement that the key must meet; `volume` may be empty. */
  void (*inspect) (const struct kms_request *request, struct kms_report *report);
};

extern const struct kms_provider kms_provider_aws, kms_provider_azure, kms_provider_file;

/* All providers, ending in NULL. */
extern const struct kms_provider *const kms_providers[];

/* The provider of a key, or NULL with *outcome (KMS_CONFIG) listing the forms that are known. */
const struct kms_provider *kms_provider_for (const char *key, struct kms_outcome *outcome);

#endif
