/* aws-kms.c owns requests to AWS KMS: their JSON, their tries, and the judging of what comes back.
 */
#include "kms/aws-kms.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/aws-credentials.h"
#include "kms/aws-errors.h"
#include "kms/backoff.h"
#include "kms/secret-text.h"

#define BODY_MAX ((size_t)16 * 1024) /* a blob of 6144 bytes in base64, and the rest */
#define GRANT_TOKENS_MAX 10
#define GRANT_FILE_MAX ((size_t)128 * 1024)
#define TRIES 3
#define PAUSE_MS 100
#define PAUSE_CAP_MS 2000

/* ---- the request ---- */

static void
add_name (struct secret_text *body, const char *name)
{
  secret_text_add (body, body->length > 1 ? "," : "");
  secret_text_add_json (body, name);
  secret_text_add (body, ":");
}

static void
add_string (struct secret_text *body, const char *name, const char *value)
{
  if (!value)
    return;
  add_name (body, name);
  secret_text_add_json (body, value);
}

static void
add_base64 (struct secret_text *body, const char *name, const uint8_t *bytes, size_t size)
{
  add_name (body, name);
  secret_text_add (body, "\"");
  secret_text_add_base64 (body, bytes, size, BASE64_STANDARD);
  secret_text_add (body, "\"");
}

static void
add_context (struct secret_text *body, const char *volume)
{
  if (!volume)
    return;
  add_name (body, "EncryptionContext");
  secret_text_add (body, "{");
  secret_text_add_json (body, AWS_CONTEXT_NAME);
  secret_text_add (body, ":");
  secret_text_add_json (body, volume);
  secret_text_add (body, "}");
}

/* The text of the file with grant tokens, or NULL: a file that is gone has served its time. */
static char *
read_grants (const char *path)
{
  char *text = NULL;
  struct stat st;
  size_t size;

  if (!path || !path[0] || stat (path, &st) < 0 || !S_ISREG (st.st_mode))
    return NULL;
  return read_file (path, GRANT_FILE_MAX, &text, &size) == 0 ? text : NULL;
}

static void
add_grants (struct secret_text *body, char *tokens)
{
  char *rest = tokens, *token;
  size_t count = 0;

  while (rest && (token = strsep (&rest, "\r\n")) && count < GRANT_TOKENS_MAX) {
    if (token[0] == '\0')
      continue;
    if (count++ == 0)
      add_name (body, "GrantTokens");
    secret_text_add (body, count == 1 ? "[" : ",");
    secret_text_add_json (body, token);
  }
  if (count)
    secret_text_add (body, "]");
}

static int
build (const struct aws_kms_request *request, bool grants, struct secret_text *body)
{
  CLEANUP_FREE
  char *tokens = grants ? read_grants (request->grant_file) : NULL;
  char number[16];

  if (secret_text_init (body, BODY_MAX + (tokens ? 2 * strlen (tokens) : 0)) < 0)
    return -1;
  secret_text_add (body, "{");
  add_string (body, "KeyId", request->key);
  add_string (body, "EncryptionAlgorithm", request->algorithm);
  add_context (body, request->volume);
  if (request->plain)
    add_base64 (body, "Plaintext", request->plain->bytes, request->plain->size);
  if (request->blob)
    add_base64 (body, "CiphertextBlob", request->blob->bytes, request->blob->size);
  if (request->number_of_bytes) {
    snprintf (number, sizeof number, "%u", request->number_of_bytes);
    add_name (body, "NumberOfBytes");
    secret_text_add (body, number);
  }
  add_grants (body, tokens);
  secret_text_add (body, "}");
  return secret_text_get (body) ? 0 : -1;
}

/* ---- one try ---- */

