/* ctl-aws.c owns the commands on AWS users, roles and their credentials. */
#include <string.h>
#include <time.h>

#include "common/parse.h"
#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-machine.h"
#include "tools/sim/aws-policy.h"
#include "tools/sim/ctl.h"
#include "tools/sim/demo-env.h"

static bool
name_ok (const char *name)
{
  return name && *name && strlen (name) <= 64
         && name[strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")]
                == '\0';
}

/* "user/NAME" or "role/NAME" that is there. */
static int
need_principal (struct sim *sim, const struct json *words, const char **ret, struct error *err)
{
  const char *principal = ctl_word (words, 0);
  CLEANUP_JSON struct json *json = principal ? aws_principal_load (sim, principal) : NULL;

  if (!json)
    return error_set (err, ERROR_NOT_FOUND, "no principal is called '%.80s': user/NAME, role/NAME",
                      principal ? principal : "");
  *ret = principal;
  return 0;
}

static int
create (struct sim *sim, const struct json *words, const char *kind, char **ret_text,
        struct error *err)
{
  const char *name = ctl_word (words, 0), *account = ctl_option (words, "--account");
  char principal[96], arn[AWS_ARN_MAX];

  if (!account)
    account = AWS_ACCOUNT;
  if (!name_ok (name) || strlen (account) != 12)
    return error_set (err, ERROR_USAGE,
                      "a name has letters, digits, - and _; an account 12 digits");
  snprintf (principal, sizeof principal, "%s/%s", kind, name);
  demo_add_principal (sim, account, principal, ctl_option (words, "--trust"),
                      ctl_option (words, "--subject"), ctl_option (words, "--external-id"));
  aws_principal_arn (account, principal, arn);
  *ret_text = ctl_text ("%s", arn);
  return 0;
}

static int
run_create_user (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  return create (sim, words, "user", ret_text, err);
}

static int
run_create_role (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  return create (sim, words, "role", ret_text, err);
}

static int
run_remove (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *principal = NULL;

  (void)ret_text;
  if (need_principal (sim, words, &principal, err) < 0)
    return -1;
  aws_principal_remove (sim, principal);
  return 0;
}

static int
run_access_key (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *principal = NULL, *lifetime = ctl_option (words, "--lifetime");
  struct aws_access_key key;
  uint64_t ms = 3600 * 1000;

  if (need_principal (sim, words, &principal, err) < 0
      || (lifetime && parse_duration (lifetime, &ms, err) < 0))
    return -1;
  if (strncmp (principal, "role/", 5) != 0 && !lifetime) {
    aws_access_key_new (sim, principal, NULL, 0, &key);
    *ret_text = ctl_text ("export AWS_ACCESS_KEY_ID='%s'\nexport AWS_SECRET_ACCESS_KEY='%s'\n"
                          "unset AWS_SESSION_TOKEN\n",
                          key.id, key.secret);
    return 0;
  }
  aws_access_key_new (sim, principal, "ctl", time (NULL) + (int64_t)(ms / 1000), &key);
  *ret_text = ctl_text ("export AWS_ACCESS_KEY_ID='%s'\nexport AWS_SECRET_ACCESS_KEY='%s'\n"
                        "export AWS_SESSION_TOKEN='%s'\n",
                        key.id, key.secret, key.token);
  return 0;
}

static int
run_remove_access_keys (struct sim *sim, const struct json *words, char **ret_text,
                        struct error *err)
{
  const char *principal = NULL;

  if (need_principal (sim, words, &principal, err) < 0)
    return -1;
  *ret_text =
      ctl_text ("%zu", aws_access_keys_remove (sim, principal, ctl_switch (words, "--sessions")));
  return 0;
}

/* The principal's file with another policy: the JSON, or NULL for "everything". */
static void
set_policy (struct sim *sim, const char *principal, const char *policy)
{
  CLEANUP_JSON struct json *old = aws_principal_load (sim, principal);
  CLEANUP_JSON struct json *json = json_object_new ();

  for (size_t i = 0; json && i < json_size (old); i++) {
    const struct json *member = json_at (old, i);
    CLEANUP_FREE
    char *text = json_print (member, false);

    if (text && strcmp (json_name (member), "policy") != 0)
      json_set_value (json, json_name (member), json_parse (text, strlen (text)));
  }
  if (policy)
    json_set_value (json, "policy", json_parse (policy, strlen (policy)));
  else
    json_set_null (json, "policy");
  aws_principal_save (sim, principal, json);
}

static int
run_policy (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *principal = NULL, *policy = ctl_word (words, 1);
  char why[160];

  (void)ret_text;
  if (need_principal (sim, words, &principal, err) < 0)
    return -1;
  if (!policy)
    return error_set (err, ERROR_USAGE, "policy PRINCIPAL JSON, or policy PRINCIPAL everything");
  if (strcmp (policy, "everything") == 0)
    policy = NULL;
  else if (aws_policy_check (policy, why, sizeof why) < 0)
    return error_set (err, ERROR_USAGE, "%s", why);
  set_policy (sim, principal, policy);
  return 0;
}

static int
run_machine_role (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *which = ctl_word (words, 0), *role = ctl_word (words, 1),
             *lifetime = ctl_option (words, "--lifetime");
  struct aws_machine machine;
  uint64_t ms;

  (void)ret_text;
  if (!which || !role || (strcmp (which, "instance") != 0 && strcmp (which, "container") != 0)
      || !name_ok (role) || aws_machine_load (sim, which, &machine) < 0)
    return error_set (err, ERROR_USAGE, "machine-role instance|container ROLE|none");
  snprintf (machine.role, sizeof machine.role, "%s", strcmp (role, "none") == 0 ? "" : role);
  if (lifetime) {
    if (parse_duration (lifetime, &ms, err) < 0)
      return -1;
    machine.lifetime_s = (int64_t)(ms / 1000);
  }
  aws_machine_save (sim, which, &machine);
  return 0;
}

static int
run_workload_token (struct sim *sim, const struct json *words, char **ret_text, struct error *err)
{
  const char *subject = ctl_option (words, "--subject"),
             *audience = ctl_option (words, "--audience"),
             *lifetime = ctl_option (words, "--lifetime");
  bool past = lifetime && lifetime[0] == '-';
  uint64_t ms = 3600 * 1000;

  if (lifetime && parse_duration (lifetime + past, &ms, err) < 0)
    return -1;
  *ret_text = demo_workload_token (sim, subject ? subject : DEMO_SUBJECT,
                                   audience ? audience : "sts.amazonaws.com", time (NULL),
                                   (past ? -(int64_t)ms : (int64_t)ms) / 1000);
  return 0;
}

const struct ctl_command ctl_aws[] = {
    {"create-user", "NAME [--account ID]", "a new AWS user; prints its ARN", run_create_user},
    {"create-role", "NAME [--account ID] [--trust ARN] [--subject SUBJECT] [--external-id ID]",
     "a new AWS role that ARN (default: the account) or a web identity may take on",
     run_create_role},
    {"remove-principal", "PRINCIPAL", "remove user/NAME or role/NAME with all its credentials",
     run_remove},
    {"access-key", "PRINCIPAL [--lifetime TIME]",
     "new credentials, as variables; with a lifetime (and for roles) a session", run_access_key},
    {"remove-access-keys", "PRINCIPAL [--sessions]",
     "make its credentials (or sessions) worthless; prints how many there were",
     run_remove_access_keys},
    {"policy", "PRINCIPAL JSON|everything", "set what it may do in its account", run_policy},
    {"machine-role", "instance|container ROLE|none [--lifetime TIME]",
     "the role that IMDS or the container endpoint hands out", run_machine_role},
    {"workload-token", "[--subject SUBJECT] [--audience AUDIENCE] [--lifetime TIME]",
     "a workload identity token for either cloud", run_workload_token},
    {NULL},
};
