/* aws-credentials.c owns the credentials in use: getting, keeping and renewing them. */
#include "kms/aws-credentials.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "common/checked.h"
#include "kms/answer.h"
#include "kms/aws-source.h"
#include "kms/handover.h"

/* botocore's windows, which AWS documents for all its SDKs. */
#define ADVISORY_S (15 * 60)
#define MANDATORY_S (10 * 60)
#define TRY_AGAIN_S 60
#define STABLE_TRY_AGAIN_S (15 * 60)
#define STABLE_JITTER_MIN_S (2 * 60)
#define STABLE_JITTER_MAX_S (10 * 60)

static struct {
  struct aws_credentials credentials;
  bool have, distrusted, worked_before;
  int64_t not_before_s; /* when the next early renewal may be tried */
  int64_t fake_now_s;
} cache;

/* ---- one set of credentials ---- */

void
aws_credentials_clear (struct aws_credentials *credentials)
{
  secret_clear (&credentials->secret_key);
  secret_clear (&credentials->session_token);
  *credentials = (struct aws_credentials){0};
}

void
aws_credentials_take (struct aws_credentials *dst, struct aws_credentials *src)
{
  aws_credentials_clear (dst);
  *dst = *src;
  src->secret_key = src->session_token = (struct secret){0};
  aws_credentials_clear (src);
}

/* Printable ASCII without blanks: everything else is a file that was cut or a foreign one. */
static bool
is_token (const char *text)
{
  if (*text == '\0')
    return false;
  for (; *text; text++)
    if (*text <= 0x20 || *text >= 0x7f)
      return false;
  return true;
}

int
aws_credentials_set (struct aws_credentials *ret, const char *access_key, struct secret *secret_key,
                     struct secret *token)
{
  if (!is_token (access_key) || strlen (access_key) >= sizeof ret->access_key
      || !is_token (secret_get_text (secret_key))
      || (token->bytes && !is_token (secret_get_text (token))))
    return -1;
  snprintf (ret->access_key, sizeof ret->access_key, "%s", access_key);
  secret_take (&ret->secret_key, secret_key);
  secret_take (&ret->session_token, token);
  return 0;
}

