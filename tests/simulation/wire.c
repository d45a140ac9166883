/* wire.c owns the list of what is answered. */
#include "tests/simulation/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "kms/aws-context.h"
#include "kms/aws-errors.h"
#include "kms/azure-error.h"

enum from { KMS, STS, VAULT, ENTRA, IDENTITY, CLIENT };

/* An answer with a status, or a failure of the way there. */
static const struct {
  enum wire_meaning meaning;
  enum from from;
  enum http_failure failure;
  unsigned status;
  const char *name, *message; /* of the error; an inner code for a vault */
  int skew_s;                 /* of the Date header */
} spoken[] = {
    {WIRE_DENIED, KMS, 0, 400, "DisabledException", "the key is disabled."},
    {WIRE_DENIED, KMS, 0, 400, "DisabledException", "the key is pending deletion."},
    {WIRE_DENIED, KMS, 0, 400, "KMSInvalidStateException", "the key is pending deletion."},
    {WIRE_DENIED, KMS, 0, 409, "KMSInvalidStateException", "the key is pending import."},
    {WIRE_DENIED, KMS, 0, 400, "KMSInvalidStateException", "the key is unavailable."},
    {WIRE_DENIED, KMS, 0, 400, "AccessDeniedException", "not authorized to perform: kms:Decrypt"},
    {WIRE_DENIED, KMS, 0, 403, "AccessDeniedException", "with an explicit deny"},
    {WIRE_DENIED, KMS, 0, 400, "NotFoundException", "the key does not exist"},
    {WIRE_DENIED, STS, 0, 403, "AccessDenied", "not authorized to perform: sts:AssumeRole"},
    {WIRE_OUTAGE, KMS, 0, 400, "ThrottlingException", "Rate exceeded"},
    {WIRE_OUTAGE, KMS, 0, 400, "LimitExceededException", "quota"},
    {WIRE_OUTAGE, KMS, 0, 500, "KMSInternalException", "internal"},
    {WIRE_OUTAGE, KMS, 0, 503, "DependencyTimeoutException", "timed out"},
    {WIRE_OUTAGE, KMS, 0, 500, "KeyUnavailableException", "not available"},
    {WIRE_OUTAGE, KMS, 0, 502, "AccessDeniedException", "a gateway has words, too"},
    {WIRE_OUTAGE, KMS, 0, 503, NULL, "<html>maintenance</html>"},
    {WIRE_UNCLEAR, KMS, 0, 403, NULL, "<html>the proxy says no</html>"},
    {WIRE_OUTAGE, KMS, 0, 429, NULL, ""},
    {WIRE_UNCLEAR, KMS, 0, 400, "SomethingNewException", "unheard of"},
    {WIRE_OUTAGE, STS, 0, 400, "Throttling", "Rate exceeded"},
    {WIRE_OUTAGE, KMS, HTTP_RESOLVE, 0, NULL, ""},
    {WIRE_OUTAGE, KMS, HTTP_CONNECT, 0, NULL, ""},
    {WIRE_OUTAGE, KMS, HTTP_TLS, 0, NULL, ""},
    {WIRE_UNCLEAR, KMS, HTTP_TLS_VERIFY, 0, NULL, ""},
    {WIRE_OUTAGE, KMS, HTTP_BROKEN, 0, NULL, ""},
    {WIRE_OUTAGE, KMS, HTTP_TIMEOUT, 0, NULL, ""},
    {WIRE_UNCLEAR, KMS, HTTP_NXDOMAIN, 0, NULL, ""},
    {WIRE_CREDENTIALS, KMS, 0, 400, "ExpiredTokenException", "expired"},
    {WIRE_CREDENTIALS, KMS, 0, 400, "UnrecognizedClientException", "invalid"},
    {WIRE_CREDENTIALS, KMS, 0, 400, "InvalidSignatureException", "does not match"},
    {WIRE_CREDENTIALS, STS, 0, 400, "ExpiredTokenException", "the token has expired"},
    {WIRE_CLOCK, KMS, 0, 400, "InvalidSignatureException", "Signature expired: it is now later"},
    {WIRE_CLOCK, KMS, 0, 400, "AccessDeniedException", "not authorized", 1000},
    {WIRE_CONFIG, KMS, 0, 400, "IncorrectKeyException", "another key"},
    {WIRE_CONFIG, KMS, 0, 400, "ValidationException", "malformed"},
    {WIRE_CONFIG, KMS, HTTP_REFUSED, 0, NULL, ""},
    {WIRE_CORRUPT, KMS, 0, 400, "InvalidCiphertextException", ""},
    {WIRE_CORRUPT, CLIENT, 0, 0, "wrong_key", "what came back is not this volume's key"},
    {WIRE_DENIED, VAULT, 0, 403, "KeyDisabled", "disabled"},
    {WIRE_DENIED, VAULT, 0, 403, "ForbiddenByPolicy", "no unwrap"},
    {WIRE_DENIED, VAULT, 0, 403, "ForbiddenByRbac", "no role"},
    {WIRE_DENIED, VAULT, 0, 403, "AccessDenied", "no"},
    {WIRE_DENIED, VAULT, 0, 403, "ForbiddenByFirewall", "not this address"},
    {WIRE_DENIED, VAULT, 0, 403, "ForbiddenByConnection", "private only"},
    {WIRE_DENIED, VAULT, 0, 403, "KeyOperationForbidden", "no unwrapKey"},
    {WIRE_DENIED, VAULT, 0, 403, "KeyExpired", "expired"},
    {WIRE_DENIED, VAULT, 0, 404, "KeyNotFound", "deleted"},
    {WIRE_OUTAGE, VAULT, 0, 429, "Throttled", "limit"},
    {WIRE_OUTAGE, VAULT, 0, 500, "InternalServerError", "error"},
    {WIRE_OUTAGE, VAULT, 0, 503, NULL, "<html>Service Unavailable</html>"},
    {WIRE_UNCLEAR, VAULT, 0, 403, NULL, "<html>the proxy says no</html>"},
    {WIRE_OUTAGE, ENTRA, 0, 503, "temporarily_unavailable", "AADSTS90033"},
    {WIRE_OUTAGE, IDENTITY, 0, 410, NULL, ""},
    {WIRE_OUTAGE, VAULT, HTTP_RESOLVE, 0, NULL, ""},
    {WIRE_OUTAGE, VAULT, HTTP_CONNECT, 0, NULL, ""},
    {WIRE_UNCLEAR, VAULT, HTTP_TLS_VERIFY, 0, NULL, ""},
    {WIRE_OUTAGE, VAULT, HTTP_BROKEN, 0, NULL, ""},
    {WIRE_OUTAGE, VAULT, HTTP_TIMEOUT, 0, NULL, ""},
    {WIRE_UNCLEAR, VAULT, HTTP_NXDOMAIN, 0, NULL, ""},
    {WIRE_CREDENTIALS, VAULT, 0, 401, "Unauthorized", "AKV10022: invalid audience"},
    {WIRE_CREDENTIALS, ENTRA, 0, 401, "invalid_client", "AADSTS7000222: the secret has expired"},
    {WIRE_CREDENTIALS, ENTRA, 0, 400, "unauthorized_client", "AADSTS700016: no application"},
    {WIRE_CREDENTIALS, IDENTITY, 0, 400, "invalid_request", "Identity not found"},
    {WIRE_CLOCK, VAULT, 0, 401, "Unauthorized", "the token is not yet valid", 1000},
    {WIRE_CONFIG, VAULT, 0, 400, "KeyOperationNotSupported", "an EC key"},
    {WIRE_CORRUPT, VAULT, 0, 400, "BadParameter", "the data is invalid"},
};

