/* Strict readers of what the exporter writes: Prometheus' text format 0.0.4, and its own HTML. Each
 * returns NULL, or what is wrong.
 */
#ifndef TESTS_EXPORTER_CHECK_H
#define TESTS_EXPORTER_CHECK_H

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "kms/outcome.h"

/* UTF-8 without control characters but newlines. */
static bool
check_clean (const char *text)
{
  CLEANUP_FREE char *copy = strdup (text);

  for (char *p = copy; *p; p++)
    if (*p == '\n')
      *p = ' ';
  return kms_text_clean (copy);
}

static size_t
check_name_length (const char *p)
{
  size_t n = 0;

  if (isalpha ((unsigned char)*p) || *p == '_')
    for (n = 1; isalnum ((unsigned char)p[n]) || p[n] == '_';)
      n++;
  return n;
}

/* {name="value",…}; moves behind it. */
static const char *
check_labels (const char **line)
{
  const char *p = *line + 1;

  for (;;) {
    size_t n = check_name_length (p);

    if (n == 0 || strncmp (p + n, "=\"", 2) != 0)
      return "a label is not name=\"value\"";
    for (p += n + 2; *p != '"'; p++) {
      if (*p == '\n' || !*p)
        return "a label's value does not end";
      if (*p == '\\' && !strchr ("\\\"n", *++p))
        return "an unknown escape";
    }
    p++;
    if (*p == '}')
      break;
    if (*p++ != ',')
      return "labels without a comma";
  }
  *line = p + 1;
  return NULL;
}

/* Whether `name` (of n bytes) belongs to the family. */
static bool
check_belongs (const char *name, size_t n, const char *family, const char *type)
{
  static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
  size_t length = strlen (family);

  if (strncmp (name, family, length) != 0)
    return false;
  if (strcmp (type, "histogram") != 0)
    return n == length;
  for (size_t i = 0; i < 3; i++)
    if (n == length + strlen (suffixes[i])
        && strncmp (name + length, suffixes[i], strlen (suffixes[i])) == 0)
      return true;
  return false;
}

static const char *
check_sample (const char *line, const char *family, const char *type)
{
  size_t n = check_name_length (line);
  const char *p = line + n, *wrong;
  char *end;
  double value;

  if (n == 0 || !check_belongs (line, n, family, type))
    return "a sample that is not of the family above it";
  if (*p == '{' && (wrong = check_labels (&p)))
    return wrong;
  if (*p++ != ' ' || isspace ((unsigned char)*p))
    return "no single space before the value";
  value = strtod (p, &end);
  if (end == p || *end != '\n' || !isfinite (value))
    return "the value is no number";
  if (strcmp (type, "counter") == 0 && value < 0)
    return "a counter below 0";
  return NULL;
}

/* Whether an earlier line is the same series: the same up to the last space. */
static bool
check_repeated (const char *text, const char *line)
{
  const char *end = strchr (line, '\n');
  size_t length;

  while (*end != ' ')
    end--;
  length = (size_t)(end - line) + 1;
  for (const char *p = text; p < line; p = strchr (p, '\n') + 1)
    if (strncmp (p, line, length) == 0)
      return true;
  return false;
}

static __attribute__ ((unused)) const char *
metrics_fault (const char *text)
{
  char family[100] = "", type[20] = "", head[128];
  const char *wrong;

  if (!*text || text[strlen (text) - 1] != '\n')
    return "no newline at the end";
  if (!check_clean (text))
    return "not UTF-8, or control characters";
  for (const char *line = text; *line; line = strchr (line, '\n') + 1) {
    if (strncmp (line, "# HELP ", 7) == 0) {
      if (sscanf (line, "# HELP %99[a-z_]", family) != 1)
        return "a family's name";
      snprintf (head, sizeof head, "\n# HELP %s ", family);
      if (strstr (line, head)) /* no label's value has a newline */
        return "a family is there twice";
      snprintf (head, sizeof head, "\n# TYPE %s ", family);
      line = strstr (line, head);
      if (!line || sscanf (line + strlen (head), "%19[a-z]", type) != 1)
        return "no TYPE";
      line++;
    }
    else if ((wrong = check_sample (line, family, type)))
      return wrong;
    else if (check_repeated (text, line))
      return "a series is there twice";
  }
  return NULL;
}

/* ---- HTML
 * -------------------------------------------------------------------------------------------
 */

static bool
check_listed (const char *list, const char *name, size_t length)
{
  for (const char *p = list; (p = strstr (p, name)); p++) {
    (void)length;
    if ((p == list || p[-1] == ' ') && (p[length] == ' ' || !p[length]))
      return true;
  }
  return false;
}

/* Attributes, from behind the tag's name to its ">"; *ret_empty: "/>". */
static const char *
check_attributes (const char **html, bool *ret_empty)
{
  static const char known[] =
      "lang charset name content http-equiv rel type href src defer class viewBox id d aria-hidden "
      "role hidden data-now data-volume data-at data-left data-fold title preserveAspectRatio x y "
      "width height open";
  const char *p = *html;
  char name[32];

  for (*ret_empty = false; *p != '>';) {
    size_t n = 0;

    if (*p == '/' && p[1] == '>') {
      *ret_empty = true;
      p++;
      continue;
    }
    if (*p++ != ' ')
      return "no space before an attribute";
    while (n < sizeof name - 1 && (isalnum ((unsigned char)p[n]) || p[n] == '-'))
      n++;
    snprintf (name, sizeof name, "%.*s", (int)n, p);
    if (n == 0 || !check_listed (known, name, n))
      return "an attribute that is not ours";
    p += n;
    if (*p != '=')
      continue;
    if (*++p != '"' || !(p = strchr (p + 1, '"')))
      return "an attribute's value is not in quotes";
    p++;
  }
  *html = p + 1;
  return NULL;
}

#define CHECK_DEPTH_MAX 64

static __attribute__ ((unused)) const char *
page_fault (const char *html)
{
  static const char known[] =
      "html head meta title noscript link script body svg defs symbol path use header h1 small p "
      "span time main ul li b article h2 bdi code dl div dt dd figure figcaption rect details "
      "summary ol footer a";
  char stack[CHECK_DEPTH_MAX][16], name[16];
  size_t depth = 0;
  const char *p = html + 16, *wrong;
  bool empty;

  if (strncmp (html, "<!doctype html>\n", 16) != 0)
    return "no doctype";
  if (!check_clean (html))
    return "not UTF-8, or control characters";
  while ((p = strpbrk (p, "<>"))) {
    bool closes = p[1] == '/';
    size_t n = 0;

    if (*p == '>')
      return "a stray >";
    p += 1 + closes;
    while (n < sizeof name - 1 && isalnum ((unsigned char)p[n]))
      n++;
    snprintf (name, sizeof name, "%.*s", (int)n, p);
    if (n == 0 || !check_listed (known, name, n))
      return "an element that is not ours";
    p += n;
    if (closes) {
      if (depth == 0 || strcmp (stack[--depth], name) != 0 || *p++ != '>')
        return "an end tag without its start";
      continue;
    }
    if ((wrong = check_attributes (&p, &empty)))
      return wrong;
    if (empty || check_listed ("meta link", name, n))
      continue;
    if (depth == CHECK_DEPTH_MAX)
      return "too deep";
    strcpy (stack[depth++], name);
  }
  return depth == 0 ? NULL : "an element that does not end";
}

#endif
