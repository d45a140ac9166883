/* key-service.c owns how subcommands ask for keys. */
#include "tools/key-service.h"

#include <stdlib.h>
#include <string.h>

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

int
key_service_prove (struct kms_client *client, int fd, const char *path, const char *uuid,
                   struct error *err)
{
  CLEANUP_PROGRESS struct progress *progress = progress_start ("verifying", 0);
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_SECRET struct secret volume_key = {0};
  struct kms_outcome outcome = {0};
  const struct wrap *wrap;

  if (header_load (fd, path, true, &header, err) < 0)
    return error_prefix (err, "reading back what was written");
  wrap = token_primary (header_token (header));
  if (!wrap || strcmp (header_info (header)->uuid, uuid) != 0)
    return error_set (err, ERROR_CORRUPT,
                      "%s: reading back what was written found another header: does something else "
                      "write there?",
                      path);
  if (kms_client_unwrap (client, wrap, uuid, KEY_SERVICE_TIMEOUT_MS, &volume_key, &outcome) < 0) {
    (void)kms_outcome_error (&outcome, err);
    return error_prefix (err, "%s: the new wrap does not open", path);
  }
  return header_verify (header, &volume_key, err);
}
