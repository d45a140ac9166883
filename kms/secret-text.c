/* secret-text.c owns texts in secret memory, and base64 that leaves no traces. */
#include "kms/secret-text.h"

#include <stdio.h>
#include <string.h>

#include "kms/http.h"

int
secret_text_init (struct secret_text *text, size_t max)
{
  *text = (struct secret_text){0};
  return secret_init (&text->memory, max + 1, NULL);
}

void
secret_text_clear (struct secret_text *text)
{
  secret_clear (&text->memory);
  *text = (struct secret_text){0};
}

static void
add_bytes (struct secret_text *text, const char *bytes, size_t size)
{
  if (text->failed || !text->memory.bytes || size >= text->memory.size - text->length) {
    text->failed = true;
    return;
  }
  memcpy (text->memory.bytes + text->length, bytes, size);
  text->length += size;
  text->memory.bytes[text->length] = '\0';
}

void
secret_text_add (struct secret_text *text, const char *part)
{
  add_bytes (text, part, strlen (part));
}

void
secret_text_add_json (struct secret_text *text, const char *part)
{
  secret_text_add (text, "\"");
  for (; *part; part++) {
    char escaped[8];

    if (*part == '"' || *part == '\\')
      snprintf (escaped, sizeof escaped, "\\%c", *part);
    else if ((unsigned char)*part < 0x20)
      snprintf (escaped, sizeof escaped, "\\u%04x", (unsigned)*part);
    else
      snprintf (escaped, sizeof escaped, "%c", *part);
    secret_text_add (text, escaped);
  }
  secret_text_add (text, "\"");
}

void
secret_text_add_encoded (struct secret_text *text, const char *part)
{
  if (text->failed || !text->memory.bytes
      || http_append_encoded ((char *)text->memory.bytes, text->memory.size, part) < 0)
    text->failed = true;
  else
    text->length += strlen ((char *)text->memory.bytes + text->length);
}

const char *
secret_text_get (const struct secret_text *text)
{
  return text->failed || !text->memory.bytes ? NULL : (const char *)text->memory.bytes;
}

int
secret_from_text (const char *text, size_t length, struct secret *ret)
{
  if (secret_init (ret, length + 1, NULL) < 0)
    return -1;
  memcpy (ret->bytes, text, length);
  ret->bytes[length] = '\0';
  return 0;
}

const char *
secret_get_text (const struct secret *s)
{
  return s->bytes ? (const char *)s->bytes : "";
}

/* ---- base64 by arithmetic on all ranges, so that no address depends on the value ---- */

/* All ones when lo <= c <= hi, else 0. */
static unsigned
in_range (unsigned c, unsigned lo, unsigned hi)
{
  return (unsigned)-(int)((((lo - 1 - c) & (c - hi - 1)) >> 31) & 1);
}

/* 0 to 63, or 0x80 and more for a character that is none. */
static unsigned
decode_char (unsigned c, enum base64_alphabet alphabet)
{
  unsigned c62 = alphabet == BASE64_URL ? '-' : '+', c63 = alphabet == BASE64_URL ? '_' : '/';
  unsigned upper = in_range (c, 'A', 'Z'), lower = in_range (c, 'a', 'z'),
           digit = in_range (c, '0', '9'), is62 = in_range (c, c62, c62),
           is63 = in_range (c, c63, c63);
  unsigned value = (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52))
                   | (is62 & 62) | (is63 & 63);

  return value | (~(upper | lower | digit | is62 | is63) & 0x80);
}

static unsigned
encode_char (unsigned v, enum base64_alphabet alphabet)
{
  unsigned c62 = alphabet == BASE64_URL ? '-' : '+', c63 = alphabet == BASE64_URL ? '_' : '/';

  /* Shifted by one, so that the lowest range does not start at 0. */
  return (in_range (v + 1, 1, 26) & (v + 'A')) | (in_range (v + 1, 27, 52) & (v - 26 + 'a'))
         | (in_range (v + 1, 53, 62) & (v - 52 + '0')) | (in_range (v + 1, 63, 63) & c62)
         | (in_range (v + 1, 64, 64) & c63);
}

void
secret_text_add_base64 (struct secret_text *text, const uint8_t *bytes, size_t size,
                        enum base64_alphabet alphabet)
{
  for (size_t i = 0; i < size; i += 3) {
    size_t n = size - i < 3 ? size - i : 3;
    unsigned group = (unsigned)bytes[i] << 16 | (n > 1 ? (unsigned)bytes[i + 1] << 8 : 0)
                     | (n > 2 ? bytes[i + 2] : 0);
    char out[4];

    for (size_t j = 0; j < 4; j++)
      out[j] = j <= n ? (char)encode_char (group >> (18 - 6 * j) & 63, alphabet) : '=';
    add_bytes (text, out, alphabet == BASE64_URL ? n + 1 : 4);
    secret_wipe (out, sizeof out);
  }
}

/* The characters that count, without padding; 0 when the padding is not right. */
static size_t
significant (const char *text, size_t length, enum base64_alphabet alphabet)
{
  size_t pad = 0;

  if (alphabet == BASE64_URL)
    return length % 4 == 1 ? 0 : length;
  if (length % 4 != 0)
    return 0;
  while (pad < 2 && pad < length && text[length - 1 - pad] == '=')
    pad++;
  return length - pad;
}

int
secret_base64_decode (const char *text, size_t length, enum base64_alphabet alphabet,
                      struct secret *ret)
{
  size_t count = significant (text, length, alphabet), size = count * 3 / 4, at = 0;
  CLEANUP_SECRET struct secret out = {0};
  unsigned bits = 0, have = 0, bad = 0;

  if (size == 0 || secret_init (&out, size, NULL) < 0)
    return -1;
  for (size_t i = 0; i < count; i++) {
    unsigned value = decode_char ((unsigned char)text[i], alphabet);

    bad |= value & 0x80;
    bits = (bits << 6 | (value & 63)) & 0xfff;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.bytes[at++] = (uint8_t)(bits >> have);
    }
  }
  bad |= bits & ((1u << have) - 1);
  if (bad || at != size)
    return -1;
  secret_take (ret, &out);
  return 0;
}
