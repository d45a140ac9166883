/* text.c owns text that grows, and what becomes of foreign strings in it. */
#include "tools/exporter/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "kms/outcome.h"

static bool
make_room (struct text *text, size_t more)
{
  size_t room = text->room ? text->room : 1024;
  char *bytes;

  if (text->failed)
    return false;
  while (room - text->size <= more)
    room *= 2;
  if (room == text->room)
    return true;
  bytes = realloc (text->bytes, room);
  if (!bytes) {
    text->failed = true;
    return false;
  }
  text->bytes = bytes;
  text->room = room;
  return true;
}

static void
put_bytes (struct text *text, const char *bytes, size_t size)
{
  if (!make_room (text, size))
    return;
  memcpy (text->bytes + text->size, bytes, size);
  text->size += size;
  text->bytes[text->size] = '\0';
}

void
text_put (struct text *text, const char *string)
{
  put_bytes (text, string, strlen (string));
}

void
text_format (struct text *text, const char *fmt, ...)
{
  CLEANUP_FREE char *string = NULL;
  va_list args;
  int n;

  va_start (args, fmt);
  n = vasprintf (&string, fmt, args);
  va_end (args);
  if (n < 0) {
    string = NULL;
    text->failed = true;
    return;
  }
  put_bytes (text, string, (size_t)n);
}

struct escape {
  char what;
  const char *as;
};

/* Characters that let what follows them be read in another direction, so that it seems to be other
 * words (Unicode Bidirectional Algorithm, table 4): U+202A to U+202E, U+2066 to U+2069.
 */
static void
straighten (char *string)
{
  for (unsigned char *p = (unsigned char *)string; *p; p++)
    if (p[0] == 0xe2
        && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae)
            || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
      p[0] = p[1] = p[2] = '?';
}

/* `escapes` ends with a zero. */
static void
put_foreign (struct text *text, const char *string, const struct escape *escapes)
{
  CLEANUP_FREE char *copy = strndup (string, TEXT_FOREIGN_MAX);
  bool cut = copy && strlen (copy) == TEXT_FOREIGN_MAX && string[TEXT_FOREIGN_MAX];

  if (!copy) {
    text->failed = true;
    return;
  }
  kms_text_clean (copy);
  straighten (copy);
  for (const char *p = copy; *p; p++) {
    const struct escape *e = escapes;

    while (e->what && e->what != *p)
      e++;
    if (e->what)
      text_put (text, e->as);
    else
      put_bytes (text, p, 1);
  }
  if (cut)
    text_put (text, "\u2026");
}

void
text_html (struct text *text, const char *string)
{
  static const struct escape escapes[] = {{'&', "&amp;"}, {'<', "&lt;"},   {'>', "&gt;"},
                                          {'"', "&#34;"}, {'\'', "&#39;"}, {0}};

  put_foreign (text, string, escapes);
}

void
text_isolated (struct text *text, const char *string)
{
  text_put (text, "<bdi>");
  text_html (text, string);
  text_put (text, "</bdi>");
}

void
text_label (struct text *text, const char *string)
{
  static const struct escape escapes[] = {{'\\', "\\\\"}, {'"', "\\\""}, {'\n', "\\n"}, {0}};

  put_foreign (text, string, escapes);
}

void
text_number (struct text *text, double number)
{
  char digits[32];

  for (int precision = 15; precision <= 17; precision++) {
    snprintf (digits, sizeof digits, "%.*g", precision, number);
    if (strtod (digits, NULL) == number)
      break;
  }
  text_put (text, digits);
}

char *
text_take (struct text *text, size_t *ret_size)
{
  char *bytes;

  text_put (text, ""); /* an empty text is a string, too */
  if (text->failed) {
    text_clear (text);
    return NULL;
  }
  bytes = text->bytes;
  *ret_size = text->size;
  *text = (struct text){0};
  return bytes;
}

void
text_clear (struct text *text)
{
  free (text->bytes);
  *text = (struct text){0};
}
