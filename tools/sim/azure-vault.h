/* One call of Key Vault or managed HSM, and the operations on keys. */
#ifndef SIM_AZURE_VAULT_H
#define SIM_AZURE_VAULT_H

#include "tools/sim/azure-keys.h"
#include "tools/sim/jwt.h"

#define AZURE_REGION "eastus"
#define AZURE_JSON "application/json; charset=utf-8"

struct azure_call {
  struct exchange *ex;
  char vault_name[64];
  char base[256];     /* "https://NAME.vault.localhost:8443": what ids start with */
  char resource[200]; /* "https://vault.localhost": the audience that tokens must have */
  bool hsm;
  struct azure_vault vault;
  struct jwt token;          /* the caller's, verified */
  const struct json *params; /* the body, or NULL */
  char name[AZURE_NAME_MAX]; /* the key's, from the path; may be empty */
  char version[64];          /* the version, from the path; may be empty */
};

typedef int azure_operation (struct azure_call *call);

/* azure-manage.c */
azure_operation azure_create, azure_get, azure_list, azure_list_versions, azure_update,
    azure_delete, azure_get_deleted, azure_list_deleted, azure_recover, azure_purge, azure_rotate,
    azure_get_rotation, azure_put_rotation;

/* azure-crypto.c */
azure_operation azure_wrap, azure_unwrap, azure_encrypt, azure_decrypt;

/* Replies with an error of the vault and returns -1; `inner` is innererror.code, or NULL. */
int azure_fail (struct azure_call *call, unsigned status, const char *code, const char *inner,
                const char *fmt, ...) __attribute__ ((format (printf, 5, 6)));

/* azure-auth.c: replies 401 with the challenge (`more` is added to it), and returns -1. */
int azure_challenge (struct azure_call *call, const char *more, const char *text);

/* Verifies the bearer token into call->token, or replies 401. */
int azure_check_token (struct azure_call *call) MUST_CHECK;

/* A claims challenge (-1), which a token that was asked for with claims answers (0). */
int azure_claims_challenge (struct azure_call *call);

/* Whether the vault's firewall and the caller's rights let the action through, or replies 403. */
int azure_check_right (struct azure_call *call, const char *action) MUST_CHECK;
int azure_fail_firewall (struct azure_call *call);

/* The key (that is not deleted) of the path, or 404. */
int azure_find_key (struct azure_call *call, struct azure_key **ret) MUST_CHECK;

/* Replies 404 KeyNotFound. */
int azure_fail_not_found (struct azure_call *call);

/* A version as the KeyBundle of the REST interface; a new object. */
struct json *azure_bundle (struct azure_call *call, const struct azure_key *key,
                           const struct azure_version *version);

#endif
