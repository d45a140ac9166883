/* What the agent can be asked, made of a provider's few calls.
 *
 * Each operation returns 0 with class KMS_OK, or -1 with *outcome saying why; outputs are untouched
 * on failure.  outcome->duration_ms is filled in either way.  request->timeout_ms is for the whole
 * operation.  unwrap, generate and wrap have the volume key in memory, so the agent runs them in a
 * child.
 */
#ifndef KMS_OPERATIONS_H
#define KMS_OPERATIONS_H

#include "common/cleanup.h"
#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/outcome.h"
#include "kms/provider.h"
#include "kms/report.h"

/* The volume key of `wrap`; request->key is the wrap's. */
int operation_unwrap (const struct kms_request *request, const struct wrap *wrap,
                      struct secret *ret_volume_key, struct kms_outcome *outcome) MUST_CHECK;

/* Unwraps the probe and compares its digest: access to the key, proven without the volume key. */
int operation_check (const struct kms_request *request, const struct wrap *wrap,
                     struct kms_outcome *outcome) MUST_CHECK;

/* When the key of `wrap` expires: 1 … KMS_EXPIRY_MAX, or 0 when it never does. */
int operation_expiry (const struct kms_request *request, const struct wrap *wrap,
                      int64_t *ret_expires_unix_s, struct kms_outcome *outcome) MUST_CHECK;

/* A new volume key and its wrap, or the wrap of an existing one, with probe, digest and the time
 * of now; id and role are left 0.  Wrap and probe have been opened again before they are returned.
 * A key that is not there is KMS_CONFIG here (kms_outcome_of_first_use).
 */
int operation_generate (const struct kms_request *request, struct secret *ret_volume_key,
                        struct wrap *ret_wrap, struct kms_outcome *outcome) MUST_CHECK;
int operation_wrap (const struct kms_request *request, const struct secret *volume_key,
                    struct wrap *ret_wrap, struct kms_outcome *outcome) MUST_CHECK;

/* The report on a key; with a wrap (else NULL) of request->volume by that key, its probe is
 * unwrapped for it.  -1 only when the key's name is no provider's.
 */
int operation_inspect (const struct kms_request *request, const struct wrap *wrap,
                       struct kms_report *ret_report, struct kms_outcome *outcome) MUST_CHECK;

#endif
