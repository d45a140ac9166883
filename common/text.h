/* Texts for people that have to fit into a buffer. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Like snprintf; but a text that does not fit into the `max` bytes ends behind its last whole word
 * (a single long one: behind its last whole UTF-8 character) with "...".  Returns whether all of it
 * fitted.  `ret` may not be among the arguments.
 */
bool
text_print (char *ret, size_t max, const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));
bool text_vprint (char *ret, size_t max, const char *fmt, va_list args)
    __attribute__ ((format (printf, 3, 0)));

bool text_ends_with (const char *text, const char *end);

#endif
