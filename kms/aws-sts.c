/* aws-sts.c owns requests to AWS STS. */
#include "kms/aws-sts.h"

#include <stdio.h>
#include <string.h>

#include "kms/aws-errors.h"
#include "kms/aws-source.h"
#include "kms/aws-xml.h"
#include "kms/backoff.h"
#include "kms/secret-text.h"

#define VERSION "2011-06-15"
#define FORM_MAX ((size_t)24 * 1024) /* a web identity token has up to 20000 characters */
#define TRIES 3
#define PAUSE_MS 100
#define PAUSE_CAP_MS 1000

static void
add (struct secret_text *form, const char *name, const char *value)
{
  if (!value)
    return;
  secret_text_add (form, "&");
  secret_text_add (form, name);
  secret_text_add (form, "=");
  secret_text_add_encoded (form, value);
}

static int
begin (struct secret_text *form, const char *action)
{
  if (secret_text_init (form, FORM_MAX) < 0)
    return -1;
  secret_text_add (form, "Action=");
  secret_text_add (form, action);
  add (form, "Version", VERSION);
  return 0;
}

/* Sends the form; `with` NULL: not signed. */
static int
post (const struct aws_context *context, const struct aws_credentials *with,
      const struct secret_text *form, struct http_answer *ret)
{
  struct http_sigv4 sigv4 = {.region = context->sts_region, .service = "sts"};
  struct http_request request = {
      .method = "POST",
      .url = context->sts_url,
      .headers = {{"Content-Type", NULL, "application/x-www-form-urlencoded; charset=utf-8"}},
      .body = form->memory.bytes,
      .body_size = form->length,
      .timeout_ms = aws_time_left_ms (context, 0),
      .allow_plain = context->sts_is_custom,
      .ca_bundle = context->ca_bundle[0] ? context->ca_bundle : NULL,
  };

  if (with) {
    sigv4.access_key = with->access_key;
    sigv4.secret_key = secret_get_text (&with->secret_key);
    request.sigv4 = &sigv4;
    if (with->session_token.bytes)
      request.headers[1] = (struct http_header){"X-Amz-Security-Token", NULL,
                                                secret_get_text (&with->session_token)};
  }
  return http_exchange (&request, ret);
}

/* A role that is refused for the first time is more likely a mistake in the settings than a right
 * taken away.
 */
static int
soften (const struct aws_asked *asked, struct kms_outcome *outcome)
{
  if (outcome->class == KMS_DENIED && strcmp (asked->operation, "GetCallerIdentity") != 0
      && !aws_credentials_worked_before ())
    outcome->class = KMS_CONFIG;
  return -1;
}

static int
call (const struct aws_context *context, const struct aws_credentials *with,
      const struct aws_asked *asked, const struct secret_text *form, struct http_answer *ret,
      struct kms_outcome *outcome)
{
  struct backoff backoff = {context->deadline_ms, PAUSE_MS, PAUSE_CAP_MS, 0, TRIES};
  unsigned advice;

  if (!secret_text_get (form))
    return kms_outcome_set (outcome, KMS_CONFIG, "role_request",
                            "the request for %.150s is too long: is the token one?",
                            asked->subject);
  do {
    http_answer_clear (ret);
    if (post (context, with, form, ret) < 0) {
      aws_no_answer (ret, context->sts_url, outcome);
      advice =
          ret->failure == HTTP_REFUSED || ret->failure == HTTP_TLS_VERIFY ? AWS_GIVE_UP : AWS_RETRY;
    }
    else if (ret->status == 200)
      return 0;
    else
      aws_classify (asked, ret, outcome, &advice);
  } while ((advice & AWS_RETRY) && backoff_wait (&backoff, 0));
  return soften (asked, outcome);
}

