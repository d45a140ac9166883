/* aws-xml.c owns the reading of STS' XML. */
#include "kms/aws-xml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"

#define TAG_MAX 80

struct entity {
  const char *name;
  char value;
};

static const struct entity entities[] = {
    {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
};

/* One character of text into *ret; how many bytes it took, or 0. */
static size_t
decode (const char *p, size_t left, char *ret)
{
  if (*p == '\0' || *p == '<')
    return 0;
  if (*p != '&') {
    *ret = *p;
    return 1;
  }
  for (size_t i = 0; i < ARRAY_SIZE (entities); i++) {
    size_t length = strlen (entities[i].name);

    if (left >= length && strncmp (p, entities[i].name, length) == 0) {
      *ret = entities[i].value;
      return length;
    }
  }
  return 0;
}

/* The text between <name> and </name>. */
static int
find (const char *text, size_t size, const char *name, const char **ret_start, size_t *ret_length)
{
  char open[TAG_MAX], close[TAG_MAX];
  const char *start, *end;

  snprintf (open, sizeof open, "<%s>", name);
  snprintf (close, sizeof close, "</%s>", name);
  start = memmem (text, size, open, strlen (open));
  if (!start)
    return -1;
  start += strlen (open);
  end = memmem (start, size - (size_t)(start - text), close, strlen (close));
  if (!end)
    return -1;
  *ret_start = start;
  *ret_length = (size_t)(end - start);
  return 0;
}

int
aws_xml_secret (const char *text, size_t size, const char *name, struct secret *ret)
{
  CLEANUP_SECRET struct secret out = {0};
  const char *start;
  size_t length, used = 0;

  if (find (text, size, name, &start, &length) < 0 || secret_init (&out, length + 1, NULL) < 0)
    return -1;
  for (size_t at = 0; at < length;) {
    size_t n = decode (start + at, length - at, (char *)out.bytes + used);

    if (n == 0)
      return -1;
    at += n;
    used++;
  }
  out.bytes[used] = '\0';
  out.size = used + 1;
  secret_take (ret, &out);
  return 0;
}

int
aws_xml_string (const char *text, size_t size, const char *name, char *ret, size_t max)
{
  CLEANUP_SECRET struct secret out = {0};

  if (aws_xml_secret (text, size, name, &out) < 0 || out.size > max)
    return -1;
  memcpy (ret, out.bytes, out.size);
  return 0;
}

int
aws_xml_is_whole (const char *text, size_t size, const char *name)
{
  char open[TAG_MAX], close[TAG_MAX];
  size_t length = (size_t)snprintf (open, sizeof open, "<%s", name);
  size_t tail = (size_t)snprintf (close, sizeof close, "</%s>", name);

  while (size > 0 && isspace ((unsigned char)text[size - 1]))
    size--;
  while (size > 0 && isspace ((unsigned char)*text)) {
    text++;
    size--;
  }
  if (size > 5 && strncmp (text, "<?xml", 5) == 0) {
    const char *end = memmem (text, size, "?>", 2);

    if (!end)
      return -1;
    size -= (size_t)(end + 2 - text);
    text = end + 2;
    while (size > 0 && isspace ((unsigned char)*text)) {
      text++;
      size--;
    }
  }
  if (size < length + tail || strncmp (text, open, length) != 0
      || (text[length] != '>' && text[length] != ' '))
    return -1;
  return strncmp (text + size - tail, close, tail) == 0 ? 0 : -1;
}