int
aws_parse_time (const char *text, int64_t *ret_s)
{
  struct tm tm = {0};
  const char *p = strptime (text, "%Y-%m-%dT%H:%M:%S", &tm);
  int64_t offset_s = 0;
  int hours, minutes, used = 0;
  char sign;

  if (!p)
    return -1;
  if (*p == '.')
    p += 1 + strspn (p + 1, "0123456789");
  if (sscanf (p, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) == 3 && p[used] == '\0'
      && (sign == '+' || sign == '-'))
    offset_s = (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  else if (strcmp (p, "Z") != 0)
    return -1;
  *ret_s = (int64_t)timegm (&tm) - offset_s;
  return 0;
}

static int
parse_expiration (const struct answer *json, int64_t *ret_s)
{
  char text[64];

  *ret_s = 0;
  if (!answer_has (json, "Expiration"))
    return 0;
  return answer_string (json, "Expiration", text, sizeof text) < 0
                 || aws_parse_time (text, ret_s) < 0
             ? -1
             : 0;
}

int
aws_credentials_parse (const char *text, size_t size, const char *token_name, const char *what,
                       struct aws_credentials *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret secret_key = {0}, token = {0};
  char access_key[AWS_ACCESS_KEY_MAX];
  struct answer json;
  int64_t expires_s = 0;

  if (answer_init (&json, text, size) < 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_credentials",
                            "what %.150s gave is no JSON object", what);
  if (answer_string (&json, "AccessKeyId", access_key, sizeof access_key) < 0
      || answer_secret (&json, "SecretAccessKey", &secret_key) < 0
      || parse_expiration (&json, &expires_s) < 0
      || (answer_has (&json, token_name) && answer_secret (&json, token_name, &token) < 0)
      || aws_credentials_set (ret, access_key, &secret_key, &token) < 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "bad_credentials",
                            "what %.150s gave are no AWS credentials", what);
  ret->expires_s = expires_s;
  return 0;
}

/* ---- the chain ---- */

/* AWS' order.  A profile has its own (aws-source-profile.c). */
static int
search (struct aws_context *context, struct aws_credentials *ret, struct kms_outcome *outcome)
{
  const char *profile = context->config.profile;
  int r = aws_source_environment (context, profile, ret, outcome);

  if (r == 0 && aws_env ("AWS_WEB_IDENTITY_TOKEN_FILE")) {
    r = aws_source_assume_role (context, profile, ret, outcome);
    if (r == 0)
      r = aws_source_web_identity_environment (context, profile, ret, outcome);
  }
  if (r == 0)
    r = aws_source_profile (context, profile, false, ret, outcome);
  if (r == 0)
    r = aws_source_container (context, profile, ret, outcome);
  if (r == 0)
    r = aws_source_instance (context, profile, ret, outcome);
  if (r == 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "no_credentials",
                            AWS_NONE_FOUND "(6) the instance's role: AWS_EC2_METADATA_DISABLED is "
                                           "set; set up one of them (keyfence-keys(7))",
                            profile);
  return r < 0 ? -1 : 0;
}

/* ---- keeping ---- */

static int64_t
now_s (void)
{
  return cache.fake_now_s ? cache.fake_now_s : (int64_t)time (NULL);
}

/* What a parent had is not there after a fork. */
static void
forget_foreign (void)
{
  if (cache.have && cache.credentials.secret_key.owner != getpid ()) {
    aws_credentials_clear (&cache.credentials);
    cache.have = false;
  }
}

static int64_t
jitter_s (void)
{
  uint16_t value = 0;

  if (RAND_bytes ((unsigned char *)&value, sizeof value) != 1)
    return STABLE_JITTER_MIN_S;
  return STABLE_JITTER_MIN_S + value % (STABLE_JITTER_MAX_S - STABLE_JITTER_MIN_S);
}

/* Whether new ones are wanted. */
static bool
is_due (void)
{
  const struct aws_credentials *c = &cache.credentials;
  int64_t left_s = c->expires_s - now_s ();

  if (!cache.have || cache.distrusted || !c->keep)
    return true;
  if (c->expires_s == 0 || left_s >= ADVISORY_S)
    return false;
  if (left_s >= MANDATORY_S || (c->stable && left_s <= 0))
    return now_s () >= cache.not_before_s;
  return true;
}

/* Whether the old ones do until the next try. */
static bool
may_use_old (enum kms_class failed_as)
{
  const struct aws_credentials *c = &cache.credentials;
  int64_t left_s = c->expires_s - now_s ();

  if (!cache.have || !c->keep)
    return false;
  if (failed_as == KMS_DENIED)
    return c->expires_s == 0 ? !cache.distrusted : left_s >= MANDATORY_S && !cache.distrusted;
  return c->expires_s == 0 || left_s > 0 || c->stable;
}

static void
adopt (struct aws_credentials *fresh)
{
  aws_credentials_take (&cache.credentials, fresh);
  cache.have = cache.worked_before = true;
  cache.distrusted = false;
  cache.not_before_s = 0;
  /* The metadata service may serve credentials that have expired, when it has no others. */
  if (cache.credentials.expires_s && cache.credentials.expires_s <= now_s ())
    cache.not_before_s = now_s () + STABLE_TRY_AGAIN_S + jitter_s ();
}

static void
postpone (void)
{
  const struct aws_credentials *c = &cache.credentials;
  bool expired = c->expires_s && c->expires_s <= now_s ();

  cache.distrusted = false;
  cache.not_before_s =
      now_s () + (c->stable && expired ? STABLE_TRY_AGAIN_S + jitter_s () : TRY_AGAIN_S);
}

int
aws_credentials_get (struct aws_context *context, const struct aws_credentials **ret,
                     struct kms_outcome *outcome)
{
  CLEANUP_AWS_CREDENTIALS struct aws_credentials fresh = {0};

  forget_foreign ();
  if (is_due ()) {
    if (search (context, &fresh, outcome) == 0)
      adopt (&fresh);
    else if (may_use_old (outcome->class))
      postpone ();
    else
      return -1;
  }
  *ret = &cache.credentials;
  return 0;
}

void
aws_credentials_distrust (void)
{
  cache.distrusted = true;
}

void
aws_credentials_drop (void)
{
  forget_foreign ();
  aws_credentials_clear (&cache.credentials);
  cache.have = cache.distrusted = false;
  cache.not_before_s = 0;
}

bool
aws_credentials_worked_before (void)
{
  return cache.worked_before;
}

void
aws_credentials_reset (int64_t now)
{
  aws_credentials_drop ();
  cache.worked_before = false;
  cache.fake_now_s = now;
}

void
aws_credentials_set_clock (int64_t now)
{
  cache.fake_now_s = now;
}

/* ---- to a child ---- */

/* The wire form is that of a credential process, with what else is to be known. */
int
aws_credentials_give (const struct aws_credentials *credentials, int *ret_fd)
{
  CLEANUP_SECRET_TEXT struct secret_text text = {0};

  if (secret_text_init (&text, HANDOVER_MAX - 1) < 0)
    return -1;
  secret_text_add (&text, "{\"AccessKeyId\":");
  secret_text_add_json (&text, credentials->access_key);
  secret_text_add (&text, ",\"SecretAccessKey\":");
  secret_text_add_json (&text, secret_get_text (&credentials->secret_key));
  if (credentials->session_token.bytes) {
    secret_text_add (&text, ",\"SessionToken\":");
    secret_text_add_json (&text, secret_get_text (&credentials->session_token));
  }
  secret_text_add (&text, ",\"Source\":");
  secret_text_add_json (&text, credentials->source);
  secret_text_add (&text, "}");
  if (!secret_text_get (&text))
    return -1;
  text.memory.size = text.length;
  return handover_give (&text.memory, ret_fd);
}

/* The child lives for one operation: for it, they do not expire. */
void
aws_credentials_inherit (int fd)
{
  CLEANUP_SECRET struct secret text = {0};
  CLEANUP_AWS_CREDENTIALS struct aws_credentials credentials = {0};
  struct kms_outcome ignored;
  struct answer json;

  forget_foreign ();
  if (handover_take (fd, &text) < 0)
    return;
  if (aws_credentials_parse ((const char *)text.bytes, text.size, "SessionToken", "the agent",
                             &credentials, &ignored)
      < 0)
    return;
  if (answer_init (&json, (const char *)text.bytes, text.size) < 0
      || answer_string (&json, "Source", credentials.source, sizeof credentials.source) < 0)
    credentials.source[0] = '\0';
  credentials.keep = true;
  adopt (&credentials);
}
