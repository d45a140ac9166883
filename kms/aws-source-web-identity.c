/* aws-source-web-identity.c owns roles that are had for a token in a file (EKS' IRSA and others).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kms/aws-source.h"
#include "kms/aws-sts.h"
#include "kms/secret-text.h"
#include "kms/token-file.h"

static int
assume (struct aws_context *context, struct aws_role *role, const char *file,
        struct aws_credentials *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret token = {0};

  /* At each renewal: the kubelet replaces the file's content. */
  if (token_file_read (file, "AWS_WEB_IDENTITY_TOKEN_FILE", &token, outcome) < 0)
    return -1;
  role->web_identity = &token;
  if (aws_sts_web_identity (context, role, ret, outcome) < 0)
    return -1;
  snprintf (ret->source, sizeof ret->source, "web identity, role %.150s", role->arn);
  return 1;
}

int
aws_source_web_identity_environment (struct aws_context *context, const char *profile,
                                     struct aws_credentials *ret, struct kms_outcome *outcome)
{
  const char *file = aws_env ("AWS_WEB_IDENTITY_TOKEN_FILE");
  struct aws_role role = {.arn = aws_env ("AWS_ROLE_ARN"),
                          .session_name = aws_env ("AWS_ROLE_SESSION_NAME")};

  (void)profile;
  if (!file)
    return 0;
  if (!role.arn)
    return kms_outcome_set (
        outcome, KMS_CREDENTIALS, "bad_credentials",
        "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN: which role is "
        "the token for?");
  return assume (context, &role, file, ret, outcome);
}

int
aws_source_web_identity_profile (struct aws_context *context, const char *profile,
                                 struct aws_credentials *ret, struct kms_outcome *outcome)
{
  const struct aws_config *config = &context->config;
  char file[AWS_VALUE_MAX], arn[AWS_VALUE_MAX], name[128], duration[16];
  struct aws_role role = {.arn = arn};

  if (!aws_config_get (config, profile, "web_identity_token_file", file, sizeof file))
    return 0;
  if (!aws_config_get (config, profile, "role_arn", arn, sizeof arn))
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_profile",
                            "the AWS profile \"%.100s\" has web_identity_token_file without "
                            "role_arn: which role is the token for?",
                            profile);
  if (aws_config_get (config, profile, "role_session_name", name, sizeof name))
    role.session_name = name;
  if (aws_config_get (config, profile, "duration_seconds", duration, sizeof duration))
    role.duration_s = duration;
  return assume (context, &role, file, ret, outcome);
}
