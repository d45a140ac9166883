/* aws-source-profile.c owns credentials that a profile of the shared files has or leads to: static
 * ones, and roles by way of another profile or source.
 */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "kms/aws-source.h"
#include "kms/aws-sts.h"

#define CHAIN_MAX 5

/* ---- static credentials ---- */

static int
static_credentials (struct aws_context *context, enum aws_file file, const char *profile,
                    struct aws_credentials *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret access_key = {0}, secret_key = {0}, token = {0};
  const struct aws_config *config = &context->config;

  if (!aws_config_get_secret (config, file, profile, "aws_access_key_id", &access_key))
    return 0;
  if (!aws_config_get_secret (config, file, profile, "aws_secret_access_key", &secret_key))
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_credentials",
                            "the AWS profile \"%.100s\" has aws_access_key_id without "
                            "aws_secret_access_key",
                            profile);
  if (!aws_config_get_secret (config, file, profile, "aws_session_token", &token))
    secret_clear (&token); /* they last */
  if (aws_credentials_set (ret, (const char *)access_key.bytes, &secret_key, &token) < 0)
    return kms_outcome_set (
        outcome, KMS_CREDENTIALS, "bad_credentials",
        "the keys in the AWS profile \"%.100s\" have characters in them that no "
        "credentials have",
        profile);
  snprintf (ret->source, sizeof ret->source, "profile %.100s (%s file)", profile,
            file == AWS_CREDENTIALS_FILE ? "credentials" : "config");
  return 1;
}

int
aws_source_credentials_file (struct aws_context *context, const char *profile,
                             struct aws_credentials *ret, struct kms_outcome *outcome)
{
  return static_credentials (context, AWS_CREDENTIALS_FILE, profile, ret, outcome);
}

int
aws_source_config_file (struct aws_context *context, const char *profile,
                        struct aws_credentials *ret, struct kms_outcome *outcome)
{
  return static_credentials (context, AWS_CONFIG_FILE, profile, ret, outcome);
}

/* ---- what needs a person ---- */

int
aws_source_sso (struct aws_context *context, const char *profile, struct aws_credentials *ret,
                struct kms_outcome *outcome)
{
  static const struct {
    const char *property, *what;
  } interactive[] = {
      {"sso_session", "IAM Identity Center (sso_session)"},
      {"sso_start_url", "IAM Identity Center (sso_start_url)"},
      {"login_session", "a console login (login_session)"},
  };
  char value[AWS_VALUE_MAX];

  (void)ret;
  for (size_t i = 0; i < ARRAY_SIZE (interactive); i++)
    if (aws_config_get (&context->config, profile, interactive[i].property, value, sizeof value))
      return kms_outcome_set (outcome, KMS_CREDENTIALS, "interactive",
                              "the AWS profile \"%.80s\" signs in by %s, which needs a person at a "
                              "browser every few hours: a disk needs a role (instance profile, "
                              "container, web identity, or role_arn)",
                              profile, interactive[i].what);
  return 0;
}

/* ---- roles ---- */

static const struct {
  const char *name;
  aws_source_get *get;
} credential_sources[] = {
    {"Environment", aws_source_environment},
    {"Ec2InstanceMetadata", aws_source_instance},
    {"EcsContainer", aws_source_container},
};

/* The way from role to role, to notice a ring. */
static int depth;

static int
role_error (struct kms_outcome *outcome, const char *profile, const char *what)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_profile",
                          "the AWS profile \"%.100s\" has role_arn and %s", profile, what);
}

static int
from_credential_source (struct aws_context *context, const char *profile, const char *source,
                        struct aws_credentials *ret, struct kms_outcome *outcome)
{
  for (size_t i = 0; i < ARRAY_SIZE (credential_sources); i++) {
    if (strcmp (credential_sources[i].name, source) == 0) {
      int r = credential_sources[i].get (context, profile, ret, outcome);

      return r == 0 ? role_error (outcome, profile,
                                  "a credential_source where no credentials are: check where this "
                                  "runs")
                    : r;
    }
  }
  return role_error (outcome, profile,
                     "a credential_source that is none of Environment, Ec2InstanceMetadata and "
                     "EcsContainer");
}

