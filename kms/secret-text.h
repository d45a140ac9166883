/* Texts that hold secrets: built, encoded and decoded in secret memory, never on the heap.
 *
 * A text in a struct secret is NUL-terminated, and the secret's size counts the NUL, so that the
 * bytes can be used as a C string.
 */
#ifndef KMS_SECRET_TEXT_H
#define KMS_SECRET_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "crypto/secret.h"

/* A text that grows up to a fixed size.  Adding more than fits, or after a failure, is noticed by
 * secret_text_finish.
 */
struct secret_text {
  struct secret memory;
  size_t length;
  bool failed;
};

enum base64_alphabet { BASE64_STANDARD, BASE64_URL }; /* padded; "-_" and without padding */

/* Room for `max` characters.  -1: no memory. */
int secret_text_init (struct secret_text *text, size_t max) MUST_CHECK;
void secret_text_clear (struct secret_text *text);
#define CLEANUP_SECRET_TEXT CLEANUP (secret_text_clear)

void secret_text_add (struct secret_text *text, const char *part);
/* As a JSON string with its quotes. */
void secret_text_add_json (struct secret_text *text, const char *part);
/* Percent-encoded, for a form or a query. */
void secret_text_add_encoded (struct secret_text *text, const char *part);
void secret_text_add_base64 (struct secret_text *text, const uint8_t *bytes, size_t size,
                             enum base64_alphabet alphabet);

/* The text so far, or NULL when something did not fit. */
const char *secret_text_get (const struct secret_text *text);

/* A text as a secret of its own.  -1: no memory. */
int secret_from_text (const char *text, size_t length, struct secret *ret) MUST_CHECK;

/* The text in a secret; "" for an empty one. */
const char *secret_get_text (const struct secret *s);

/* Decodes `length` characters strictly (no white space, right padding, no stray bits) into an empty
 * secret of exactly the decoded size, without a table that a cache would remember.  -1 when it is
 * not base64, decodes to nothing, or there is no memory.
 */
int secret_base64_decode (const char *text, size_t length, enum base64_alphabet alphabet,
                          struct secret *ret) MUST_CHECK;

#endif
