/* Users, roles, and their access keys, as files of the state folder.
 *
 * aws/principals/KIND,NAME.json: {"account", "id", "policy": IAM policy or null (everything is
 * allowed), "trust": {"principals": [...], "subjects": [...], "external_id"}}
 * aws/access-keys/ID.json: {"secret", "token", "principal", "session", "expires"}
 */
#ifndef SIM_AWS_IDENTITY_H
#define SIM_AWS_IDENTITY_H

#include <stdint.h>

#include "tools/sim/aws.h"

struct aws_access_key {
  char id[24];
  char secret[48];
  char token[400]; /* empty for a user's own */
  char principal[96];
  char session[72];  /* the role session's name */
  int64_t expires_s; /* 0: never */
};

/* A principal's file as JSON; NULL when there is none.  `principal`: "user/NAME", "role/NAME". */
struct json *aws_principal_load (struct sim *sim, const char *principal) MUST_CHECK;
void aws_principal_save (struct sim *sim, const char *principal, const struct json *json);
bool aws_principal_remove (struct sim *sim, const char *principal);

/* "arn:aws:iam::ACCOUNT:PRINCIPAL" */
void aws_principal_arn (const char *account, const char *principal, char ret[AWS_ARN_MAX]);

/* 0 when there is such an access key. */
int aws_access_key_load (struct sim *sim, const char *id, struct aws_access_key *ret) MUST_CHECK;

/* A new one for the principal: AKIA… without, ASIA… with a session (which then lasts until
 * expires_s). */
void aws_access_key_new (struct sim *sim, const char *principal, const char *session,
                         int64_t expires_s, struct aws_access_key *ret);

/* The first one of a principal that is not a session's; -1 when it has none. */
int
aws_access_key_of (struct sim *sim, const char *principal, struct aws_access_key *ret) MUST_CHECK;

/* A session of the principal with more than half of lifetime_s left; a new one
 * when there is none. */
void aws_access_key_session (struct sim *sim, const char *principal, const char *session,
                             int64_t now_s, int64_t lifetime_s, struct aws_access_key *ret);

/* Removes those of the principal, or only its sessions; returns how many. */
size_t aws_access_keys_remove (struct sim *sim, const char *principal, bool only_sessions);

/* Who the owner of an access key is; -1 when the principal is gone. */
int aws_identity_of (struct sim *sim, const struct aws_access_key *key, struct aws_identity *ret)
    MUST_CHECK;

#endif
