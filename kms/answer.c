/* answer.c owns the reading of JSON in place. */
#include "kms/answer.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A piece of the text; the end is where to look no further. */
struct span {
  const char *p, *end;
};

/* ---- the grammar: each takes a place and gives the place behind, or NULL ---- */

static const char *skip_value (const char *p, const char *end, int depth);

static const char *
skip_space (const char *p, const char *end)
{
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
    p++;
  return p;
}

static const char *
skip_escape (const char *p, const char *end)
{
  if (p >= end)
    return NULL;
  if (*p != 'u')
    return strchr ("\"\\/bfnrt", *p) && *p ? p + 1 : NULL;
  if (end - p < 5)
    return NULL;
  for (int i = 1; i <= 4; i++)
    if (!isxdigit ((unsigned char)p[i]))
      return NULL;
  return p + 5;
}

static const char *
skip_string (const char *p, const char *end)
{
  if (p >= end || *p != '"')
    return NULL;
  for (p++; p && p < end && *p != '"';) {
    if ((unsigned char)*p < 0x20)
      return NULL;
    p = *p == '\\' ? skip_escape (p + 1, end) : p + 1;
  }
  return p && p < end ? p + 1 : NULL;
}

static const char *
skip_digits (const char *p, const char *end)
{
  const char *start = p;

  while (p < end && isdigit ((unsigned char)*p))
    p++;
  return p > start ? p : NULL;
}

static const char *
skip_number (const char *p, const char *end)
{
  if (p < end && *p == '-')
    p++;
  p = p < end && *p == '0' ? p + 1 : skip_digits (p, end);
  if (p && p < end && *p == '.')
    p = skip_digits (p + 1, end);
  if (p && p < end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < end && (*p == '+' || *p == '-'))
      p++;
    p = skip_digits (p, end);
  }
  return p;
}

static const char *
skip_word (const char *p, const char *end, const char *word)
{
  size_t length = strlen (word);

  return (size_t)(end - p) >= length && strncmp (p, word, length) == 0 ? p + length : NULL;
}

/* Behind a member's name and colon, at its value. */
static const char *
skip_name (const char *p, const char *end)
{
  p = skip_string (p, end);
  p = p ? skip_space (p, end) : NULL;
  return p && p < end && *p == ':' ? skip_space (p + 1, end) : NULL;
}

static const char *
skip_container (const char *p, const char *end, int depth, char close)
{
  p = skip_space (p + 1, end);
  if (p < end && *p == close)
    return p + 1;
  while (p && p < end) {
    if (close == '}')
      p = skip_name (p, end);
    p = p ? skip_value (p, end, depth - 1) : NULL;
    p = p ? skip_space (p, end) : NULL;
    if (!p || p >= end)
      return NULL;
    if (*p == close)
      return p + 1;
    if (*p != ',')
      return NULL;
    p = skip_space (p + 1, end);
  }
  return NULL;
}

static const char *
skip_value (const char *p, const char *end, int depth)
{
  if (p >= end || depth <= 0)
    return NULL;
  switch (*p) {
  case '{':
    return skip_container (p, end, depth, '}');
  case '[':
    return skip_container (p, end, depth, ']');
  case '"':
    return skip_string (p, end);
  case 't':
    return skip_word (p, end, "true");
  case 'f':
    return skip_word (p, end, "false");
  case 'n':
    return skip_word (p, end, "null");
  default:
    return skip_number (p, end);
  }
}

int
answer_init (struct answer *ret, const char *text, size_t size)
{
  const char *end = text + size, *start = skip_space (text, end), *p;

  p = start < end && *start == '{' ? skip_value (start, end, ANSWER_DEPTH_MAX) : NULL;
  if (!p || skip_space (p, end) != end)
    return -1;
  *ret = (struct answer){start, (size_t)(p - start)};
  return 0;
}

/* ---- finding: the text is known to be valid from here on ---- */

