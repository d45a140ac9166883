/* aws-identity.c owns users, roles and access keys. */
#include "tools/sim/aws-identity.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "tools/sim/store.h"

#define PRINCIPALS "aws/principals"
#define ACCESS_KEYS "aws/access-keys"
#define UPPER_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/* ---- principals -------------------------------------------------------------------------------
 */

/* "role/app" is stored as "role,app". */
static void
file_name (const char *principal, char ret[STORE_NAME_MAX])
{
  snprintf (ret, STORE_NAME_MAX, "%s", principal);
  for (char *c = ret; *c; c++)
    if (*c == '/')
      *c = ',';
}

struct json *
aws_principal_load (struct sim *sim, const char *principal)
{
  char name[STORE_NAME_MAX];

  file_name (principal, name);
  return store_load (sim->dir_fd, PRINCIPALS, name);
}

void
aws_principal_save (struct sim *sim, const char *principal, const struct json *json)
{
  char name[STORE_NAME_MAX];

  file_name (principal, name);
  store_save (sim->dir_fd, PRINCIPALS, name, json);
}

bool
aws_principal_remove (struct sim *sim, const char *principal)
{
  char name[STORE_NAME_MAX];

  file_name (principal, name);
  aws_access_keys_remove (sim, principal, false);
  return store_remove (sim->dir_fd, PRINCIPALS, name);
}

void
aws_principal_arn (const char *account, const char *principal, char ret[AWS_ARN_MAX])
{
  snprintf (ret, AWS_ARN_MAX, "arn:aws:iam::%s:%s", account, principal);
}

/* ---- access keys ------------------------------------------------------------------------------
 */

static void
copy (const struct json *json, const char *name, char *to, size_t size)
{
  const char *value = json_get_string (json, name);

  snprintf (to, size, "%s", value ? value : "");
}

int
aws_access_key_load (struct sim *sim, const char *id, struct aws_access_key *ret)
{
  CLEANUP_JSON struct json *json = store_load (sim->dir_fd, ACCESS_KEYS, id);
  uint64_t expires_s = 0;

  if (!json || strlen (id) >= sizeof ret->id || json_get_uint64 (json, "expires", &expires_s) < 0)
    return -1;
  memset (ret, 0, sizeof *ret);
  snprintf (ret->id, sizeof ret->id, "%s", id);
  copy (json, "secret", ret->secret, sizeof ret->secret);
  copy (json, "token", ret->token, sizeof ret->token);
  copy (json, "principal", ret->principal, sizeof ret->principal);
  copy (json, "session", ret->session, sizeof ret->session);
  ret->expires_s = (int64_t)expires_s;
  return 0;
}

void
aws_access_key_new (struct sim *sim, const char *principal, const char *session, int64_t expires_s,
                    struct aws_access_key *ret)
{
  CLEANUP_JSON struct json *json = json_object_new ();

  if (!json)
    abort ();
  memset (ret, 0, sizeof *ret);
  memcpy (ret->id, session ? "ASIA" : "AKIA", 4);
  sim_random_text (UPPER_AND_DIGITS, 16, ret->id + 4);
  sim_secret_text (40, ret->secret);
  if (session)
    sim_secret_text (352, ret->token);
  snprintf (ret->principal, sizeof ret->principal, "%s", principal);
  snprintf (ret->session, sizeof ret->session, "%s", session ? session : "");
  ret->expires_s = expires_s;
  json_set_string (json, "secret", ret->secret);
  json_set_string (json, "token", ret->token);
  json_set_string (json, "principal", ret->principal);
  json_set_string (json, "session", ret->session);
  json_set_number (json, "expires", (double)expires_s);
  store_save (sim->dir_fd, ACCESS_KEYS, ret->id, json);
}

int
aws_access_key_of (struct sim *sim, const char *principal, struct aws_access_key *ret)
{
  char **names;
  size_t count = store_list (sim->dir_fd, ACCESS_KEYS, &names);
  int r = -1;

  for (size_t i = 0; i < count && r < 0; i++) {
    struct aws_access_key key;

    if (aws_access_key_load (sim, names[i], &key) == 0 && !key.session[0]
        && strcmp (key.principal, principal) == 0) {
      *ret = key;
      r = 0;
    }
  }
  store_names_free (names, count);
  return r;
}

void
aws_access_key_session (struct sim *sim, const char *principal, const char *session, int64_t now_s,
                        int64_t lifetime_s, struct aws_access_key *ret)
{
  char **names;
  size_t count = store_list (sim->dir_fd, ACCESS_KEYS, &names);
  bool found = false;

  for (size_t i = 0; i < count && !found; i++)
    found = aws_access_key_load (sim, names[i], ret) == 0 && strcmp (ret->principal, principal) == 0
            && strcmp (ret->session, session) == 0 && ret->expires_s > now_s + lifetime_s / 2
            && ret->expires_s <= now_s + lifetime_s;
  store_names_free (names, count);
  if (!found)
    aws_access_key_new (sim, principal, session, now_s + lifetime_s, ret);
}

size_t
aws_access_keys_remove (struct sim *sim, const char *principal, bool only_sessions)
{
  char **names;
  size_t count = store_list (sim->dir_fd, ACCESS_KEYS, &names), removed = 0;

  for (size_t i = 0; i < count; i++) {
    struct aws_access_key key;

    if (aws_access_key_load (sim, names[i], &key) == 0 && strcmp (key.principal, principal) == 0
        && (key.session[0] || !only_sessions))
      removed += store_remove (sim->dir_fd, ACCESS_KEYS, names[i]);
  }
  store_names_free (names, count);
  return removed;
}

int
aws_identity_of (struct sim *sim, const struct aws_access_key *key, struct aws_identity *ret)
{
  CLEANUP_JSON struct json *json = aws_principal_load (sim, key->principal);
  const char *name = strchr (key->principal, '/');
  char id[64];

  if (!json || !name)
    return -1;
  memset (ret, 0, sizeof *ret);
  snprintf (ret->principal, sizeof ret->principal, "%s", key->principal);
  copy (json, "account", ret->account, sizeof ret->account);
  copy (json, "id", id, sizeof id);
  aws_principal_arn (ret->account, key->principal, ret->principal_arn);
  if (key->session[0]) {
    snprintf (ret->arn, sizeof ret->arn, "arn:aws:sts::%s:assumed-role/%s/%s", ret->account,
              name + 1, key->session);
    snprintf (ret->user_id, sizeof ret->user_id, "%s:%s", id, key->session);
  }
  else {
    snprintf (ret->arn, sizeof ret->arn, "%s", ret->principal_arn);
    snprintf (ret->user_id, sizeof ret->user_id, "%s", id);
  }
  return 0;
}
