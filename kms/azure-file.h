/* Files that hold credentials. */
#ifndef KMS_AZURE_FILE_H
#define KMS_AZURE_FILE_H

#include <stddef.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/outcome.h"

/* The whole file as a text (a NUL behind it, counted in size) in secret memory; KMS_CREDENTIALS
 * ("credentials_file") when it can't be read, is no regular file, is empty, or has more than `max`
 * bytes.
 */
int azure_read_file (const char *path, size_t max, struct secret *ret, struct kms_outcome *outcome)
    MUST_CHECK;

/* Cuts white space off the end of a text. */
void azure_trim (struct secret *text);

#endif
