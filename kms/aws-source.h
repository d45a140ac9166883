/* The places where AWS credentials may be: one function each.
 *
 * Each returns 1 with *ret filled in (it is empty before), 0 when nothing is configured there, or
 * -1 with *outcome when something is, and it doesn't work.
 */
#ifndef KMS_AWS_SOURCE_H
#define KMS_AWS_SOURCE_H

#include "kms/aws-credentials.h"

/* What was looked for, in the order of aws-credentials.c; %s is the profile. */
#define AWS_NONE_FOUND                                                                      \
  "there are no AWS credentials; looked for, in this order: (1) AWS_ACCESS_KEY_ID and "     \
  "AWS_SECRET_ACCESS_KEY, (2) role_arn of the profile \"%.60s\", (3) "                      \
  "AWS_WEB_IDENTITY_TOKEN_FILE, "                                                           \
  "(4) the profile's keys and credential_process in ~/.aws/config and ~/.aws/credentials, " \
  "(5) AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, "

typedef int aws_source_get (struct aws_context *context, const char *profile,
                            struct aws_credentials *ret, struct kms_outcome *outcome);

/* Of the environment; `profile` is not used. */
aws_source_get aws_source_environment;
aws_source_get aws_source_web_identity_environment;
aws_source_get aws_source_container;
aws_source_get aws_source_instance;

/* Of a profile. */
aws_source_get aws_source_assume_role; /* role_arn with source_profile or credential_source */
aws_source_get aws_source_web_identity_profile;
aws_source_get aws_source_sso; /* refused, with words */
aws_source_get aws_source_credentials_file;
aws_source_get aws_source_process;
aws_source_get aws_source_config_file;

/* All that a profile may have, in AWS' order; `skip_roles`: but role_arn. */
int aws_source_profile (struct aws_context *context, const char *profile, bool skip_roles,
                        struct aws_credentials *ret, struct kms_outcome *outcome) MUST_CHECK;

/* Fills in *ret from texts; `token` may be empty.  -1: missing, or not what credentials look like.
 */
int aws_credentials_set (struct aws_credentials *ret, const char *access_key,
                         struct secret *secret_key, struct secret *token) MUST_CHECK;

/* Out of the JSON of credential processes, containers and instances; `token_name` is "SessionToken"
 * or "Token".  Returns 0, or -1 with *outcome (`what` is where it came from).
 */
int aws_credentials_parse (const char *text, size_t size, const char *token_name, const char *what,
                           struct aws_credentials *ret, struct kms_outcome *outcome) MUST_CHECK;

/* The metadata service of the instance: GETs a path below /latest/ with a session token (IMDSv2).
 * 0 or -1 with *outcome; a status that is not 200 is left to the caller.
 */
int aws_metadata_get (struct aws_context *context, const char *path, struct http_answer *ret,
                      struct kms_outcome *outcome) MUST_CHECK;

#endif
