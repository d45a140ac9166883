/* azure-token.c owns what a token's answer says, and the tokens that are kept. */
#include "kms/azure-token.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "kms/answer.h"

#define LIFETIME_MAX_S (48 * 3600) /* longer ones are shortened to it */

void
azure_token_clear (struct azure_token *token)
{
  secret_clear (&token->value);
  *token = (struct azure_token){0};
}

/* ---- answers ---- */

/* Entra says how long, managed identity in some versions only until when; both as numbers or as
 * digits.
 */
static int
get_lifetime (const struct answer *answer, int64_t *ret_s)
{
  int64_t expires_on;

  if (answer_int64 (answer, "expires_in", ret_s) == 0)
    return 0;
  if (answer_int64 (answer, "expires_on", &expires_on) < 0)
    return -1;
  *ret_s = expires_on - (int64_t)time (NULL);
  return 0;
}

static void
set_times (const struct answer *answer, int64_t lifetime_s, uint64_t now_ms,
           struct azure_token *token)
{
  uint64_t lifetime_ms = (uint64_t)MIN (lifetime_s, LIFETIME_MAX_S) * 1000;
  int64_t refresh_s;

  token->got_ms = now_ms;
  token->expires_ms = now_ms + lifetime_ms;
  /* A short-lived token is refreshed half-way. */
  if (lifetime_ms >= 2 * AZURE_REFRESH_EARLY_MS)
    token->refresh_ms = token->expires_ms - AZURE_REFRESH_EARLY_MS;
  else
    token->refresh_ms = now_ms + lifetime_ms / 2;
  if (answer_int64 (answer, "refresh_in", &refresh_s) == 0 && refresh_s > 0
      && refresh_s < LIFETIME_MAX_S)
    token->refresh_ms = MIN (token->refresh_ms, now_ms + (uint64_t)refresh_s * 1000);
}

static int
not_a_token (const char *why, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                          "the answer of the token service makes no sense: %.200s", why);
}

/* Tokens go into a header as they are. */
static bool
is_sendable (const struct secret *value)
{
  for (size_t i = 0; i + 1 < value->size; i++)
    if (value->bytes[i] <= 0x20 || value->bytes[i] > 0x7e)
      return false;
  return value->size > 1;
}

int
azure_token_from_answer (const void *body, size_t size, uint64_t now_ms, struct azure_token *ret,
                         struct kms_outcome *outcome)
{
  CLEANUP_AZURE_TOKEN struct azure_token token = {0};
  struct answer answer;
  int64_t lifetime_s;

  if (answer_init (&answer, body, size) < 0)
    return not_a_token ("it is no JSON object", outcome);
  if (answer_secret (&answer, "access_token", &token.value) < 0 || !is_sendable (&token.value))
    return not_a_token ("there is no token in it", outcome);
  if (get_lifetime (&answer, &lifetime_s) < 0)
    return not_a_token ("it does not say when the token expires", outcome);
  if (lifetime_s <= 0)
    return not_a_token ("the token has expired already (is the clock right?)", outcome);
  set_times (&answer, lifetime_s, now_ms, &token);
  *ret = token;
  token = (struct azure_token){0};
  return 0;
}

/* ---- the cache ---- */

static struct azure_token_entry *
find (struct azure_token_cache *cache, const char *resource)
{
  for (size_t i = 0; i < AZURE_TOKENS_MAX; i++)
    if (strcmp (cache->entries[i].resource, resource) == 0)
      return &cache->entries[i];
  return NULL;
}

static void
empty (struct azure_token_entry *entry)
{
  azure_token_clear (&entry->token);
  *entry = (struct azure_token_entry){0};
}

enum azure_token_state
azure_token_find (struct azure_token_cache *cache, const char *resource, uint64_t now_ms,
                  const struct azure_token **ret_token)
{
  struct azure_token_entry *entry = find (cache, resource);

  *ret_token = NULL;
  if (!entry)
    return AZURE_TOKEN_NONE;
  if (entry->token.value.owner != getpid () || now_ms >= entry->token.expires_ms) {
    empty (entry);
    return AZURE_TOKEN_NONE;
  }
  entry->used_ms = now_ms;
  *ret_token = &entry->token;
  return now_ms >= entry->token.refresh_ms ? AZURE_TOKEN_AGING : AZURE_TOKEN_FRESH;
}

const struct azure_token *
azure_token_store (struct azure_token_cache *cache, const char *resource, uint64_t now_ms,
                   struct azure_token *token)
{
  struct azure_token_entry *entry = find (cache, resource);

  for (size_t i = 0; !entry && i < AZURE_TOKENS_MAX; i++)
    if (!cache->entries[i].resource[0])
      entry = &cache->entries[i];
  if (!entry) {
    entry = &cache->entries[0];
    for (size_t i = 1; i < AZURE_TOKENS_MAX; i++)
      if (cache->entries[i].used_ms < entry->used_ms)
        entry = &cache->entries[i];
  }
  empty (entry);
  snprintf (entry->resource, sizeof entry->resource, "%s", resource);
  entry->token = *token;
  entry->used_ms = now_ms;
  *token = (struct azure_token){0};
  return &entry->token;
}

void
azure_token_postpone (struct azure_token_cache *cache, const char *resource, uint64_t now_ms)
{
  struct azure_token_entry *entry = find (cache, resource);

  if (entry)
    entry->token.refresh_ms = now_ms + AZURE_REFRESH_PAUSE_MS;
}

void
azure_token_suspect (struct azure_token_cache *cache, const char *resource, uint64_t now_ms)
{
  struct azure_token_entry *entry = find (cache, resource);

  if (entry && now_ms - entry->token.got_ms > AZURE_REFRESH_EARLY_MS)
    entry->token.refresh_ms = now_ms;
}

void
azure_token_drop (struct azure_token_cache *cache, const char *resource)
{
  struct azure_token_entry *entry = find (cache, resource);

  if (entry)
    empty (entry);
}

void
azure_token_cache_clear (struct azure_token_cache *cache)
{
  for (size_t i = 0; i < AZURE_TOKENS_MAX; i++)
    empty (&cache->entries[i]);
}
