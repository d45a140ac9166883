/* Files with one token in them, which somebody else renews: read anew whenever they are needed. */
#ifndef KMS_TOKEN_FILE_H
#define KMS_TOKEN_FILE_H

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/outcome.h"

#define TOKEN_FILE_MAX ((size_t)16 * 1024)

/* The text of the file, without white space at its ends.  -1 with *outcome (KMS_CREDENTIALS,
 * "token_file"), which names the file and `variable`, whence its name came.
 */
int token_file_read (const char *path, const char *variable, struct secret *ret,
                     struct kms_outcome *outcome) MUST_CHECK;

#endif