static int
post (const struct aws_context *context, const struct aws_credentials *credentials,
      const char *operation, const struct secret_text *body, struct http_answer *ret)
{
  const struct http_sigv4 sigv4 = {credentials->access_key,
                                   secret_get_text (&credentials->secret_key), context->key_region,
                                   "kms"};
  struct http_request request = {
      .method = "POST",
      .url = context->kms_url,
      .headers = {{"Content-Type", NULL, "application/x-amz-json-1.1"},
                  {"X-Amz-Target", "TrentService.", operation}},
      .body = body->memory.bytes,
      .body_size = body->length,
      .sigv4 = &sigv4,
      .timeout_ms = aws_time_left_ms (context, 0),
      .connect_timeout_ms = aws_time_left_ms (context, 0) / 2,
      .allow_plain = context->kms_is_custom,
      .keep = true,
      .ca_bundle = context->ca_bundle[0] ? context->ca_bundle : NULL,
  };

  if (credentials->session_token.bytes)
    request.headers[2] = (struct http_header){"X-Amz-Security-Token", NULL,
                                              secret_get_text (&credentials->session_token)};
  return http_exchange (&request, ret);
}

int
aws_kms_bad_answer (const struct aws_kms_request *request, struct kms_outcome *outcome)
{
  return kms_outcome_set (
      outcome, KMS_OUTAGE, "bad_answer",
      "AWS KMS answered %s for %.200s with something else than it should; find out what answers "
      "there instead of AWS (a proxy?)",
      request->operation, request->key);
}

static void
note_id (const struct http_answer *answer, struct kms_outcome *outcome)
{
  snprintf (outcome->request_id, sizeof outcome->request_id, "%s", answer->request_id);
  kms_text_clean (outcome->request_id);
}

/* 0, or -1 with *outcome and what may be done about it. */
static int
judge (const struct aws_context *context, const struct aws_kms_request *request,
       struct aws_kms_answer *ret, struct kms_outcome *outcome, unsigned *ret_advice)
{
  const struct aws_asked asked = {"kms", request->operation, request->key};

  ret->skew_s = aws_clock_skew_s (&ret->http);
  note_id (&ret->http, outcome);
  if (ret->http.failure != HTTP_ANSWERED) {
    *ret_advice = ret->http.failure == HTTP_REFUSED || ret->http.failure == HTTP_TLS_VERIFY
                      ? AWS_GIVE_UP
                      : AWS_RETRY;
    return aws_no_answer (&ret->http, context->kms_url, outcome);
  }
  if (ret->http.status != 200)
    return aws_classify (&asked, &ret->http, outcome, ret_advice);
  *ret_advice = AWS_RETRY;
  if (answer_init (&ret->json, (const char *)ret->http.body.bytes, ret->http.body.size) < 0)
    return aws_kms_bad_answer (request, outcome);
  return 0;
}

static int
try_once (struct aws_context *context, const struct aws_kms_request *request, bool grants,
          struct aws_kms_answer *ret, struct kms_outcome *outcome, unsigned *ret_advice)
{
  CLEANUP_SECRET_TEXT struct secret_text body = {0};
  const struct aws_credentials *credentials;

  *ret_advice = AWS_GIVE_UP;
  aws_kms_answer_clear (ret);
  if (aws_credentials_get (context, &credentials, outcome) < 0)
    return -1;
  if (build (request, grants, &body) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory",
                            "no memory for a request to AWS KMS, or it is too long");
  if (post (context, credentials, request->operation, &body, &ret->http) < 0)
    http_close_kept (); /* the next try is not to meet what broke this one */
  return judge (context, request, ret, outcome, ret_advice);
}

int
aws_kms_call (struct aws_context *context, const struct aws_kms_request *request,
              struct aws_kms_answer *ret, struct kms_outcome *outcome)
{
  struct backoff backoff = {context->deadline_ms, PAUSE_MS, PAUSE_CAP_MS, 0, TRIES};
  bool refreshed = false, grants = true;
  unsigned advice;

  for (;;) {
    if (try_once (context, request, grants, ret, outcome, &advice) == 0)
      return 0;
    if (advice & (AWS_REFRESH | AWS_DISTRUST))
      aws_credentials_distrust ();
    if ((advice & AWS_REFRESH) && !refreshed)
      refreshed = true;
    else if ((advice & AWS_DROP_GRANTS) && grants)
      grants = false;
    else if (!(advice & AWS_RETRY) || !backoff_wait (&backoff, 0))
      return -1;
  }
}

void
aws_kms_answer_clear (struct aws_kms_answer *answer)
{
  http_answer_clear (&answer->http);
  *answer = (struct aws_kms_answer){0};
}
