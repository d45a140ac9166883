/* aws-names.c owns what a KeyId means: ids, ARNs, aliases. */
#include <stdio.h>
#include <string.h>

#include "tools/sim/aws-keys.h"
#include "tools/sim/store.h"

#define ALIASES "aws/aliases"

/* ---- aliases ----------------------------------------------------------------------------------
 */

bool
aws_alias_name_ok (const char *alias)
{
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "/_-";

  return strncmp (alias, "alias/", 6) == 0 && alias[6] && strlen (alias) <= 120
         && alias[strspn (alias, allowed)] == '\0';
}

/* REGION,ACCOUNT,alias~NAME */
static void
alias_file (const char *region, const char *account, const char *alias, char ret[STORE_NAME_MAX])
{
  snprintf (ret, STORE_NAME_MAX, "%s,%s,%s", region, account, alias);
  for (char *c = ret; *c; c++)
    if (*c == '/')
      *c = '~';
}

void
aws_alias_save (struct sim *sim, const char *region, const char *account, const char *alias,
                const char *key_id)
{
  CLEANUP_JSON struct json *json = json_object_new ();
  char name[STORE_NAME_MAX];

  if (!json)
    abort ();
  json_set_string (json, "alias", alias);
  json_set_string (json, "key", key_id);
  alias_file (region, account, alias, name);
  store_save (sim->dir_fd, ALIASES, name, json);
}

bool
aws_alias_remove (struct sim *sim, const char *region, const char *account, const char *alias)
{
  char name[STORE_NAME_MAX];

  alias_file (region, account, alias, name);
  return store_remove (sim->dir_fd, ALIASES, name);
}

int
aws_alias_target (struct sim *sim, const char *region, const char *account, const char *alias,
                  char *ret_id, size_t size)
{
  char name[STORE_NAME_MAX];
  CLEANUP_JSON struct json *json = NULL;
  const char *id;

  if (!aws_alias_name_ok (alias))
    return -1;
  alias_file (region, account, alias, name);
  json = store_load (sim->dir_fd, ALIASES, name);
  id = json_get_string (json, "key");
  if (!id || strlen (id) >= size)
    return -1;
  memcpy (ret_id, id, strlen (id) + 1);
  return 0;
}

/* ---- KeyId ------------------------------------------------------------------------------------
 */

/* What is named, after an ARN was taken apart. */
struct name {
  char text[AWS_ARN_MAX];
  const char *account,
      *resource; /* "key/ID" or "alias/NAME"; without an ARN "ID" or "alias/NAME" */
};

/* arn:PARTITION:kms:REGION:ACCOUNT:RESOURCE, for this endpoint's region. */
static int
split_arn (struct aws_call *call, struct name *name)
{
  char *rest = name->text, *part[5];

  for (int i = 0; i < 5; i++)
    part[i] = strsep (&rest, ":");
  if (!rest || strcmp (part[1], aws_partition (call->region)) != 0 || strcmp (part[2], "kms") != 0
      || strlen (part[4]) != 12)
    return aws_fail (call, "NotFoundException", "Invalid arn");
  if (strcmp (part[3], call->region) != 0)
    return aws_fail (call, "NotFoundException", "Invalid arn %s", part[3]);
  name->account = part[4];
  name->resource = strncmp (rest, "key/", 4) == 0 ? rest + 4 : rest;
  return 0;
}

static int
parse_name (struct aws_call *call, const char *key_id, struct name *name)
{
  if (!*key_id || strlen (key_id) >= sizeof name->text)
    return aws_fail (call, "ValidationException",
                     "1 validation error detected: Value at 'keyId' failed to satisfy constraint: "
                     "Member must have length between 1 and 2048");
  memcpy (name->text, key_id, strlen (key_id) + 1);
  name->account = call->identity.account;
  name->resource = name->text;
  return strncmp (key_id, "arn:", 4) == 0 ? split_arn (call, name) : 0;
}

/* Nobody learns from the error whether another account has such a key. */
static int
fail_not_found (struct aws_call *call, const struct name *name, bool alias)
{
  const char *partition = aws_partition (call->region);

  if (strcmp (name->account, call->identity.account) != 0)
    return aws_fail (call, "AccessDeniedException",
                     "User: %s is not authorized to perform: kms:%s on resource: "
                     "arn:%s:kms:%s:%s:%s%.80s because the resource does not exist in this Region, "
                     "no resource-based policies allow access, or a resource-based policy "
                     "explicitly denies access",
                     call->identity.arn, call->ex->operation, partition, call->region,
                     name->account, alias ? "" : "key/", name->resource);
  if (alias)
    return aws_fail (call, "NotFoundException", "Alias arn:%s:kms:%s:%s:%.200s is not found.",
                     partition, call->region, name->account, name->resource);
  return aws_fail (call, "NotFoundException", "Key 'arn:%s:kms:%s:%s:key/%.80s' does not exist",
                   partition, call->region, name->account, name->resource);
}

int
aws_key_find (struct aws_call *call, const char *key_id, struct aws_key **ret)
{
  struct sim *sim = call->ex->sim;
  struct name name;
  char id[sizeof ((struct aws_key *)0)->id];
  const char *wanted = id;
  bool alias;
  struct aws_key *key;

  if (parse_name (call, key_id, &name) < 0)
    return -1;
  alias = strncmp (name.resource, "alias/", 6) == 0;
  if (!alias)
    wanted = name.resource;
  else if (aws_alias_target (sim, call->region, name.account, name.resource, id, sizeof id) < 0)
    return fail_not_found (call, &name, true);
  key = aws_key_load (sim, call->region, wanted, call->ex->now_s);
  if (!key || strcmp (key->account, name.account) != 0) {
    aws_key_free (key);
    return fail_not_found (call, &name, false);
  }
  aws_key_arn (key, call->ex->key);
  *ret = key;
  return 0;
}
