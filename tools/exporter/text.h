/* Text that grows, and the two ways in which what others wrote gets into it: as HTML and as the
 * value of a Prometheus label.
 *
 * All strings from servers are hostile.  text_html, text_isolated and text_label make them
 * harmless: bytes that are control characters or not UTF-8 and characters that turn the direction
 * of writing become "?", more than TEXT_FOREIGN_MAX bytes are cut off. When memory runs out the
 * text is marked as failed, and text_take tells so.
 */
#ifndef EXPORTER_TEXT_H
#define EXPORTER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

#define TEXT_FOREIGN_MAX 1000

struct text {
  char *bytes; /* NUL-terminated, or NULL while empty */
  size_t size, room;
  bool failed;
};

/* Our own words; of `fmt` and its arguments, too, nothing may come from a server. */
void text_put (struct text *text, const char *string);
void text_format (struct text *text, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

/* What others wrote, for the content of an element or an attribute's value in double quotes. */
void text_html (struct text *text, const char *string);

/* What others wrote as an element that does not touch the direction of what is around it. */
void text_isolated (struct text *text, const char *string);

/* What others wrote, for between the quotes of a label's value. */
void text_label (struct text *text, const char *string);

/* The shortest decimal that is read as the same number again. */
void text_number (struct text *text, double number);

/* Empties `text`.  A new string (the size without the NUL), or NULL when out of memory. */
char *text_take (struct text *text, size_t *ret_size) MUST_CHECK;

void text_clear (struct text *text);
#define CLEANUP_TEXT CLEANUP (text_clear)

#endif
