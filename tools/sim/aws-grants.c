/* aws-grants.c owns grants: what they allow, and the operations on them. */
#include "tools/sim/aws-grants.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "tools/sim/aws-kms.h"

#define HEX_DIGITS "0123456789abcdef"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* ---- the lines --------------------------------------------------------------------------------
 */

/* The next grant, or NULL at the end; *rest goes on. */
static struct json *
next_grant (const char **rest)
{
  size_t length = *rest ? strcspn (*rest, "\n") : 0;
  struct json *grant = length > 0 ? json_parse (*rest, length) : NULL;

  if (length > 0)
    *rest += length + ((*rest)[length] == '\n');
  return grant;
}

/* The text without the grant of that id; *ret_found says whether it was there. */
static char *
without (const char *grants, const char *id, bool *ret_found)
{
  char *text = NULL;
  size_t size;
  FILE *f = open_memstream (&text, &size);
  struct json *grant;

  if (!f)
    abort ();
  *ret_found = false;
  while ((grant = next_grant (&grants))) {
    CLEANUP_FREE
    char *line = json_print (grant, false);
    const char *its_id = json_get_string (grant, "GrantId");

    if (its_id && strcmp (its_id, id) == 0)
      *ret_found = true;
    else
      fprintf (f, "%s\n", line ? line : "");
    json_free (grant);
  }
  fclose (f);
  return text;
}

/* ---- what they allow --------------------------------------------------------------------------
 */

static bool
has_pairs (const struct json *context, const struct json *wanted)
{
  for (size_t i = 0; i < json_size (wanted); i++) {
    const char *value = json_string_value (json_at (wanted, i)),
               *found = json_get_string (context, json_name (json_at (wanted, i)));

    if (!value || !found || strcmp (value, found) != 0)
      return false;
  }
  return true;
}

static bool
constraints_hold (const struct json *constraints, const struct json *context)
{
  const struct json *subset = json_get (constraints, "EncryptionContextSubset"),
                    *equal = json_get (constraints, "EncryptionContextEquals");

  if (subset && !has_pairs (context, subset))
    return false;
  return !equal || (has_pairs (context, equal) && json_size (equal) == json_size (context));
}

static bool
grant_allows (const struct json *grant, const struct policy_question *question)
{
  const char *grantee = json_get_string (grant, "GranteePrincipal");
  const struct json *operations = json_get (grant, "Operations");

  if (!grantee
      || (strcmp (grantee, question->principal_arn) != 0
          && strcmp (grantee, question->session_arn) != 0)
      || !constraints_hold (json_get (grant, "Constraints"), question->context))
    return false;
  for (size_t i = 0; i < json_size (operations); i++) {
    const char *operation = json_string_value (json_at (operations, i));

    if (operation && strcmp (operation, question->action + 4) == 0) /* behind "kms:" */
      return true;
  }
  return false;
}

bool
aws_grants_allow (const struct aws_key *key, const struct policy_question *question)
{
  const char *rest = key->grants;
  struct json *grant;
  bool allowed = false;

  while (!allowed && (grant = next_grant (&rest))) {
    allowed = grant_allows (grant, question);
    json_free (grant);
  }
  return allowed;
}

static bool
has_token (const struct aws_key *key, const char *token)
{
  const char *rest = key->grants;
  struct json *grant;
  bool found = false;

  while (!found && (grant = next_grant (&rest))) {
    const char *its_token = json_get_string (grant, "token");

    found = its_token && strcmp (its_token, token) == 0;
    json_free (grant);
  }
  return found;
}

int
aws_grants_check_tokens (struct aws_call *call, const struct aws_key *key)
{
  const struct json *tokens = json_get (call->params, "GrantTokens");

  for (size_t i = 0; i < json_size (tokens); i++) {
    const char *token = json_string_value (json_at (tokens, i));

    if (!token || !has_token (key, token))
      return aws_fail (call, "InvalidGrantTokenException", "Invalid grant token.");
  }
  return 0;
}

/* ---- the operations ---------------------------------------------------------------------------
 */

