/* aws-sts.c owns STS: who am I, and temporary credentials for roles. */
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-policy.h"
#include "tools/sim/issuer.h"

#define XML_TYPE "text/xml"
#define NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"
#define WEB_AUDIENCE "sts.amazonaws.com"

/* ---- XML --------------------------------------------------------------------------------------
 */

/* A new string. */
static char *
xml_escape (const char *text)
{
  char *escaped = NULL;
  size_t size;
  FILE *f = open_memstream (&escaped, &size);

  if (!f)
    abort ();
  for (; *text; text++)
    switch (*text) {
    case '<':
      fputs ("&lt;", f);
      break;
    case '>':
      fputs ("&gt;", f);
      break;
    case '&':
      fputs ("&amp;", f);
      break;
    case '"':
      fputs ("&quot;", f);
      break;
    default:
      putc (*text, f);
    }
  fclose (f);
  return escaped;
}

static void
put_element (FILE *f, const char *name, const char *text)
{
  CLEANUP_FREE
  char *escaped = xml_escape (text);

  fprintf (f, "<%s>%s</%s>", name, escaped, name);
}

static void
reply_xml (struct exchange *ex, unsigned status, const char *xml)
{
  reply_header (ex->reply, "x-amzn-RequestId", "%s", ex->request_id);
  reply_text (ex->reply, status, XML_TYPE, "%s", xml);
}

/* ---- errors -----------------------------------------------------------------------------------
 */

/* STS has other names than KMS for what is wrong with a signature. */
static const struct {
  const char *kms, *sts;
  unsigned status;
} errors[] = {
    {"MissingAuthenticationTokenException", "MissingAuthenticationToken", 403},
    {"IncompleteSignatureException", "IncompleteSignature", 400},
    {"UnrecognizedClientException", "InvalidClientTokenId", 403},
    {"ExpiredTokenException", "ExpiredToken", 403},
    {"InvalidSignatureException", "SignatureDoesNotMatch", 403},
    {"AccessDenied", "AccessDenied", 403},
    {"IDPRejectedClaim", "IDPRejectedClaim", 403},
    {"Throttling", "Throttling", 400},
    {"InternalFailure", "InternalFailure", 500},
    {"WebTokenExpired", "ExpiredTokenException", 400},
};

static void
reply_error (struct exchange *ex, const char *code, const char *text)
{
  unsigned status = 400;
  char *xml = NULL;
  size_t size;
  FILE *f = open_memstream (&xml, &size);

  if (!f)
    abort ();
  for (size_t i = 0; i < ARRAY_SIZE (errors); i++)
    if (strcmp (errors[i].kms, code) == 0) {
      status = errors[i].status;
      code = errors[i].sts;
      break;
    }
  fprintf (f, "<ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type>", NAMESPACE,
           status < 500 ? "Sender" : "Receiver");
  put_element (f, "Code", code);
  put_element (f, "Message", text);
  fprintf (f, "</Error><RequestId>%s</RequestId></ErrorResponse>", ex->request_id);
  fclose (f);
  reply_xml (ex, status, xml);
  free (xml);
  snprintf (ex->outcome, sizeof ex->outcome, "%s", code);
}

static bool
fail (struct exchange *ex, const struct fault *fault)
{
  static const struct {
    enum fault_kind kind;
    const char *code, *text;
  } table[] = {
      {FAULT_OUTAGE, "InternalFailure", "The request processing has failed because of an error."},
      {FAULT_THROTTLE, "Throttling", "Rate exceeded"},
      {FAULT_EXPIRED, "ExpiredTokenException",
       "The security token included in the request is expired"},
      {FAULT_FIREWALL, "AccessDenied", "No VPC endpoint policy allows it"},
      {FAULT_DENY, "AccessDenied", "User is not authorized to perform: sts:AssumeRole"},
  };

  for (size_t i = 0; i < ARRAY_SIZE (table); i++)
    if (table[i].kind == fault->kind) {
      reply_error (ex, table[i].code, table[i].text);
      return true;
    }
  return false;
}

/* ---- roles ------------------------------------------------------------------------------------
 */

struct role_request {
  char *arn, *session, *duration, *external_id, *web_token;
  char principal[96]; /* "role/NAME" */
  char account[13];
  int64_t duration_s;
};

static void
role_request_clear (struct role_request *request)
{
  free (request->arn);
  free (request->session);
  free (request->duration);
  free (request->external_id);
  free (request->web_token);
}

static bool
session_name_ok (const char *name)
{
  size_t length = strlen (name);

  return length >= 2 && length <= 64
         && strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                          "_=,.@-")
                == length;
}

