/* AWS STS: credentials for roles, and whose credentials these are. */
#ifndef KMS_AWS_STS_H
#define KMS_AWS_STS_H

#include "kms/aws-credentials.h"

struct aws_role {
  const char *arn;
  const char *session_name;          /* NULL: "keyfence" */
  const char *external_id;           /* NULL: none */
  const char *duration_s;            /* as text; NULL: the role's default */
  const struct secret *web_identity; /* a token, for aws_sts_web_identity */
};

/* Both return 0, or -1 with *outcome. */
int aws_sts_assume_role (struct aws_context *context, const struct aws_credentials *with,
                         const struct aws_role *role, struct aws_credentials *ret,
                         struct kms_outcome *outcome) MUST_CHECK;
int aws_sts_web_identity (struct aws_context *context, const struct aws_role *role,
                          struct aws_credentials *ret, struct kms_outcome *outcome) MUST_CHECK;

/* The ARN of who the credentials are; needs no permission. */
#define AWS_IDENTITY_MAX 256
int aws_sts_identity (struct aws_context *context, const struct aws_credentials *with,
                      char ret_arn[AWS_IDENTITY_MAX], int64_t *ret_skew_s,
                      struct kms_outcome *outcome) MUST_CHECK;

/* Credentials out of the XML of AssumeRole and AssumeRoleWithWebIdentity; -1: it is not whole, or
 * lacks something.
 */
int aws_sts_parse (const char *text, size_t size, struct aws_credentials *ret) MUST_CHECK;

#endif
