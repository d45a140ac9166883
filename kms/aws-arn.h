/* The names of keys in AWS KMS, and the partitions and regions that they are in.
 *
 *   arn:PARTITION:kms:REGION:ACCOUNT:key/ID        ID: a UUID, or mrk- and 32 hex digits
 *   arn:PARTITION:kms:REGION:ACCOUNT:alias/NAME
 *
 * either with "?grant-tokens=/ABSOLUTE/PATH" behind: a file with grant tokens, one a line, which
 * are sent along while a new grant is not yet known everywhere (AWS KMS developer guide, "Using a
 * grant token").  A token has up to 8192 characters and is of use for minutes, so that it is
 * neither part of a name nor stored in a volume's header.
 *
 * No state; any thread.
 */
#ifndef KMS_AWS_ARN_H
#define KMS_AWS_ARN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/wrap.h"

#define AWS_REGION_MAX 64
#define AWS_PATH_MAX 256
#define AWS_KEY_FORM "arn:aws:kms:REGION:ACCOUNT:key/ID (or alias/NAME)"

/* AWS' own table: partitions.json of its SDKs. */
struct aws_partition {
  const char *name;              /* "aws" */
  const char *prefixes;          /* what its regions begin with, separated by blanks: "us eu …" */
  const char *suffix;            /* "amazonaws.com" */
  const char *dual_stack_suffix; /* "api.aws" */
};

struct aws_key {
  const struct aws_partition *partition;
  char arn[WRAP_KEY_MAX]; /* without what is behind a question mark */
  char region[AWS_REGION_MAX];
  char account[16];
  const char *resource; /* in arn: "key/…" or "alias/…" */
  bool is_alias;
  bool is_multi_region;            /* by its id; an alias doesn't tell */
  char grant_tokens[AWS_PATH_MAX]; /* the file, or empty */
};

/* -1 (ERROR_USAGE): not the name of a KMS key, an unknown partition, or a region of another
 * partition.
 */
int aws_key_parse (const char *name, struct aws_key *ret, struct error *err) MUST_CHECK;

/* The partition of a region by its name: regions that are new belong to the one whose prefix they
 * have; NULL for what is no region's name.
 */
const struct aws_partition *aws_partition_of (const char *region);

#endif