/* arn:aws:iam::ACCOUNT:role/NAME */
static int
split_role_arn (struct aws_call *call, struct role_request *request)
{
  char rest[sizeof request->principal];

  if (sscanf (request->arn, "arn:%*[a-z-]:iam::%12[0-9]:%95s", request->account, rest) != 2
      || strncmp (rest, "role/", 5) != 0)
    return aws_fail (call, "ValidationError", "%.200s is invalid", request->arn);
  memcpy (request->principal, rest, sizeof rest);
  return 0;
}

static int
parse_role_request (struct aws_call *call, struct role_request *request)
{
  const char *form = call->ex->request->body;
  uint64_t duration_s = 3600;

  request->arn = form_value (form, "RoleArn");
  request->session = form_value (form, "RoleSessionName");
  request->duration = form_value (form, "DurationSeconds");
  request->external_id = form_value (form, "ExternalId");
  request->web_token = form_value (form, "WebIdentityToken");
  if (!request->arn || !request->session || !session_name_ok (request->session))
    return aws_fail (call, "ValidationError",
                     "RoleArn and a RoleSessionName of 2 to 64 characters of [\\w+=,.@-] are "
                     "needed");
  if (request->duration && parse_uint (request->duration, 900, 43200, &duration_s, NULL) < 0)
    return aws_fail (call, "ValidationError", "DurationSeconds must be from 900 to 43200");
  request->duration_s = (int64_t)duration_s;
  snprintf (call->ex->key, sizeof call->ex->key, "%.200s", request->arn);
  return split_role_arn (call, request);
}

static bool
list_fits (const struct json *patterns, const char *text)
{
  for (size_t i = 0; i < json_size (patterns); i++) {
    const char *pattern = json_string_value (json_at (patterns, i));

    if (pattern && aws_pattern_fits (pattern, text))
      return true;
  }
  return false;
}

/* The account's root in a trust policy means everybody in the account. */
static bool
trusts_caller (const struct json *trust, const struct aws_identity *caller)
{
  char root[64];

  snprintf (root, sizeof root, "arn:aws:iam::%s:root", caller->account);
  return list_fits (json_get (trust, "principals"), caller->principal_arn)
         || list_fits (json_get (trust, "principals"), root);
}

static int
fail_assume (struct aws_call *call, const struct role_request *request, const char *who,
             const char *action)
{
  return aws_fail (call, "AccessDenied",
                   "User: %s is not authorized to perform: sts:%s on resource: %.200s", who, action,
                   request->arn);
}

static int
check_trust (struct aws_call *call, const struct role_request *request)
{
  CLEANUP_JSON struct json *role = aws_principal_load (call->ex->sim, request->principal);
  const struct json *trust = json_get (role, "trust");
  const char *account = json_get_string (role, "account"),
             *external_id = json_get_string (trust, "external_id");

  if (!account || strcmp (account, request->account) != 0 || !trusts_caller (trust, &call->identity)
      || (external_id
          && (!request->external_id || strcmp (external_id, request->external_id) != 0)))
    return fail_assume (call, request, call->identity.arn, "AssumeRole");
  return 0;
}

static int
check_web_trust (struct aws_call *call, const struct role_request *request)
{
  CLEANUP_JSON struct json *role = aws_principal_load (call->ex->sim, request->principal);
  CLEANUP_JWT struct jwt token = {0};
  const char *account = json_get_string (role, "account"), *subject, *audience;

  if (!request->web_token
      || issuer_verify (call->ex->sim, request->web_token, ISSUER_WORKLOAD, &token) < 0)
    return aws_fail (call, "InvalidIdentityToken",
                     "Couldn't retrieve verification key from your "
                     "identity provider, or the token is not its");
  subject = json_get_string (token.claims, "sub");
  audience = json_get_string (token.claims, "aud");
  if (!audience || strcmp (audience, WEB_AUDIENCE) != 0)
    return aws_fail (call, "InvalidIdentityToken", "Incorrect token audience");
  if (!jwt_is_current (&token, call->ex->now_s))
    return aws_fail (call, "WebTokenExpired", "Token expired");
  if (!account || strcmp (account, request->account) != 0 || !subject
      || !list_fits (json_get (json_get (role, "trust"), "subjects"), subject))
    return aws_fail (call, "AccessDenied",
                     "Not authorized to perform sts:AssumeRoleWithWebIdentity");
  snprintf (call->ex->principal, sizeof call->ex->principal, "%.200s", subject);
  return 0;
}