static struct wire_answer answers[2][ARRAY_SIZE (spoken) + 2];
static const struct wire_answer *by_meaning[2][WIRE_MEANINGS][ARRAY_SIZE (spoken) + 2];
static size_t count_by_meaning[2][WIRE_MEANINGS];
static const struct wire_answer *timeouts[2];

static bool
is_azure (enum from from)
{
  return from == VAULT || from == ENTRA || from == IDENTITY;
}

static void
write_body (size_t i, char *ret, size_t size)
{
  const char *name = spoken[i].name, *message = spoken[i].message;
  static const char *const forms[] = {
      [KMS] = "{\"__type\":\"com.amazonaws.kms#%s\",\"message\":\"%s\"}",
      [STS] = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>"
              "Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>",
      [VAULT] = "{\"error\":{\"code\":\"Other\",\"innererror\":{\"code\":\"%s\"},\"message\":"
                "\"%s\"}}",
      [ENTRA] = "{\"error\":\"%s\",\"error_description\":\"%s\"}",
      [IDENTITY] = "{\"error\":\"%s\",\"error_description\":\"%s\"}",
  };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  if (name)
    snprintf (ret, size, forms[spoken[i].from], name, message);
  else
    snprintf (ret, size, "%s", message);
#pragma GCC diagnostic pop
}