/* Whether the string from `p` to `end` (with its quotes) is that text as it stands: one with
 * escapes in it is nothing's equal.
 */
static bool
is_string (const char *p, const char *end, const char *text, size_t length)
{
  return (size_t)(end - p) == length + 2 && strncmp (p + 1, text, length) == 0;
}

/* The value of the only member of that name. */
static int
find_member (struct span object, const char *name, size_t length, struct span *ret)
{
  const char *p = skip_space (object.p + 1, object.end);
  int found = 0;

  if (*object.p != '{')
    return -1;
  while (p && *p == '"') {
    const char *name_end = skip_string (p, object.end);
    const char *value = skip_name (p, object.end);
    const char *behind = value ? skip_value (value, object.end, ANSWER_DEPTH_MAX) : NULL;

    if (!name_end || !behind)
      return -1;
    if (is_string (p, name_end, name, length)) {
      *ret = (struct span){value, behind};
      found++;
    }
    p = skip_space (behind, object.end);
    p = *p == ',' ? skip_space (p + 1, object.end) : NULL;
  }
  return found == 1 ? 0 : -1;
}

static int
find (const struct answer *answer, const char *path, struct span *ret)
{
  struct span at = {answer->text, answer->text + answer->size};

  for (;;) {
    size_t length = strcspn (path, "/");

    if (find_member (at, path, length, &at) < 0)
      return -1;
    if (path[length] == '\0')
      break;
    path += length + 1;
  }
  *ret = at;
  return 0;
}

bool
answer_has (const struct answer *answer, const char *path)
{
  struct span at;

  return find (answer, path, &at) == 0;
}

/* ---- strings ---- */

static unsigned
hex4 (const char *p)
{
  unsigned value = 0;

  for (int i = 0; i < 4; i++) {
    unsigned c = (unsigned char)p[i];

    value = value << 4 | (isdigit ((int)c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

static size_t
utf8_encode (unsigned code, char out[4])
{
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 63));
    return 2;
  }
  if (code < 0x10000) {
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 63));
    out[2] = (char)(0x80 | (code & 63));
    return 3;
  }
  out[0] = (char)(0xf0 | code >> 18);
  out[1] = (char)(0x80 | (code >> 12 & 63));
  out[2] = (char)(0x80 | (code >> 6 & 63));
  out[3] = (char)(0x80 | (code & 63));
  return 4;
}

