/* file-uri.c owns the way from file:///a%20name to a path, and from a path into a shell command. */
#include "kms/file-uri.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"
#include "common/encode.h"
#include "kms/outcome.h"

/* Behind "file://" and the host, or NULL. */
static const char *
path_part (const char *uri)
{
  static const char *const prefixes[] = {"file:///", "file://localhost/"};

  for (size_t i = 0; i < ARRAY_SIZE (prefixes); i++) {
    size_t length = strlen (prefixes[i]);

    if (strncasecmp (uri, prefixes[i], length) == 0)
      return uri + length - 1;
  }
  return NULL;
}

/* One character of a URI's path; the number of bytes it takes there, or 0 when it may not be. */
static size_t
decode_one (const char *p, char *ret)
{
  char digits[3] = "";
  uint8_t byte;

  if (*p == '?' || *p == '#')
    return 0;
  if (*p != '%') {
    *ret = *p;
    return 1;
  }
  snprintf (digits, sizeof digits, "%.2s", p + 1);
  if (hex_decode (digits, &byte, 1) < 0 || byte < 0x20 || byte == 0x7f)
    return 0;
  *ret = (char)byte;
  return 3;
}

int
file_uri_path (const char *uri, char ret_path[WRAP_KEY_MAX])
{
  const char *p = path_part (uri);
  char path[WRAP_KEY_MAX];
  size_t used = 0;

  /* The text itself must be printable UTF-8: it is stored in headers and shown. */
  if (!p || snprintf (path, sizeof path, "%s", uri) >= (int)sizeof path || !kms_text_clean (path))
    return -1;
  while (*p) {
    char c = 0;
    size_t taken = decode_one (p, &c);

    if (taken == 0 || used + 1 >= sizeof path)
      return -1;
    path[used++] = c;
    p += taken;
  }
  path[used] = '\0';
  memcpy (ret_path, path, used + 1);
  return 0;
}

void
file_path_quote (const char *path, char *ret_word, size_t max)
{
  static const char plain[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+@";
  bool quoted = path[strspn (path, plain)] != '\0';
  int n = snprintf (ret_word, max, quoted ? "'%s'" : "%s", path);

  if (n < 0 || (size_t)n >= max || strchr (path, '\''))
    snprintf (ret_word, max, "PATH");
}
