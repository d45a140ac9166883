/* Passphrases and keys from files, straight into secret memory. */
#ifndef TOOLS_SECRET_FILE_H
#define TOOLS_SECRET_FILE_H

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/secret.h"

#define PASSPHRASE_MAX 4096

/* The whole content of `path` without one newline at its end, into an empty secret.  "-" is
 * standard input, which must not be a terminal.  ERROR_USAGE when it is empty or longer than
 * PASSPHRASE_MAX.  Warns when others can read the file.
 */
int secret_file_passphrase (const char *path, struct secret *ret, struct error *err) MUST_CHECK;

/* Exactly `size` bytes: ERROR_USAGE when the file has another size. */
int
secret_file_key (const char *path, size_t size, struct secret *ret, struct error *err) MUST_CHECK;

#endif
