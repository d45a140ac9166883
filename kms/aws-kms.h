/* One operation of AWS KMS: asked, retried where that may help, and judged. */
#ifndef KMS_AWS_KMS_H
#define KMS_AWS_KMS_H

#include <stdint.h>

#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/answer.h"
#include "kms/aws-context.h"
#include "kms/outcome.h"

/* The encryption context's only entry: what binds a wrap to its volume, and what key policies and
 * grants can ask for (kms:EncryptionContext:keyfence:volume).
 */
#define AWS_CONTEXT_NAME "keyfence:volume"

#define AWS_SYMMETRIC "SYMMETRIC_DEFAULT"
#define AWS_RSA_OAEP "RSAES_OAEP_SHA_256"

/* What is not needed stays NULL or 0. */
struct aws_kms_request {
  const char *operation;  /* "Decrypt" */
  const char *key;        /* ARN */
  const char *volume;     /* the encryption context's value */
  const char *algorithm;  /* EncryptionAlgorithm */
  const char *grant_file; /* with grant tokens, one a line; may be missing */
  const struct secret *plain;
  const struct wrap_blob *blob;
  unsigned number_of_bytes;
};

struct aws_kms_answer {
  struct http_answer http;
  struct answer json; /* of its body */
  int64_t skew_s;     /* of the clocks; 0 when not known */
};

/* Returns 0 with a whole JSON object, or -1 with *outcome; both with the request id and, in *ret,
 * the skew.  Credentials are renewed once where the error says so; tries are spread with jitter and
 * end with the context's deadline.
 */
int aws_kms_call (struct aws_context *context, const struct aws_kms_request *request,
                  struct aws_kms_answer *ret, struct kms_outcome *outcome) MUST_CHECK;

void aws_kms_answer_clear (struct aws_kms_answer *answer);
#define CLEANUP_AWS_KMS_ANSWER CLEANUP (aws_kms_answer_clear)

/* Returns -1 with an outage: 200, and not what the operation answers. */
int aws_kms_bad_answer (const struct aws_kms_request *request, struct kms_outcome *outcome);

#endif
