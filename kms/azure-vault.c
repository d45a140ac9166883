/* azure-vault.c owns what is known about each vault, and the requests to it. */
#include "kms/azure-vault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "kms/azure-challenge.h"
#include "kms/azure-credential.h"
#include "kms/azure-environment.h"
#include "kms/azure-send.h"

#define VAULTS_MAX 8
#define URL_MAX (WRAP_KEY_MAX + 64)

/* What a vault's challenge said, checked. */
struct vault {
  char base[AZURE_BASE_MAX]; /* empty: free */
  char resource[AZURE_BASE_MAX];
  char tenant[AZURE_TENANT_MAX];
};

static struct vault vaults[VAULTS_MAX];
static size_t next_vault; /* the one to be overwritten when all are taken */
static struct azure_token_cache tokens;

static struct vault *
find_vault (const struct azure_key *key)
{
  for (size_t i = 0; i < VAULTS_MAX; i++)
    if (strcmp (vaults[i].base, key->base) == 0)
      return &vaults[i];
  return NULL;
}

static struct vault *
remember_vault (const struct azure_key *key, const char *resource, const char *tenant)
{
  struct vault *vault = find_vault (key);

  if (!vault) {
    vault = &vaults[next_vault];
    next_vault = (next_vault + 1) % VAULTS_MAX;
  }
  snprintf (vault->base, sizeof vault->base, "%s", key->base);
  snprintf (vault->resource, sizeof vault->resource, "%s", resource);
  snprintf (vault->tenant, sizeof vault->tenant, "%s", tenant);
  return vault;
}

/* ---- requests ---- */

/* Without a version there are two slashes, as Microsoft's own clients have it. */
static void
make_url (const struct azure_call *call, char url[URL_MAX])
{
  const struct azure_key *key = call->key;
  const char *version = strcmp (call->suffix, "/rotationpolicy") == 0 ? "" : key->version;
  const char *slash = *version || call->body ? "/" : "";

  snprintf (url, URL_MAX, "%s/keys/%s%s%s%s?api-version=" AZURE_API_VERSION, key->base, key->name,
            slash, version, call->suffix);
}

static int
send_once (const struct azure_call *call, const struct azure_token *token,
           struct http_answer *answer, struct kms_outcome *outcome)
{
  char url[URL_MAX], subject[WRAP_KEY_MAX];
  struct http_request request = {.method = call->body ? "POST" : "GET",
                                 .url = url,
                                 .headers = {{"Accept", NULL, "application/json"}},
                                 .keep = true};
  int r;

  make_url (call, url);
  snprintf (subject, sizeof subject, "%s/keys/%s", call->key->base, call->key->name);
  if (call->body)
    request.headers[1] = (struct http_header){"Content-Type", NULL, "application/json"};
  if (token) {
    request.headers[call->body ? 2 : 1] =
        (struct http_header){"Authorization", "Bearer ", secret_get_text (&token->value)};
    request.body = call->body ? secret_text_get (call->body) : NULL;
    request.body_size = call->body ? call->body->length : 0;
  }
  r = azure_send (AZURE_SERVICE_VAULT, call->operation, subject, call->deadline_ms, &request,
                  answer, outcome);
  snprintf (outcome->request_id, sizeof outcome->request_id, "%s", answer->request_id);
  kms_text_clean (outcome->request_id);
  return r;
}

static bool
is_challenged (const struct http_answer *answer)
{
  return answer->failure == HTTP_ANSWERED && answer->status == 401;
}

/* Believes a 401's challenge, or says why not.  The claims are left in *challenge. */
static int
take_challenge (const struct azure_call *call, const struct http_answer *answer,
                struct azure_challenge *challenge, struct kms_outcome *outcome)
{
  char authority[AZURE_BASE_MAX];