/* A copy of a member of params in the grant. */
static void
copy_member (struct aws_call *call, struct json *grant, const char *member)
{
  const struct json *value = json_get (call->params, member);
  CLEANUP_FREE
  char *text = value ? json_print (value, false) : NULL;
  struct json *copy = text ? json_parse (text, strlen (text)) : NULL;

  if (copy)
    json_set_value (grant, member, copy);
}

static int
add_grant (struct aws_call *call, struct aws_key *key, const char *grantee, char ret_id[65],
           char ret_token[65])
{
  CLEANUP_JSON struct json *grant = json_object_new ();
  CLEANUP_FREE
  char *line = NULL;
  char *grants = NULL;

  if (!grant)
    abort ();
  sim_random_text (HEX_DIGITS, 64, ret_id);
  sim_random_text (LETTERS, 64, ret_token);
  json_set_string (grant, "GrantId", ret_id);
  json_set_string (grant, "token", ret_token);
  json_set_string (grant, "GranteePrincipal", grantee);
  json_set_number (grant, "CreationDate", (double)call->ex->now_s);
  copy_member (call, grant, "Operations");
  copy_member (call, grant, "Constraints");
  copy_member (call, grant, "Name");
  line = json_print (grant, false);
  if (!line || asprintf (&grants, "%s%s\n", key->grants ? key->grants : "", line) < 0)
    abort ();
  if (strlen (grants) > 64 * 1024) {
    free (grants);
    return aws_fail (call, "LimitExceededException", "The key has too many grants.");
  }
  free (key->grants);
  key->grants = grants;
  return 0;
}

int
aws_create_grant (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  const char *grantee;
  char id[65], token[65];

  if (aws_need_string (call, "GranteePrincipal", &grantee) < 0
      || aws_find_authorized (call, "KeyId", "kms:CreateGrant", NULL, &key) < 0
      || aws_check_state (call, key) < 0)
    return -1;
  if (strncmp (grantee, "arn:", 4) != 0)
    return aws_fail (call, "InvalidArnException", "GranteePrincipal is not an ARN.");
  if (!json_is_array (json_get (call->params, "Operations"))
      || json_size (json_get (call->params, "Operations")) == 0)
    return aws_fail (call, "ValidationException", "Operations must not be empty.");
  if (add_grant (call, key, grantee, id, token) < 0)
    return -1;
  aws_key_save (call->ex->sim, key);
  json_set_string (reply, "GrantId", id);
  json_set_string (reply, "GrantToken", token);
  return 0;
}

int
aws_revoke_grant (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  const char *id;
  char *rest;
  bool found;

  (void)reply;
  if (aws_need_string (call, "GrantId", &id) < 0
      || aws_find_authorized (call, "KeyId", "kms:RevokeGrant", NULL, &key) < 0)
    return -1;
  rest = without (key->grants, id, &found);
  free (key->grants);
  key->grants = rest;
  if (!found)
    return aws_fail (call, "NotFoundException", "Grant ID %.64s not found", id);
  aws_key_save (call->ex->sim, key);
  return 0;
}

int
aws_list_grants (struct aws_call *call, struct json *reply)
{
  CLEANUP_AWS_KEY struct aws_key *key = NULL;
  struct json *list, *grant;
  const char *rest;
  char arn[AWS_ARN_MAX];

  if (aws_find_authorized (call, "KeyId", "kms:ListGrants", NULL, &key) < 0)
    return -1;
  aws_key_arn (key, arn);
  list = json_set_array (reply, "Grants");
  rest = key->grants;
  while ((grant = next_grant (&rest))) {
    struct json *one = json_append_object (list), *operations;
    const struct json *theirs = json_get (grant, "Operations");

    json_set_string (one, "KeyId", arn);
    json_set_string (one, "GrantId", json_get_string (grant, "GrantId"));
    json_set_string (one, "GranteePrincipal", json_get_string (grant, "GranteePrincipal"));
    operations = json_set_array (one, "Operations");
    for (size_t i = 0; i < json_size (theirs); i++)
      if (json_string_value (json_at (theirs, i)))
        json_append_string (operations, json_string_value (json_at (theirs, i)));
    json_free (grant);
  }
  json_set_bool (reply, "Truncated", false);
  return 0;
}
