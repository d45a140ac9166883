/* KMS keys and aliases on disk: aws/keys/REGION,ID.json and aws/aliases/REGION,ACCOUNT,NAME.json.
 */
#ifndef SIM_AWS_KEYS_H
#define SIM_AWS_KEYS_H

#include <stdint.h>

#include "tools/sim/aws.h"

#define AWS_MATERIALS_MAX 32 /* KMS: 25 on-demand rotations */
#define AWS_MATERIAL_ID_MAX 65
#define AWS_MATERIAL_SIZE 32
#define AWS_GRANTS_MAX 64

struct aws_material {
  char id[AWS_MATERIAL_ID_MAX];
  uint8_t bytes[AWS_MATERIAL_SIZE];
  int64_t created_s;
};

struct aws_key {
  char id[48]; /* a UUID, or mrk- and 32 hex digits */
  char account[13], region[AWS_REGION_MAX];
  char spec[24];  /* SYMMETRIC_DEFAULT, RSA_2048 … */
  char usage[24]; /* ENCRYPT_DECRYPT */
  char state[24]; /* Enabled, Disabled, PendingDeletion, PendingImport, Unavailable … */
  char primary_region[AWS_REGION_MAX]; /* empty: not a multi-Region key */
  int64_t created_s, deletion_s;       /* deletion_s: 0, or when it is deleted */
  uint32_t window_days;
  bool rotation;      /* automatic rotation is on */
  bool imported;      /* its material counts as imported (Origin EXTERNAL) */
  int64_t valid_to_s; /* of imported material: 0, or when it is gone and the key PendingImport */
  char *description;  /* on the heap */
  char *policy;       /* JSON text, on the heap */
  char *grants;       /* JSON array text, on the heap */
  char *private_pem;  /* RSA keys, on the heap */
  size_t material_count;
  struct aws_material materials[AWS_MATERIALS_MAX]; /* symmetric keys; the last one is current */
};

void aws_key_free (struct aws_key *key);
void cleanup_aws_key (struct aws_key **key);
#define CLEANUP_AWS_KEY CLEANUP (cleanup_aws_key)

void aws_key_arn (const struct aws_key *key, char ret[AWS_ARN_MAX]);
bool aws_key_is_symmetric (const struct aws_key *key);

/* By its id in a region; NULL when there is none.  A key whose deletion date has passed goes. */
struct aws_key *
aws_key_load (struct sim *sim, const char *region, const char *id, int64_t now_s) MUST_CHECK;
void aws_key_save (struct sim *sim, const struct aws_key *key);

/* A new key with new material, saved by the caller; NULL when the spec is none of ours. */
struct aws_key *aws_key_new (const char *account, const char *region, const char *spec,
                             bool multi_region, int64_t now_s) MUST_CHECK;

/* Adds new material to a symmetric key; false when it has too many. */
bool aws_key_rotate (struct aws_key *key, int64_t now_s);

/* What a KeyId parameter names (id, ARN, alias, alias ARN): the key, or the error that KMS gives.
 */
int aws_key_find (struct aws_call *call, const char *key_id, struct aws_key **ret) MUST_CHECK;

/* Aliases: "alias/NAME".  The target is a key's id. */
bool aws_alias_name_ok (const char *alias);
void aws_alias_save (struct sim *sim, const char *region, const char *account, const char *alias,
                     const char *key_id);
bool aws_alias_remove (struct sim *sim, const char *region, const char *account, const char *alias);
int aws_alias_target (struct sim *sim, const char *region, const char *account, const char *alias,
                      char *ret_id, size_t size) MUST_CHECK;

#endif
