/* request.c owns finding things in a request: headers, form fields, percent encoding. */
#include "tools/sim/request.h"

#include <string.h>
#include <strings.h>

#include "common/encode.h"

const char *
request_header (const struct request *request, const char *name)
{
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp (request->headers[i].name, name) == 0)
      return request->headers[i].value;
  return NULL;
}

const char *
request_host (const struct request *request)
{
  const char *host = request_header (request, "Host");

  return host ? host : "";
}

/* The byte that two hex digits stand for; -1 for anything else, and for NUL. */
static int
hex_byte (const char *digits, size_t left)
{
  char pair[3] = {0};
  uint8_t byte;

  if (left < 2)
    return -1;
  memcpy (pair, digits, 2);
  if (hex_decode (pair, &byte, 1) < 0 || byte == 0)
    return -1;
  return byte;
}

char *
percent_decode (const char *text, size_t size, bool plus)
{
  CLEANUP_FREE
  char *out = malloc (size + 1);
  char *done;
  size_t n = 0;

  if (!out)
    return NULL;
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '%') {
      int byte = hex_byte (text + i + 1, size - i - 1);

      if (byte < 0)
        return NULL;
      out[n++] = (char)byte;
      i += 2;
    }
    else
      out[n++] = plus && text[i] == '+' ? ' ' : text[i];
  }
  out[n] = '\0';
  done = out;
  out = NULL;
  return done;
}

char *
form_value (const char *form, const char *name)
{
  char *found = NULL;

  while (*form) {
    size_t field = strcspn (form, "&"), key = strcspn (form, "=&");
    CLEANUP_FREE
    char *decoded = percent_decode (form, key, true);

    if (decoded && strcmp (decoded, name) == 0) {
      if (found) {
        free (found);
        return NULL;
      }
      found = key < field ? percent_decode (form + key + 1, field - key - 1, true) : strdup ("");
      if (!found)
        return NULL;
    }
    form += field + (form[field] == '&');
  }
  return found;
}
