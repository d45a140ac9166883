/* key-service.c owns how subcommands ask for keys. */
#include "tools/key-service.h"

#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/paths.h"
#include "tools/progress.h"

int
key_service_open (struct kms_client **ret_client, struct error *err)
{
  CLEANUP_FREE char *agent = path_agent (NULL);

  if (!agent)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  return kms_client_new (agent, ret_client, err);
}

int
key_service_token (struct kms_client *client, const char *key, const char *uuid,
                   struct secret *volume_key, struct token **ret_token, struct error *err)
{
  CLEANUP_PROGRESS struct progress *progress = progress_start ("asking the key service", 0);
  CLEANUP_TOKEN struct token *token = calloc (1, sizeof *token);
  struct kms_outcome outcome = {0};
  int r;

  if (!token)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (volume_key->bytes)
    r = kms_client_wrap (client, key, uuid, volume_key, KEY_SERVICE_TIMEOUT_MS, &token->wraps[0],
                         &outcome);
  else
    r = kms_client_generate (client, key, uuid, KEY_SERVICE_TIMEOUT_MS, volume_key,
                             &token->wraps[0], &outcome);
  if (r < 0)
    return kms_outcome_error (&outcome, err);
  token->wrap_count = 1;
  token->wraps[0].id = 1;
  token->wraps[0].role = WRAP_PRIMARY;
  *ret_token = token;
  token = NULL;
  return 0;
}

/* Keys are the same when their services call them so.  A file has many names, but the id of its
 * bytes is one; elsewhere different keys may share that (replicas of a multi-Region key do).
 */
static bool
is_same_key (const struct wrap *a, const struct wrap *b)
{
  static const char scheme[] = "file:";

  if (strcmp (a->key, b->key) == 0)
    return true;
  return strncmp (a->key, scheme, strlen (scheme)) == 0
         && strncmp (b->key, scheme, strlen (scheme)) == 0
         && strcmp (a->key_version, b->key_version) == 0;
}

static uint32_t
next_id (const struct token *token)
{
  uint32_t id = 0;

  for (size_t i = 0; i < token->wrap_count; i++)
    id = MAX (id, token->wraps[i].id);
  return id + 1;
}

int
key_service_add_secondary (struct kms_client *client, const char *key, const char *uuid,
                           const struct secret *volume_key, struct token *token, struct error *err)
{
  CLEANUP_PROGRESS struct progress *progress = progress_start ("asking the key service", 0);
  struct kms_outcome outcome = {0};
  struct wrap *wrap;

  if (token->wrap_count == TOKEN_WRAPS_MAX)
    return error_set (err, ERROR_USAGE, "%s: a volume has at most %d wraps", key, TOKEN_WRAPS_MAX);
  wrap = &token->wraps[token->wrap_count];
  if (kms_client_wrap (client, key, uuid, volume_key, KEY_SERVICE_TIMEOUT_MS, wrap, &outcome) < 0) {
    (void)kms_outcome_error (&outcome, err);
    return error_prefix (err, "the secondary key");
  }
  for (size_t i = 0; i < token->wrap_count; i++)
    if (is_same_key (&token->wraps[i], wrap))
      return error_set (err, ERROR_USAGE,
                        "%s is the same key as %s: a second wrap by it protects from nothing", key,
                        token->wraps[i].key);
  wrap->id = next_id (token);
  wrap->role = WRAP_SECONDARY;
  token->wrap_count++;
  return 0;
}

static int
prove_wrap (struct kms_client *client, struct header *header, const struct wrap *wrap,
            const char *path, struct error *err)
{
  CLEANUP_SECRET struct secret volume_key = {0};
  struct kms_outcome outcome = {0};

  if (kms_client_unwrap (client, wrap, header_info (header)->uuid, false, KEY_SERVICE_TIMEOUT_MS,
                         &volume_key, &outcome)
      < 0) {
    (void)kms_outcome_error (&outcome, err);
    return error_prefix (err, "%s: the new wrap by %.160s does not open", path, wrap->key);
  }
  return header_verify (header, &volume_key, err);
}

int
key_service_prove (struct kms_client *client, int fd, const char *path, const char *uuid,
                   struct error *err)
{
  CLEANUP_PROGRESS struct progress *progress = progress_start ("verifying", 0);
  CLEANUP_HEADER struct header *header = NULL;
  const struct token *token;

  if (header_load (fd, path, true, &header, err) < 0)
    return error_prefix (err, "reading back what was written");
  token = header_token (header);
  if (!token_primary (token) || strcmp (header_info (header)->uuid, uuid) != 0)
    return error_set (err, ERROR_CORRUPT,
                      "%s: reading back what was written found another header: does something else "
                      "write there?",
                      path);
  for (size_t i = 0; i < token->wrap_count; i++)
    if (prove_wrap (client, header, &token->wraps[i], path, err) < 0)
      return -1;
  return 0;
}
