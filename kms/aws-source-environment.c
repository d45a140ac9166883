/* aws-source-environment.c owns credentials in environment variables. */
#include <stdio.h>
#include <string.h>

#include "kms/aws-source.h"
#include "kms/secret-text.h"

static int
incomplete (struct kms_outcome *outcome, const char *what)
{
  return kms_outcome_set (
      outcome, KMS_CREDENTIALS, "bad_credentials",
      "%s: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both, or neither, and "
      "AWS_SESSION_TOKEN where they are temporary",
      what);
}

static int
set_expiration (struct aws_credentials *ret, struct kms_outcome *outcome)
{
  const char *text = aws_env ("AWS_CREDENTIAL_EXPIRATION");

  if (text && aws_parse_time (text, &ret->expires_s) < 0)
    return incomplete (outcome, "AWS_CREDENTIAL_EXPIRATION is not a time like "
                                "2026-01-31T23:59:59Z");
  return 1;
}

int
aws_source_environment (struct aws_context *context, const char *profile,
                        struct aws_credentials *ret, struct kms_outcome *outcome)
{
  const char *access_key = aws_env ("AWS_ACCESS_KEY_ID");
  const char *secret_key = aws_env ("AWS_SECRET_ACCESS_KEY");
  const char *token = aws_env ("AWS_SESSION_TOKEN");
  CLEANUP_SECRET struct secret secret = {0}, session = {0};

  (void)context;
  (void)profile;
  if (!token)
    token = aws_env ("AWS_SECURITY_TOKEN"); /* its name of old, which AWS' tools still take */
  if (!access_key)
    return 0;
  if (!secret_key)
    return incomplete (outcome, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
  if (secret_from_text (secret_key, strlen (secret_key), &secret) < 0
      || (token && secret_from_text (token, strlen (token), &session) < 0)
      || aws_credentials_set (ret, access_key, &secret, &session) < 0)
    return incomplete (outcome, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN has "
                                "characters in it that no credentials have");
  snprintf (ret->source, sizeof ret->source, "environment");
  return set_expiration (ret, outcome);
}