/* As kms/aws-kms.c, kms/aws-sts.c and the files of Azure do it. */
static void
judge (size_t i, const struct http_answer *answer, struct kms_outcome *outcome)
{
  static const struct aws_asked kms = {"kms", "Decrypt", "key"},
                                sts = {"sts", "AssumeRole", "role"};
  const struct aws_asked *asked = spoken[i].from == STS ? &sts : &kms;
  unsigned advice;

  if (spoken[i].from == CLIENT)
    kms_outcome_set (outcome, KMS_CORRUPT, spoken[i].name, "%s", spoken[i].message);
  else if (spoken[i].from == VAULT)
    azure_classify (AZURE_SERVICE_VAULT, AZURE_UNWRAP, "key", answer, outcome);
  else if (is_azure (spoken[i].from))
    azure_classify (spoken[i].from == ENTRA ? AZURE_SERVICE_ENTRA : AZURE_SERVICE_IDENTITY,
                    AZURE_NONE, "identity", answer, outcome);
  else if (answer->failure != HTTP_ANSWERED)
    aws_no_answer (answer, "AWS KMS", outcome);
  else
    aws_classify (asked, answer, outcome, &advice);
}

static void
add (bool azure, struct wire_answer *answer)
{
  answer->may_fail_over = kms_outcome_may_fail_over (&answer->outcome);
  by_meaning[azure][answer->meaning][count_by_meaning[azure][answer->meaning]++] = answer;
}

static void
judge_spoken (size_t i, struct wire_answer *ret)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {
      .failure = spoken[i].failure, .status = spoken[i].status, .detail = "no such luck"};
  char body[600];

  answer.date_s = (int64_t)time (NULL) + spoken[i].skew_s;
  snprintf (answer.request_id, sizeof answer.request_id, "request-%zu", i);
  if (answer.failure == HTTP_ANSWERED && spoken[i].from != CLIENT) {
    write_body (i, body, sizeof body);
    if (secret_init (&answer.body, strlen (body) + 1, NULL) < 0)
      abort ();
    memcpy (answer.body.bytes, body, strlen (body));
    answer.body.size--;
  }
  ret->meaning = spoken[i].meaning;
  ret->what = spoken[i].name ? spoken[i].name : spoken[i].message;
  if (answer.failure != HTTP_ANSWERED)
    ret->what = http_failure_name (answer.failure);
  judge (i, &answer, &ret->outcome);
}

void
wire_init (void)
{
  for (int azure = 0; azure < 2; azure++) {
    struct wire_answer *good = &answers[azure][ARRAY_SIZE (spoken)];

    good->what = "yes";
    kms_outcome_set (&good->outcome, KMS_OK, "ok", "%s", "");
    add (azure, good);
    for (size_t i = 0; i < ARRAY_SIZE (spoken); i++) {
      if (spoken[i].from != CLIENT && is_azure (spoken[i].from) != azure)
        continue;
      judge_spoken (i, &answers[azure][i]);
      add (azure, &answers[azure][i]);
      if (spoken[i].failure == HTTP_TIMEOUT)
        timeouts[azure] = &answers[azure][i];
    }
  }
}

const struct wire_answer *
wire_pick (bool azure, enum wire_meaning meaning, uint32_t random)
{
  return by_meaning[azure][meaning][random % count_by_meaning[azure][meaning]];
}

const struct wire_answer *
wire_timeout (bool azure)
{
  return timeouts[azure];
}

const char *
wire_meaning_name (enum wire_meaning meaning)
{
  static const char *const names[WIRE_MEANINGS] = {"good",        "denied", "outage", "unclear",
                                                   "credentials", "clock",  "config", "corrupt"};

  return names[meaning];
}
