/* aws-source-container.c owns credentials that a container's agent serves (ECS, EKS Pod Identity).
 */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "kms/aws-source.h"
#include "kms/backoff.h"
#include "kms/secret-text.h"
#include "kms/token-file.h"

#define TRY_MS 2000
#define TRIES 3
#define PAUSE_MS 1000
#define ECS_URL "http://169.254.170.2"

/* Where plain http may be spoken to, besides loopback: ECS' agent and EKS' Pod Identity agent. */
static const char *const plain_hosts[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};

static int
check_host (const char *url, struct kms_outcome *outcome)
{
  char host[HTTP_HOST_MAX];

  if (http_url_host (url, host) == 0) {
    if (strncasecmp (url, "https:", 6) == 0 || http_url_is_loopback (url))
      return 0;
    for (size_t i = 0; i < ARRAY_SIZE (plain_hosts); i++)
      if (strcmp (host, plain_hosts[i]) == 0)
        return 0;
  }
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_credentials",
                          "AWS_CONTAINER_CREDENTIALS_FULL_URI is %.100s: it must be https, or http "
                          "to this machine, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]",
                          url);
}

static int
find_url (char ret[AWS_URL_MAX], struct kms_outcome *outcome)
{
  const char *relative = aws_env ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const char *full = aws_env ("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  int n;

  if (!relative && !full)
    return 0;
  if (relative)
    n = snprintf (ret, AWS_URL_MAX, "%s%s%s", ECS_URL, relative[0] == '/' ? "" : "/", relative);
  else
    n = snprintf (ret, AWS_URL_MAX, "%s", full);
  if (n >= AWS_URL_MAX)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_credentials",
                            "AWS_CONTAINER_CREDENTIALS_%s_URI is too long",
                            relative ? "RELATIVE" : "FULL");
  return check_host (ret, outcome) < 0 ? -1 : 1;
}

/* The file is preferred, and read each time: it is replaced as tokens expire. */
static int
find_token (struct secret *ret, struct kms_outcome *outcome)
{
  const char *file = aws_env ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const char *token = aws_env ("AWS_CONTAINER_AUTHORIZATION_TOKEN");

  if (file)
    return token_file_read (file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", ret, outcome);
  if (token && secret_from_text (token, strlen (token), ret) < 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "no_memory", "out of memory");
  return 0;
}

static bool
is_worth_another (const struct http_answer *answer)
{
  if (answer->failure == HTTP_REFUSED || answer->failure == HTTP_TLS_VERIFY)
    return false;
  return answer->failure != HTTP_ANSWERED || answer->status >= 500 || answer->status == 429;
}

static int
judge (const struct http_answer *answer, const char *url, struct aws_credentials *ret,
       struct kms_outcome *outcome)
{
  if (answer->failure != HTTP_ANSWERED)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "container",
                            "no answer from the container credentials at %.150s: %.150s", url,
                            answer->detail);
  if (answer->status != 200)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "container",
                            "the container credentials at %.150s answer with status %u: has the "
                            "task or pod a role?",
                            url, answer->status);
  return aws_credentials_parse ((const char *)answer->body.bytes, answer->body.size, "Token", url,
                                ret, outcome);
}

int
aws_source_container (struct aws_context *context, const char *profile, struct aws_credentials *ret,
                      struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  CLEANUP_SECRET struct secret token = {0};
  char url[AWS_URL_MAX];
  struct http_request request = {.method = "GET", .url = url, .link_local = true};
  struct backoff backoff = {context->deadline_ms, PAUSE_MS, PAUSE_MS, 0, TRIES};
  int r = find_url (url, outcome);

  (void)profile;
  if (r <= 0)
    return r;
  if (find_token (&token, outcome) < 0)
    return -1;
  if (token.bytes)
    request.headers[0] = (struct http_header){"Authorization", NULL, secret_get_text (&token)};
  do {
    http_answer_clear (&answer);
    request.timeout_ms = aws_time_left_ms (context, TRY_MS);
    r = http_exchange (&request, &answer);
  } while (is_worth_another (&answer) && backoff_wait (&backoff, PAUSE_MS));
  if (judge (&answer, url, ret, outcome) < 0)
    return -1;
  snprintf (ret->source, sizeof ret->source, "container (%.150s)", url);
  ret->keep = true;
  return 1;
}
