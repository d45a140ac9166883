/* aws-auth.c owns finding out who signed an AWS request, and saying no as AWS does. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-sigv4.h"

void
aws_set_error (struct aws_call *call, const char *code, const char *fmt, ...)
{
  va_list args;

  snprintf (call->error_code, sizeof call->error_code, "%s", code);
  va_start (args, fmt);
  vsnprintf (call->error_text, sizeof call->error_text, fmt, args);
  va_end (args);
}

const char *
aws_partition (const char *region)
{
  static const struct {
    const char *prefix, *partition;
  } table[] = {{"cn-", "aws-cn"},        {"us-gov-", "aws-us-gov"}, {"eusc-", "aws-eusc"},
               {"us-iso-", "aws-iso"},   {"us-isob-", "aws-iso-b"}, {"eu-isoe-", "aws-iso-e"},
               {"us-isof-", "aws-iso-f"}};

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strncmp (region, table[i].prefix, strlen (table[i].prefix)) == 0)
      return table[i].partition;
  return "aws";
}

/* ---- the texts of the real services -----------------------------------------------------------
 */

static int64_t
window_of (const char *service)
{
  return strcmp (service, "sts") == 0 ? SIGV4_WINDOW_STS_S : SIGV4_WINDOW_S;
}

static int
fail_time (struct aws_call *call, const struct sigv4 *auth, const char *service, bool early)
{
  char now[SIGV4_TIME_MAX], edge[SIGV4_TIME_MAX];
  int64_t now_s = call->ex->now_s, window_s = window_of (service);
  int minutes = (int)(window_s / 60);

  sigv4_format_time (now_s, now);
  sigv4_format_time (early ? now_s + window_s : now_s - window_s, edge);
  if (early)
    return aws_fail (call, "InvalidSignatureException",
                     "Signature not yet current: %s is still later than %s (%s + %d min.)",
                     auth->time, edge, now, minutes);
  return aws_fail (call, "InvalidSignatureException",
                   "Signature expired: %s is now earlier than %s (%s - %d min.)", auth->time, edge,
                   now, minutes);
}

static int
fail_signature (struct aws_call *call, enum sigv4_result result, const struct sigv4 *auth,
                const char *service)
{
  switch (result) {
  case SIGV4_MISSING:
    return aws_fail (call, "MissingAuthenticationTokenException", "Missing Authentication Token");
  case SIGV4_INCOMPLETE:
    return aws_fail (call, "IncompleteSignatureException",
                     "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' "
                     "parameters, a signed 'host' and all 'x-amz-' headers, and 'X-Amz-Date'.");
  case SIGV4_EXPIRED:
    return fail_time (call, auth, service, false);
  case SIGV4_EARLY:
    return fail_time (call, auth, service, true);
  case SIGV4_SCOPE:
    return aws_fail (call, "InvalidSignatureException",
                     "Credential should be scoped to correct service: '%s'.", service);
  default:
    return aws_fail (call, "InvalidSignatureException",
                     "The request signature we calculated does not match the signature you "
                     "provided. Check your AWS Secret Access Key and signing method. Consult the "
                     "service documentation for details.");
  }
}

static bool
same_text (const char *a, const char *b)
{
  return strlen (a) == strlen (b) && CRYPTO_memcmp (a, b, strlen (a)) == 0;
}

/* The session token must be the one that came with the access key. */
static int
check_token (struct aws_call *call, const struct aws_access_key *key)
{
  const char *token = request_header (call->ex->request, "X-Amz-Security-Token");

  if (!same_text (token ? token : "", key->token))
    return aws_fail (call, "UnrecognizedClientException",
                     "The security token included in the request is invalid.");
  if (key->expires_s != 0 && call->ex->now_s >= key->expires_s)
    return aws_fail (call, "ExpiredTokenException",
                     "The security token included in the request is expired");
  return 0;
}

int
aws_authenticate (struct aws_call *call, const char *service)
{
  struct exchange *ex = call->ex;
  struct sigv4 auth;
  struct aws_access_key key;
  enum sigv4_result result = sigv4_parse (ex->request, &auth);

  if (result != SIGV4_OK)
    return fail_signature (call, result, &auth, service);
  if (aws_access_key_load (ex->sim, auth.access_key, &key) < 0
      || aws_identity_of (ex->sim, &key, &call->identity) < 0)
    return aws_fail (call, "UnrecognizedClientException",
                     "The security token included in the request is invalid.");
  snprintf (ex->principal, sizeof ex->principal, "%s", call->identity.arn);
  result = sigv4_check_scope (&auth, service, ex->now_s, window_of (service));
  if (result == SIGV4_OK)
    result = sigv4_check_signature (&auth, ex->request, key.secret);
  if (result != SIGV4_OK)
    return fail_signature (call, result, &auth, service);
  if (strlen (auth.region) >= sizeof call->region
      || auth.region[strspn (auth.region, "abcdefghijklmnopqrstuvwxyz0123456789-")])
    return aws_fail (call, "InvalidSignatureException",
                     "Credential should be scoped to a valid "
                     "region.");
  snprintf (call->region, sizeof call->region, "%s", auth.region);
  return check_token (call, &key);
}
