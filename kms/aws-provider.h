/* Between provider-aws.c and aws-inspect.c: a key with its settings, and single operations on it.
 */
#ifndef KMS_AWS_PROVIDER_H
#define KMS_AWS_PROVIDER_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/aws-context.h"
#include "kms/outcome.h"
#include "kms/provider.h"

struct aws_session {
  struct aws_key key;
  struct aws_context context;
  const char *grant_file; /* or NULL */
};

/* All return 0, or -1 with *outcome. */
int aws_session_open (struct aws_session *session, const struct kms_request *request,
                      struct kms_outcome *outcome) MUST_CHECK;
void aws_session_close (struct aws_session *session);
#define CLEANUP_AWS_SESSION CLEANUP (aws_session_close)

/* `algorithm` is AWS_SYMMETRIC or AWS_RSA_OAEP (kms/aws-kms.h); only the first binds to `volume`.
 */
int aws_encrypt (struct aws_session *session, const char *volume, const struct secret *plain,
                 const char *algorithm, struct kms_wrapped *ret, struct kms_outcome *outcome)
    MUST_CHECK;
int aws_decrypt (struct aws_session *session, const char *volume, const char *algorithm,
                 const struct wrap_blob *blob, struct secret *ret_plain,
                 char ret_version[WRAP_VERSION_MAX], struct kms_outcome *outcome) MUST_CHECK;
/* 64 bytes; symmetric keys only. */
int
aws_generate_data_key (struct aws_session *session, const char *volume, struct secret *ret_plain,
                       struct kms_wrapped *ret, struct kms_outcome *outcome) MUST_CHECK;

/* Whether an error is what an asymmetric key says to a request for a symmetric one. */
bool aws_may_be_rsa (const struct kms_outcome *outcome);

#endif
