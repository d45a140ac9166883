/* The name of a file key: a file URI (RFC 8089) and the path that it stands for. */
#ifndef KMS_FILE_URI_H
#define KMS_FILE_URI_H

#include <stddef.h>

#include "common/cleanup.h"
#include "common/wrap.h"

#define FILE_URI_FORM \
  "file:///ABSOLUTE/PATH (with %25, %3F and %23 for a percent sign, question mark and hash)"

/* The path of `uri`: "file://", an empty host or "localhost", an absolute path, percent-decoded.
 * Returns 0, or -1 for anything else, also for a query, a fragment, a NUL or a control character.
 */
int file_uri_path (const char *uri, char ret_path[WRAP_KEY_MAX]) MUST_CHECK;

/* The path as one word for a shell; the word PATH when that takes more than `max` bytes. */
void file_path_quote (const char *path, char *ret_word, size_t max);

#endif
