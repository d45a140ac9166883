/* Access tokens of Entra and of managed identity, kept until they expire.
 *
 * Times are milliseconds on clock_ms (), which a change of the wall clock doesn't move.  A token is
 * refreshed some time before it expires (5 minutes, or when the service says); while that fails,
 * the old one serves on, and refreshing is tried again no sooner than AZURE_REFRESH_PAUSE_MS later.
 *
 * Tokens lie in secret memory, which a forked child does not have: there an entry of the parent is
 * as good as none.  One thread per process may use a cache.
 */
#ifndef KMS_AZURE_TOKEN_H
#define KMS_AZURE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/azure-uri.h"
#include "kms/outcome.h"

#define AZURE_REFRESH_EARLY_MS (5 * 60 * 1000)
#define AZURE_REFRESH_PAUSE_MS (10 * 1000)
#define AZURE_TOKENS_MAX 4

struct azure_token {
  struct secret value; /* NUL-terminated */
  uint64_t got_ms, refresh_ms, expires_ms;
};

#define CLEANUP_AZURE_TOKEN CLEANUP (azure_token_clear)
void azure_token_clear (struct azure_token *token);

/* The token in the body of a successful answer:
 *   {"access_token":"…","expires_in":3599,"refresh_in":…,"expires_on":…}
 * Numbers may be strings.  KMS_OUTAGE ("unexpected_answer") when it is nothing like that.
 */
int azure_token_from_answer (const void *body, size_t size, uint64_t now_ms,
                             struct azure_token *ret, struct kms_outcome *outcome) MUST_CHECK;

/* ---- the cache ---- */

struct azure_token_entry {
  char resource[AZURE_BASE_MAX]; /* empty: a free entry */
  struct azure_token token;
  uint64_t used_ms;
};

struct azure_token_cache {
  struct azure_token_entry entries[AZURE_TOKENS_MAX];
};

enum azure_token_state {
  AZURE_TOKEN_NONE,  /* or expired */
  AZURE_TOKEN_FRESH, /* to be used */
  AZURE_TOKEN_AGING, /* to be refreshed now, and usable if that fails */
};

/* *ret_token points into the cache (NULL for NONE), until the next call that changes it. */
enum azure_token_state azure_token_find (struct azure_token_cache *cache, const char *resource,
                                         uint64_t now_ms, const struct azure_token **ret_token);

/* Takes the token; it replaces the one for the same resource, or the one not used for longest. */
const struct azure_token *azure_token_store (struct azure_token_cache *cache, const char *resource,
                                             uint64_t now_ms, struct azure_token *token);

/* A refresh has failed: the next is due after a pause. */
void azure_token_postpone (struct azure_token_cache *cache, const char *resource, uint64_t now_ms);

/* The service said no: the next use is to refresh the token, unless that was done lately. */
void azure_token_suspect (struct azure_token_cache *cache, const char *resource, uint64_t now_ms);

void azure_token_drop (struct azure_token_cache *cache, const char *resource);
void azure_token_cache_clear (struct azure_token_cache *cache);

#endif