  if (azure_challenge_parse (answer->www_authenticate, challenge) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                            "%.150s answered 401 without the challenge of a Key Vault",
                            call->key->base);
  if (azure_authority (call->key, authority, outcome) < 0
      || azure_challenge_check (challenge, call->key, authority, outcome) < 0)
    return -1;
  remember_vault (call->key, challenge->resource, challenge->tenant);
  return 0;
}

int
azure_vault_discover (const struct azure_call *call, struct http_answer *ret_answer,
                      struct kms_outcome *outcome)
{
  struct azure_challenge challenge;

  if (send_once (call, NULL, ret_answer, outcome) == 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                            "%.150s answers without asking who we are: it is no Key Vault",
                            call->key->base);
  if (!is_challenged (ret_answer))
    return -1;
  return take_challenge (call, ret_answer, &challenge, outcome);
}

/* ---- tokens ---- */

/* A simulator's vault that wants tokens for real ones. */
static bool
is_simulated (const struct azure_key *key, const char *resource)
{
  char host[AZURE_HOST_MAX];

  if (key->cloud || azure_url_host (resource, false, host) < 0)
    return false;
  for (const struct azure_cloud *cloud = azure_clouds; cloud->name; cloud++)
    if (strcmp (host, cloud->vault_domain) == 0 || strcmp (host, cloud->hsm_domain) == 0)
      return true;
  return false;
}

static int
fetch_token (const struct azure_call *call, const struct vault *vault, const char *claims,
             const struct azure_token **ret_token, struct kms_outcome *outcome)
{
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  struct azure_need need = {.claims = claims, .deadline_ms = call->deadline_ms};

  if (azure_authority (call->key, need.authority, outcome) < 0)
    return -1;
  snprintf (need.resource, sizeof need.resource, "%s", vault->resource);
  snprintf (need.tenant, sizeof need.tenant, "%s", vault->tenant);
  need.simulated = is_simulated (call->key, vault->resource);
  if (azure_credential_fetch (&need, &token, outcome) < 0)
    return -1;
  *ret_token = azure_token_store (&tokens, vault->resource, clock_ms (), &token);
  return 0;
}

/* Half of the time is left for the request itself where there is an old token to go on with. */
static int
refresh_token (const struct azure_call *call, const struct vault *vault,
               const struct azure_token **token)
{
  struct azure_call early = *call;
  struct kms_outcome ignored = {0};
  uint64_t now_ms = clock_ms ();

  if (call->deadline_ms > now_ms)
    early.deadline_ms = now_ms + (call->deadline_ms - now_ms) / 2;
  return fetch_token (&early, vault, NULL, token, &ignored);
}

static int
find_token (const struct azure_call *call, const struct vault *vault,
            const struct azure_token **ret_token, struct kms_outcome *outcome)
{
  const struct azure_token *token;

  switch (azure_token_find (&tokens, vault->resource, clock_ms (), &token)) {
  case AZURE_TOKEN_NONE:
    return fetch_token (call, vault, NULL, ret_token, outcome);
  case AZURE_TOKEN_AGING:
    if (refresh_token (call, vault, &token) < 0)
      azure_token_postpone (&tokens, vault->resource, clock_ms ());
    break;
  case AZURE_TOKEN_FRESH:
    break;
  }
  *ret_token = token;
  return 0;
}

int
azure_vault_token (const struct azure_call *call, const struct azure_token **ret_token,
                   struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};

  if (!find_vault (call->key) && azure_vault_discover (call, &answer, outcome) < 0)
    return -1;
  return find_token (call, find_vault (call->key), ret_token, outcome);
}

void
azure_vault_drop_token (const struct azure_key *key)
{
  const struct vault *vault = find_vault (key);

  if (vault)
    azure_token_drop (&tokens, vault->resource);
}

/* ---- calls ---- */