static int
from_source_profile (struct aws_context *context, const char *profile, const char *source,
                     struct aws_credentials *ret, struct kms_outcome *outcome)
{
  int r;

  if (!aws_config_has_profile (&context->config, source))
    return role_error (outcome, profile, "a source_profile that is in neither shared file");
  if (depth >= CHAIN_MAX)
    return role_error (outcome, profile,
                       "source_profiles that lead in a circle, or through more than 5 roles");
  depth++;
  r = aws_source_profile (context, source, strcmp (source, profile) == 0, ret, outcome);
  depth--;
  return r == 0 ? role_error (outcome, profile, "a source_profile without credentials") : r;
}

/* The credentials that ask for the role. */
static int
source_credentials (struct aws_context *context, const char *profile, struct aws_credentials *ret,
                    struct kms_outcome *outcome)
{
  char source[AWS_PROFILE_MAX], credential_source[64];
  bool by_profile =
      aws_config_get (&context->config, profile, "source_profile", source, sizeof source);
  bool by_source = aws_config_get (&context->config, profile, "credential_source",
                                   credential_source, sizeof credential_source);

  if (by_profile && by_source)
    return role_error (outcome, profile, "both source_profile and credential_source: keep one");
  if (by_source)
    return from_credential_source (context, profile, credential_source, ret, outcome);
  if (by_profile)
    return from_source_profile (context, profile, source, ret, outcome);
  return role_error (outcome, profile,
                     "none of source_profile, credential_source and web_identity_token_file");
}

/* A property of the profile, or NULL. */
static const char *
property (const struct aws_context *context, const char *profile, const char *name, char *value,
          size_t max)
{
  return aws_config_get (&context->config, profile, name, value, max) ? value : NULL;
}

int
aws_source_assume_role (struct aws_context *context, const char *profile,
                        struct aws_credentials *ret, struct kms_outcome *outcome)
{
  CLEANUP_AWS_CREDENTIALS struct aws_credentials with = {0};
  char arn[AWS_VALUE_MAX], file[AWS_VALUE_MAX], name[128], external_id[1300], duration[16];
  struct aws_role role = {.arn = property (context, profile, "role_arn", arn, sizeof arn)};

  if (!role.arn || property (context, profile, "web_identity_token_file", file, sizeof file))
    return 0;
  if (property (context, profile, "mfa_serial", name, sizeof name))
    return role_error (outcome, profile,
                       "mfa_serial: there is nobody to type a code; use a role without MFA");
  role.session_name = property (context, profile, "role_session_name", name, sizeof name);
  role.external_id = property (context, profile, "external_id", external_id, sizeof external_id);
  role.duration_s = property (context, profile, "duration_seconds", duration, sizeof duration);
  if (source_credentials (context, profile, &with, outcome) < 0
      || aws_sts_assume_role (context, &with, &role, ret, outcome) < 0)
    return -1;
  snprintf (ret->source, sizeof ret->source, "profile %.60s, role %.120s", profile, role.arn);
  return 1;
}

/* ---- all of a profile ---- */

int
aws_source_profile (struct aws_context *context, const char *profile, bool skip_roles,
                    struct aws_credentials *ret, struct kms_outcome *outcome)
{
  static aws_source_get *const order[] = {
      aws_source_assume_role, aws_source_web_identity_profile,
      aws_source_sso,         aws_source_credentials_file,
      aws_source_process,     aws_source_config_file,
  };

  for (size_t i = skip_roles ? 1 : 0; i < ARRAY_SIZE (order); i++) {
    int r = order[i](context, profile, ret, outcome);

    if (r != 0)
      return r;
  }
  return 0;
}
