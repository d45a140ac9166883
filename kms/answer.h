/* Reading JSON answers that hold secrets where they lie: nothing is copied but what is asked for.
 *
 * `path` is the names of members from the outermost object inwards, separated by '/':
 * "Credentials/SecretAccessKey".  A member that comes twice on the way makes the answer invalid.
 * Texts are checked to be whole, valid JSON (RFC 8259, at most ANSWER_DEPTH_MAX deep) by
 * answer_init. The answer refers to the text's memory; the text must outlive it.
 */
#ifndef KMS_ANSWER_H
#define KMS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/secret-text.h"

#define ANSWER_DEPTH_MAX 16

struct answer {
  const char *text;
  size_t size;
};

/* -1 when it is not one JSON object. */
int answer_init (struct answer *ret, const char *text, size_t size) MUST_CHECK;

bool answer_has (const struct answer *answer, const char *path);

/* A string that is not secret, unescaped.  -1 when it is not there, not a string, has a NUL in it
 * or does not fit.
 */
int answer_string (const struct answer *answer, const char *path, char *ret, size_t max) MUST_CHECK;

/* A string that is, as a text in secret memory (kms/secret-text.h). */
int answer_secret (const struct answer *answer, const char *path, struct secret *ret) MUST_CHECK;

/* A string in base64, decoded into secret memory, or into a wrap's blob (which is not secret). */
int answer_base64 (const struct answer *answer, const char *path, enum base64_alphabet alphabet,
                   struct secret *ret) MUST_CHECK;
int answer_blob (const struct answer *answer, const char *path, enum base64_alphabet alphabet,
                 struct wrap_blob *ret) MUST_CHECK;

/* A number (fractions cut off) that fits; a string of digits is taken too: both are met. */
int answer_int64 (const struct answer *answer, const char *path, int64_t *ret) MUST_CHECK;
int answer_number (const struct answer *answer, const char *path, double *ret) MUST_CHECK;
int answer_bool (const struct answer *answer, const char *path, bool *ret) MUST_CHECK;

/* Whether the array of strings at `path` has `value` in it. */
bool answer_array_has (const struct answer *answer, const char *path, const char *value);

#endif
