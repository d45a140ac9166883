/* Between http.c and http-answer.c: the header lines of an answer. */
#ifndef KMS_HTTP_ANSWER_H
#define KMS_HTTP_ANSWER_H

#include <stddef.h>

#include "kms/http.h"

/* Takes one line (with its line end; `size` bytes, not NUL-terminated) as it came: a status line
 * forgets the headers before it, which were of an interim answer; unknown headers are passed over.
 */
void http_answer_header (struct http_answer *answer, const char *line, size_t size);

#endif
