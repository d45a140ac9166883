/* http-answer.c owns what is kept of an answer's headers, and the words for failures. */
#include "kms/http-answer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/crypto.h>

#include "common/checked.h"

#define FIELD(member) \
  offsetof (struct http_answer, member), sizeof (((struct http_answer *)0)->member)

static const struct {
  const char *name;
  size_t offset, size;
  bool joined;
} known_headers[] = {
    {"x-amzn-RequestId", FIELD (request_id), false},
    {"x-ms-request-id", FIELD (request_id), false},
    {"x-amz-request-id", FIELD (request_id), false},
    {"x-amzn-ErrorType", FIELD (error_type), false},
    {"x-ms-keyvault-region", FIELD (keyvault_region), false},
    {"Retry-After", FIELD (retry_after), false},
    {"Location", FIELD (location), false},
    {"WWW-Authenticate", FIELD (www_authenticate), true},
};

static void
store_header (struct http_answer *answer, size_t which, const char *value, size_t length)
{
  char *field = (char *)answer + known_headers[which].offset;
  size_t size = known_headers[which].size, used = strnlen (field, size - 1);

  if (!known_headers[which].joined)
    used = 0;
  snprintf (field + used, size - used, "%s%.*s", used ? ", " : "", (int)length, value);
}

/* RFC 9110's preferred format; the obsolete ones are not sent by anyone that we ask. */
static int64_t
parse_date (const char *value, size_t length)
{
  struct tm tm = {0};
  char text[64];
  const char *end;

  snprintf (text, sizeof text, "%.*s", (int)length, value);
  end = strptime (text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  return end && *end == '\0' ? MAX (0, (int64_t)timegm (&tm)) : 0;
}

static void
forget_headers (struct http_answer *answer)
{
  for (size_t i = 0; i < ARRAY_SIZE (known_headers); i++)
    *((char *)answer + known_headers[i].offset) = '\0';
  answer->date_s = 0;
}

static bool
is_named (const char *name, const char *line, size_t length)
{
  return strlen (name) == length && strncasecmp (name, line, length) == 0;
}

void
http_answer_header (struct http_answer *answer, const char *line, size_t size)
{
  const char *colon = memchr (line, ':', size), *value, *end = line + size;
  size_t length = colon ? (size_t)(colon - line) : 0;

  if (size > 5 && strncasecmp (line, "HTTP/", 5) == 0) {
    forget_headers (answer);
    return;
  }
  if (!colon)
    return;
  for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
    ;
  while (end > value && isspace ((unsigned char)end[-1]))
    end--;
  for (size_t i = 0; i < ARRAY_SIZE (known_headers); i++)
    if (is_named (known_headers[i].name, line, length))
      store_header (answer, i, value, (size_t)(end - value));
  if (is_named ("Date", line, length))
    answer->date_s = parse_date (value, (size_t)(end - value));
}

void
http_answer_clear (struct http_answer *answer)
{
  secret_clear (&answer->body);
  *answer = (struct http_answer){.failure = HTTP_NO_MEMORY};
}

int
http_append_encoded (char *buf, size_t size, const char *value)
{
  static const char digits[] = "0123456789ABCDEF";
  size_t start = strlen (buf), at = start;

  for (const char *p = value; *p; p++) {
    unsigned char c = (unsigned char)*p;
    bool plain = isalnum (c) || strchr ("-._~", c);

    if (at + (plain ? 1 : 3) >= size) {
      OPENSSL_cleanse (buf + start, size - start);
      return -1;
    }
    if (!plain) {
      buf[at++] = '%';
      buf[at++] = digits[c >> 4];
      c = (unsigned char)digits[c & 15];
    }
    buf[at++] = (char)c;
  }
  buf[at] = '\0';
  return 0;
}

const char *
http_failure_name (enum http_failure failure)
{
  static const char *const names[HTTP_FAILURE_COUNT] = {
      [HTTP_ANSWERED] = "answered",
      [HTTP_NXDOMAIN] = "nxdomain",
      [HTTP_RESOLVE] = "dns",
      [HTTP_CONNECT] = "connect",
      [HTTP_TLS] = "tls",
      [HTTP_TLS_VERIFY] = "tls_verify",
      [HTTP_TIMEOUT] = "timeout",
      [HTTP_BROKEN] = "broken",
      [HTTP_TOO_LARGE] = "too_large",
      [HTTP_REFUSED] = "refused",
      [HTTP_NO_MEMORY] = "no_memory",
  };

  return names[failure];
}