static char *
role_xml (struct aws_call *call, const struct role_request *request, const char *action)
{
  struct aws_access_key key;
  struct aws_identity identity;
  char expires[FORMAT_TIME_MAX], *xml = NULL;
  size_t size;
  FILE *f = open_memstream (&xml, &size);

  if (!f)
    abort ();
  aws_access_key_new (call->ex->sim, request->principal, request->session,
                      call->ex->now_s + request->duration_s, &key);
  if (aws_identity_of (call->ex->sim, &key, &identity) < 0)
    abort ();
  format_time (key.expires_s, expires);
  fprintf (f, "<%sResponse xmlns=\"%s\"><%sResult><Credentials>", action, NAMESPACE, action);
  put_element (f, "AccessKeyId", key.id);
  put_element (f, "SecretAccessKey", key.secret);
  put_element (f, "SessionToken", key.token);
  put_element (f, "Expiration", expires);
  fputs ("</Credentials><AssumedRoleUser>", f);
  put_element (f, "AssumedRoleId", identity.user_id);
  put_element (f, "Arn", identity.arn);
  fprintf (f,
           "</AssumedRoleUser></%sResult><ResponseMetadata><RequestId>%s</RequestId>"
           "</ResponseMetadata></%sResponse>",
           action, call->ex->request_id, action);
  fclose (f);
  return xml;
}

/* ---- the actions ------------------------------------------------------------------------------
 */

static int
assume_role (struct aws_call *call, char **ret_xml)
{
  CLEANUP (role_request_clear) struct role_request request = {0};

  if (aws_authenticate (call, "sts") < 0 || parse_role_request (call, &request) < 0
      || check_trust (call, &request) < 0)
    return -1;
  *ret_xml = role_xml (call, &request, "AssumeRole");
  return 0;
}

static int
assume_role_with_web_identity (struct aws_call *call, char **ret_xml)
{
  CLEANUP (role_request_clear) struct role_request request = {0};

  if (parse_role_request (call, &request) < 0 || check_web_trust (call, &request) < 0)
    return -1;
  *ret_xml = role_xml (call, &request, "AssumeRoleWithWebIdentity");
  return 0;
}

static int
get_caller_identity (struct aws_call *call, char **ret_xml)
{
  size_t size;
  FILE *f;

  if (aws_authenticate (call, "sts") < 0)
    return -1;
  f = open_memstream (ret_xml, &size);
  if (!f)
    abort ();
  fprintf (f, "<GetCallerIdentityResponse xmlns=\"%s\"><GetCallerIdentityResult>", NAMESPACE);
  put_element (f, "Arn", call->identity.arn);
  put_element (f, "UserId", call->identity.user_id);
  put_element (f, "Account", call->identity.account);
  fprintf (f,
           "</GetCallerIdentityResult><ResponseMetadata><RequestId>%s</RequestId>"
           "</ResponseMetadata></GetCallerIdentityResponse>",
           call->ex->request_id);
  fclose (f);
  return 0;
}

static const struct {
  const char *name;
  int (*run) (struct aws_call *call, char **ret_xml);
} actions[] = {
    {"GetCallerIdentity", get_caller_identity},
    {"AssumeRole", assume_role},
    {"AssumeRoleWithWebIdentity", assume_role_with_web_identity},
};

/* ---- the service ------------------------------------------------------------------------------
 */

static const char *
operation (size_t i)
{
  return i < ARRAY_SIZE (actions) ? actions[i].name : NULL;
}

static bool
claims (struct exchange *ex)
{
  CLEANUP_FREE
  char *action = NULL;

  if (strcmp (ex->request->path, "/") != 0 || strcmp (ex->request->method, "POST") != 0)
    return false;
  action = form_value (ex->request->body, "Action");
  if (!action)
    return false;
  snprintf (ex->operation, sizeof ex->operation, "%.63s", action);
  return true;
}

static void
answer (struct exchange *ex)
{
  struct aws_call call = {.ex = ex};
  CLEANUP_FREE
  char *xml = NULL;

  for (size_t i = 0; i < ARRAY_SIZE (actions); i++)
    if (strcmp (actions[i].name, ex->operation) == 0) {
      if (actions[i].run (&call, &xml) < 0)
        reply_error (ex, call.error_code, call.error_text);
      else
        reply_xml (ex, 200, xml);
      return;
    }
  reply_error (ex, "InvalidAction", "keyfence-kms-sim does not know this action");
}

const struct service aws_sts_service = {
    .name = "aws-sts", .claims = claims, .operation = operation, .answer = answer, .fail = fail};