/* One \u escape, or the two of a surrogate pair; `p` is at the 'u'.  0 for half a pair and NUL. */
static size_t
unescape_unicode (const char **p, char out[4])
{
  unsigned code = hex4 (*p + 1);

  *p += 5;
  if (code >= 0xd800 && code < 0xdc00 && (*p)[0] == '\\' && (*p)[1] == 'u') {
    unsigned low = hex4 (*p + 2);

    if (low < 0xdc00 || low > 0xdfff)
      return 0;
    *p += 6;
    return utf8_encode (0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
  }
  if (code == 0 || (code >= 0xd800 && code <= 0xdfff))
    return 0;
  return utf8_encode (code, out);
}

/* The next character of a string's inside, 1 to 4 bytes; 0 for one that can't be. */
static size_t
unescape (const char **p, char out[4])
{
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

  if (**p != '\\') {
    out[0] = *(*p)++;
    return out[0] ? 1 : 0;
  }
  (*p)++;
  if (**p == 'u')
    return unescape_unicode (p, out);
  out[0] = values[strchr (names, *(*p)++) - names];
  return 1;
}

/* The string at `at` into `ret`; its length, or -1. */
static ssize_t
copy_string (struct span at, char *ret, size_t max)
{
  const char *p = at.p + 1;
  size_t length = 0;

  while (p < at.end - 1) {
    char out[4];
    size_t n = unescape (&p, out);

    if (n == 0 || length + n >= max)
      return -1;
    memcpy (ret + length, out, n);
    length += n;
  }
  ret[length] = '\0';
  return (ssize_t)length;
}

static int
find_string (const struct answer *answer, const char *path, struct span *ret)
{
  struct span at;

  if (find (answer, path, &at) < 0 || *at.p != '"')
    return -1;
  *ret = at;
  return 0;
}

/* Unescaped first into secret memory, so that nothing is left of a string that doesn't fit. */
int
answer_secret (const struct answer *answer, const char *path, struct secret *ret)
{
  CLEANUP_SECRET struct secret out = {0};
  struct span at;
  ssize_t length;

  if (find_string (answer, path, &at) < 0 || secret_init (&out, (size_t)(at.end - at.p), NULL) < 0)
    return -1;
  length = copy_string (at, (char *)out.bytes, out.size);
  if (length < 0)
    return -1;
  out.size = (size_t)length + 1;
  secret_take (ret, &out);
  return 0;
}

int
answer_string (const struct answer *answer, const char *path, char *ret, size_t max)
{
  CLEANUP_SECRET struct secret out = {0};

  if (answer_secret (answer, path, &out) < 0 || out.size > max)
    return -1;
  memcpy (ret, out.bytes, out.size);
  return 0;
}

int
answer_base64 (const struct answer *answer, const char *path, enum base64_alphabet alphabet,
               struct secret *ret)
{
  CLEANUP_SECRET struct secret text = {0};

  if (answer_secret (answer, path, &text) < 0)
    return -1;
  return secret_base64_decode ((char *)text.bytes, text.size - 1, alphabet, ret);
}

int
answer_blob (const struct answer *answer, const char *path, enum base64_alphabet alphabet,
             struct wrap_blob *ret)
{
  CLEANUP_SECRET struct secret bytes = {0};

  if (answer_base64 (answer, path, alphabet, &bytes) < 0 || bytes.size > sizeof ret->bytes)
    return -1;
  memcpy (ret->bytes, bytes.bytes, bytes.size);
  ret->size = bytes.size;
  return 0;
}

/* ---- other values ---- */

int
answer_number (const struct answer *answer, const char *path, double *ret)
{
  struct span at;
  char text[40], *end;
  size_t length;
  double value;

  if (find (answer, path, &at) < 0)
    return -1;
  if (*at.p == '"')
    at = (struct span){at.p + 1, at.end - 1};
  length = (size_t)(at.end - at.p);
  if (length >= sizeof text || skip_number (at.p, at.end) != at.end)
    return -1;
  memcpy (text, at.p, length);
  text[length] = '\0';
  value = strtod (text, &end);
  if (*end || !isfinite (value))
    return -1;
  *ret = value;
  return 0;
}

int
answer_int64 (const struct answer *answer, const char *path, int64_t *ret)
{
  double value;

  if (answer_number (answer, path, &value) < 0 || fabs (value) > 9007199254740992.0)
    return -1;
  *ret = (int64_t)value;
  return 0;
}

int
answer_bool (const struct answer *answer, const char *path, bool *ret)
{
  struct span at;

  if (find (answer, path, &at) < 0 || (*at.p != 't' && *at.p != 'f'))
    return -1;
  *ret = *at.p == 't';
  return 0;
}

bool
answer_array_has (const struct answer *answer, const char *path, const char *value)
{
  size_t length = strlen (value);
  struct span at;
  const char *p;

  if (find (answer, path, &at) < 0 || *at.p != '[')
    return false;
  for (p = skip_space (at.p + 1, at.end); p && p < at.end && *p != ']';) {
    const char *behind = skip_value (p, at.end, ANSWER_DEPTH_MAX);

    if (behind && *p == '"' && is_string (p, behind, value, length))
      return true;
    p = behind;
    p = p ? skip_space (p, at.end) : NULL;
    if (p && p < at.end && *p == ',')
      p = skip_space (p + 1, at.end);
  }
  return false;
}