/* After a 401 in spite of a token: with a new one, which fulfils the claims that were named. */
static int
call_again (const struct azure_call *call, struct http_answer *answer, struct kms_outcome *outcome)
{
  struct azure_challenge challenge = {0};
  const struct azure_token *token;
  const char *claims = NULL;

  azure_token_drop (&tokens, find_vault (call->key)->resource);
  /* A 401 need not have a challenge once a token was sent; then the old one holds. */
  if (*answer->www_authenticate && take_challenge (call, answer, &challenge, outcome) < 0)
    return -1;
  if (strcmp (challenge.error, "insufficient_claims") == 0 && *challenge.claims)
    claims = challenge.claims;
  if (fetch_token (call, find_vault (call->key), claims, &token, outcome) < 0)
    return -1;
  return send_once (call, token, answer, outcome);
}

int
azure_vault_call (const struct azure_call *call, struct http_answer *ret_answer,
                  struct kms_outcome *outcome)
{
  const struct azure_token *token;
  int r;

  if (azure_vault_token (call, &token, outcome) < 0)
    return -1;
  r = send_once (call, token, ret_answer, outcome);
  if (r < 0 && is_challenged (ret_answer))
    r = call_again (call, ret_answer, outcome);
  /* A denial is confirmed with new credentials; who is cut off from them keeps the old ones. */
  if (r < 0 && outcome->class == KMS_DENIED)
    azure_token_suspect (&tokens, find_vault (call->key)->resource, clock_ms ());
  return r;
}

/* ---- from parent to child ---- */

/* RESOURCE, TENANT, times and TOKEN, one a line; the clock is the same in both. */
int
azure_vault_print (const struct azure_key *key, struct secret *ret)
{
  CLEANUP_SECRET_TEXT struct secret_text text = {0};
  const struct vault *vault = find_vault (key);
  const struct azure_token *token;
  char times[80];

  if (!vault || azure_token_find (&tokens, vault->resource, clock_ms (), &token) == AZURE_TOKEN_NONE
      || secret_text_init (&text, token->value.size + 2 * AZURE_BASE_MAX) < 0)
    return -1;
  snprintf (times, sizeof times, "\n%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", token->got_ms,
            token->refresh_ms, token->expires_ms);
  secret_text_add (&text, vault->resource);
  secret_text_add (&text, "\n");
  secret_text_add (&text, vault->tenant);
  secret_text_add (&text, times);
  secret_text_add (&text, secret_get_text (&token->value));
  if (!secret_text_get (&text))
    return -1;
  text.memory.size = text.length + 1;
  secret_take (ret, &text.memory);
  return 0;
}

/* Cuts the line at *p off; NULL when there is none. */
static char *
take_line (char **p)
{
  char *line = *p, *end = strchr (line, '\n');

  if (!end)
    return NULL;
  *end = '\0';
  *p = end + 1;
  return line;
}

void
azure_vault_inherit (const struct azure_key *key, const struct secret *printed)
{
  CLEANUP_SECRET struct secret copy = {0};
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  char *p, *resource, *tenant, *times;

  if (printed->size == 0 || printed->bytes[printed->size - 1] != '\0'
      || secret_from_text ((const char *)printed->bytes, printed->size - 1, &copy) < 0)
    return;
  p = (char *)copy.bytes;
  resource = take_line (&p);
  tenant = resource ? take_line (&p) : NULL;
  times = tenant ? take_line (&p) : NULL;
  if (!times
      || sscanf (times, "%" SCNu64 " %" SCNu64 " %" SCNu64, &token.got_ms, &token.refresh_ms,
                 &token.expires_ms)
             != 3
      || secret_from_text (p, strlen (p), &token.value) < 0)
    return;
  remember_vault (key, resource, tenant);
  azure_token_store (&tokens, resource, clock_ms (), &token);
}

void
azure_vault_forget (void)
{
  for (size_t i = 0; i < VAULTS_MAX; i++)
    vaults[i] = (struct vault){0};
  next_vault = 0;
  azure_token_cache_clear (&tokens);
}
