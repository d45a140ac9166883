/* aws-source-instance.c owns credentials of the instance's role, by its metadata service (IMDSv2).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kms/answer.h"
#include "kms/aws-source.h"
#include "kms/secret-text.h"

/* AWS' defaults for AWS_METADATA_SERVICE_TIMEOUT and _NUM_ATTEMPTS. */
#define TRY_MS 1000
#define TOKEN_LIFE_S "21600"
#define AWS_ROLE_MAX 128
#define ROLE_PATH "meta-data/iam/security-credentials/"

static void
find_service (const struct aws_config *config, char ret[AWS_URL_MAX])
{
  char mode[16] = "";

  if (aws_setting (config, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint",
                   ret, AWS_URL_MAX)) {
    size_t length = strlen (ret);

    if (ret[length - 1] == '/')
      ret[length - 1] = '\0';
    return;
  }
  if (!aws_setting (config, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                    "ec2_metadata_service_endpoint_mode", mode, sizeof mode))
    mode[0] = '\0';
  snprintf (ret, AWS_URL_MAX, "http://%s",
            strcasecmp (mode, "ipv6") == 0 ? "[fd00:ec2::254]" : "169.254.169.254");
}

static uint32_t
try_ms (const struct aws_config *config)
{
  char text[16];
  unsigned seconds;

  if (aws_setting (config, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", text,
                   sizeof text)
      && sscanf (text, "%u", &seconds) == 1 && seconds > 0 && seconds <= 60)
    return seconds * 1000;
  return TRY_MS;
}

/* A container on the instance is one hop further than IMDSv2's tokens go by default. */
static int
no_token (const struct aws_context *context, const struct http_answer *answer, const char *service,
          struct kms_outcome *outcome)
{
  if (answer->failure == HTTP_ANSWERED)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "instance_metadata",
                            "the instance metadata service at %.100s answers a request for an "
                            "IMDSv2 token with status %u; enable the service in the instance's "
                            "metadata options",
                            service, answer->status);
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "no_credentials",
                          AWS_NONE_FOUND "(6) the instance's role: no metadata service at %.80s "
                                         "(%.80s); set up one of them (keyfence-keys(7)), and in a "
                                         "container on EC2 set the instance's metadata hop limit "
                                         "to 2",
                          context->config.profile, service, answer->detail);
}

static int
get_token (struct aws_context *context, const char *service, struct secret *ret,
           struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  char url[AWS_URL_MAX + 32];
  struct http_request request = {
      .method = "PUT",
      .url = url,
      .headers = {{"X-aws-ec2-metadata-token-ttl-seconds", NULL, TOKEN_LIFE_S}},
      .timeout_ms = aws_time_left_ms (context, try_ms (&context->config)),
      .link_local = true,
  };

  snprintf (url, sizeof url, "%s/latest/api/token", service);
  if (http_exchange (&request, &answer) < 0 || answer.status != 200 || answer.body.size == 0)
    return no_token (context, &answer, service, outcome);
  if (secret_from_text ((const char *)answer.body.bytes, answer.body.size, ret) < 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "no_memory", "out of memory");
  return 0;
}

int
aws_metadata_get (struct aws_context *context, const char *path, struct http_answer *ret,
                  struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret token = {0};
  char service[AWS_URL_MAX], url[AWS_URL_MAX + 256];
  struct http_request request = {.method = "GET", .url = url, .link_local = true};

  find_service (&context->config, service);
  if (get_token (context, service, &token, outcome) < 0)
    return -1;
  request.headers[0] =
      (struct http_header){"X-aws-ec2-metadata-token", NULL, secret_get_text (&token)};
  request.timeout_ms = aws_time_left_ms (context, try_ms (&context->config));
  snprintf (url, sizeof url, "%s/latest/%s", service, path);
  if (http_exchange (&request, ret) < 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "instance_metadata",
                            "no answer from the instance metadata service for %.100s: %.150s; see "
                            "that its metadata options enable it, and that no firewall of this "
                            "machine shuts it out",
                            path, ret->detail);
  return 0;
}

/* 404 is the service's way to say that there is none; everything else, that it is not well. */
static int
no_role (const struct http_answer *answer, const char *what, struct kms_outcome *outcome)
{
  if (answer->status == 404)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "no_role",
                            "the instance has no %s (its metadata service says 404): attach an "
                            "instance profile with a role",
                            what);
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "instance_metadata",
                          "the instance metadata service answers the question for %s with status "
                          "%u and nothing that it could be",
                          what, answer->status);
}

static bool
is_role_name (const char *text, size_t length)
{
  for (size_t i = 0; i < length; i++)
    if (text[i] <= 0x20 || text[i] >= 0x7f || strchr ("/?#%", text[i]))
      return false;
  return length > 0 && length < AWS_ROLE_MAX;
}

/* The name of the instance's role: one line. */
static int
get_role (struct aws_context *context, char ret[AWS_ROLE_MAX], struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  const char *text;
  size_t length;

  if (aws_metadata_get (context, ROLE_PATH, &answer, outcome) < 0)
    return -1;
  text = (const char *)answer.body.bytes;
  length = strcspn (text, "\r\n");
  if (answer.status != 200 || !is_role_name (text, length))
    return no_role (&answer, "role", outcome);
  snprintf (ret, AWS_ROLE_MAX, "%.*s", (int)length, text);
  return 0;
}

/* Status 200 may carry an error: {"Code":"AssumeRoleUnauthorizedAccess","Message":…}. */
static int
check_code (const struct http_answer *answer, struct kms_outcome *outcome)
{
  struct answer json;
  char code[64];

  if (answer->status != 200
      || answer_init (&json, (const char *)answer->body.bytes, answer->body.size) < 0)
    return no_role (answer, "credentials for its role", outcome);
  if (answer_string (&json, "Code", code, sizeof code) < 0 || strcmp (code, "Success") == 0)
    return 0;
  return kms_outcome_set (
      outcome, KMS_CREDENTIALS, "no_role",
      "the instance metadata service has no credentials for the instance's role "
      "(%.60s): was the role deleted, or its trust policy changed?",
      code);
}

int
aws_source_instance (struct aws_context *context, const char *profile, struct aws_credentials *ret,
                     struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  char role[AWS_ROLE_MAX], path[256];

  (void)profile;
  if (aws_setting_bool (&context->config, "AWS_EC2_METADATA_DISABLED", NULL))
    return 0;
  if (get_role (context, role, outcome) < 0)
    return -1;
  snprintf (path, sizeof path, ROLE_PATH "%s", role);
  if (aws_metadata_get (context, path, &answer, outcome) < 0 || check_code (&answer, outcome) < 0
      || aws_credentials_parse ((const char *)answer.body.bytes, answer.body.size, "Token",
                                "the instance metadata service", ret, outcome)
             < 0)
    return -1;
  snprintf (ret->source, sizeof ret->source, "instance role %.120s (IMDSv2)", role);
  ret->keep = ret->stable = true;
  return 1;
}
