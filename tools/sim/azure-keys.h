/* Vaults and their keys on disk: azure/vaults/NAME,KIND.json and azure/keys/NAME,KIND,KEY.json,
 * where KIND is "vault" or "managedhsm".
 */
#ifndef SIM_AZURE_KEYS_H
#define SIM_AZURE_KEYS_H

#include "tools/sim/azure-identity.h"

#define AZURE_VERSIONS_MAX 64
#define AZURE_VERSION_SIZE 33 /* 32 hex digits and a NUL */
#define AZURE_GRANTS_MAX 64
#define AZURE_RETENTION_DAYS 90

struct azure_grant {
  char object_id[37];
  char actions[128]; /* "*", or names joined by commas: "get,wrap,unwrap" */
};

struct azure_vault {
  char name[64];
  bool hsm;
  bool policies;         /* access policies instead of roles */
  bool firewall;         /* refuses everybody */
  bool purge_protection; /* deleted keys can't be purged */
  uint32_t retention_days;
  size_t grant_count;
  struct azure_grant grants[AZURE_GRANTS_MAX];
};

int
azure_vault_load (struct sim *sim, const char *name, bool hsm, struct azure_vault *ret) MUST_CHECK;
void azure_vault_save (struct sim *sim, const struct azure_vault *vault);
bool azure_vault_remove (struct sim *sim, const char *name, bool hsm);
bool azure_vault_name_ok (const char *name);

/* Whether an object id may do an action of the vault. */
bool
azure_vault_allows (const struct azure_vault *vault, const char *object_id, const char *action);
/* Sets what it may do ("" for nothing); false when there are too many. */
bool azure_vault_grant (struct azure_vault *vault, const char *object_id, const char *actions);

struct azure_version {
  char id[AZURE_VERSION_SIZE];
  bool enabled;
  int64_t nbf_s, exp_s; /* 0: not set */
  int64_t created_s, updated_s;
  char key_ops[128]; /* names joined by commas */
  char *pem;         /* RSA, on the heap */
  uint8_t oct[32];   /* oct-HSM */
};

struct azure_key {
  char name[AZURE_NAME_MAX];
  char kty[12]; /* RSA, RSA-HSM, oct-HSM */
  unsigned bits;
  int64_t deleted_s; /* 0, or when it was deleted */
  int64_t purge_s;   /* when a deleted key goes for good */
  char *rotation;    /* the rotation policy's JSON text on the heap, or NULL */
  char *tags;        /* JSON text on the heap, or NULL */
  size_t version_count;
  struct azure_version versions[AZURE_VERSIONS_MAX]; /* the last one is current */
};

void azure_key_free (struct azure_key *key);
void cleanup_azure_key (struct azure_key **key);
#define CLEANUP_AZURE_KEY CLEANUP (cleanup_azure_key)

bool azure_key_name_ok (const char *name);
struct azure_key *azure_key_load (struct sim *sim, const struct azure_vault *vault,
                                  const char *name, int64_t now_s) MUST_CHECK;
void azure_key_save (struct sim *sim, const struct azure_vault *vault, const struct azure_key *key);
bool azure_key_remove (struct sim *sim, const struct azure_vault *vault, const char *name);

/* The names of all keys of the vault, deleted ones too (store_names_free). */
size_t
azure_key_list (struct sim *sim, const struct azure_vault *vault, char ***ret_names) MUST_CHECK;

/* Adds a version with new material; NULL when there are too many. */
struct azure_version *azure_key_add_version (struct azure_key *key, int64_t now_s);

/* A version by its id; "" is the current one; NULL when there is none. */
struct azure_version *azure_key_version (struct azure_key *key, const char *id);

/* Whether a name is among names joined by commas ("*" is every name). */
bool azure_list_has (const char *list, const char *name);

#endif
