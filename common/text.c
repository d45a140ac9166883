/* text.c owns the cutting of texts that are too long for their buffers, and words as others write
 * them. */
#include "common/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char ellipsis[] = "...";

/* How many of the first `max` bytes are whole UTF-8 characters. */
static size_t
whole_characters (const char *text, size_t max)
{
  while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
    max--;
  return max;
}

/* How many of the first `max` bytes are whole words, without what would join them to the next; a
 * text that is mostly one long word is cut inside of it.
 */
static size_t
whole_words (const char *text, size_t max)
{
  size_t length = max;

  while (length > 0 && text[length] != ' ')
    length--;
  if (length < max / 2)
    return whole_characters (text, max);
  while (length > 0 && strchr (" ,;:(", text[length - 1]))
    length--;
  return length;
}

bool
text_vprint (char *ret, size_t max, const char *fmt, va_list args)
{
  int n = vsnprintf (ret, max, fmt, args);

  assert (max > sizeof ellipsis);
  if (n < 0)
    ret[0] = '\0';
  if (n < (int)max)
    return n >= 0;
  memcpy (ret + whole_words (ret, max - sizeof ellipsis), ellipsis, sizeof ellipsis);
  return false;
}

bool
text_print (char *ret, size_t max, const char *fmt, ...)
{
  va_list args;
  bool fitted;

  va_start (args, fmt);
  fitted = text_vprint (ret, max, fmt, args);
  va_end (args);
  return fitted;
}

bool
text_ends_with (const char *text, const char *end)
{
  size_t length = strlen (text), end_length = strlen (end);

  return length >= end_length && strcmp (text + length - end_length, end) == 0;
}