int
aws_sts_parse (const char *text, size_t size, struct aws_credentials *ret)
{
  CLEANUP_SECRET struct secret secret_key = {0}, token = {0};
  char access_key[AWS_ACCESS_KEY_MAX], expiration[64];
  int64_t expires_s;

  if ((aws_xml_is_whole (text, size, "AssumeRoleResponse") < 0
       && aws_xml_is_whole (text, size, "AssumeRoleWithWebIdentityResponse") < 0)
      || aws_xml_string (text, size, "AccessKeyId", access_key, sizeof access_key) < 0
      || aws_xml_secret (text, size, "SecretAccessKey", &secret_key) < 0
      || aws_xml_secret (text, size, "SessionToken", &token) < 0
      || aws_xml_string (text, size, "Expiration", expiration, sizeof expiration) < 0
      || aws_parse_time (expiration, &expires_s) < 0
      || aws_credentials_set (ret, access_key, &secret_key, &token) < 0)
    return -1;
  ret->expires_s = expires_s;
  ret->keep = true;
  return 0;
}

static int
bad_answer (struct kms_outcome *outcome, const struct aws_asked *asked)
{
  return kms_outcome_set (outcome, KMS_OUTAGE, "bad_answer",
                          "AWS STS answered %s with something else than it should: is the endpoint "
                          "really AWS', and no proxy's?",
                          asked->operation);
}

/* A token that opens a role is for that role's partition only, whatever region the key's name has:
 * the name may come from a disk.
 */
static int
check_partition (const struct aws_context *context, const char *role_arn,
                 struct kms_outcome *outcome)
{
  const struct aws_partition *partition = aws_partition_of (context->sts_region);
  size_t length = partition ? strlen (partition->name) : 0;

  if (partition && strncmp (role_arn, "arn:", 4) == 0
      && strncmp (role_arn + 4, partition->name, length) == 0 && role_arn[4 + length] == ':')
    return 0;
  return kms_outcome_set (
      outcome, KMS_CONFIG, "other_partition",
      "the role %.150s is not of the partition of the region %s: keys there need "
      "credentials from there",
      role_arn, context->sts_region);
}

static int
get_role (struct aws_context *context, const struct aws_credentials *with,
          const struct aws_role *role, const char *operation, struct aws_credentials *ret,
          struct kms_outcome *outcome)
{
  const struct aws_asked asked = {"sts", operation, role->arn};
  CLEANUP_SECRET_TEXT struct secret_text form = {0};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};

  if (check_partition (context, role->arn, outcome) < 0)
    return -1;
  if (begin (&form, operation) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  add (&form, "RoleArn", role->arn);
  add (&form, "RoleSessionName", role->session_name ? role->session_name : "keyfence");
  add (&form, "ExternalId", role->external_id);
  add (&form, "DurationSeconds", role->duration_s);
  if (role->web_identity)
    add (&form, "WebIdentityToken", secret_get_text (role->web_identity));
  if (call (context, with, &asked, &form, &answer, outcome) < 0)
    return -1;
  if (aws_sts_parse ((const char *)answer.body.bytes, answer.body.size, ret) < 0)
    return bad_answer (outcome, &asked);
  return 0;
}

int
aws_sts_assume_role (struct aws_context *context, const struct aws_credentials *with,
                     const struct aws_role *role, struct aws_credentials *ret,
                     struct kms_outcome *outcome)
{
  return get_role (context, with, role, "AssumeRole", ret, outcome);
}

int
aws_sts_web_identity (struct aws_context *context, const struct aws_role *role,
                      struct aws_credentials *ret, struct kms_outcome *outcome)
{
  return get_role (context, NULL, role, "AssumeRoleWithWebIdentity", ret, outcome);
}

int
aws_sts_identity (struct aws_context *context, const struct aws_credentials *with,
                  char ret_arn[AWS_IDENTITY_MAX], int64_t *ret_skew_s, struct kms_outcome *outcome)
{
  static const struct aws_asked asked = {"sts", "GetCallerIdentity", "these credentials"};
  CLEANUP_SECRET_TEXT struct secret_text form = {0};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  int r;

  if (begin (&form, "GetCallerIdentity") < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  r = call (context, with, &asked, &form, &answer, outcome);
  *ret_skew_s = aws_clock_skew_s (&answer);
  if (r < 0)
    return -1;
  if (aws_xml_string ((const char *)answer.body.bytes, answer.body.size, "Arn", ret_arn,
                      AWS_IDENTITY_MAX)
      < 0)
    return bad_answer (outcome, &asked);
  return 0;
}
