/* encode.c owns base64 and hex.  Base64 is OpenSSL's, made strict by encoding the result again. */
#include "common/encode.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

char *
base64_encode (const uint8_t *bytes, size_t size)
{
  char *text;

  if (size > INT_MAX / 2)
    return NULL;
  text = malloc ((size + 2) / 3 * 4 + 1);
  if (text)
    EVP_EncodeBlock ((unsigned char *)text, bytes, (int)size);
  return text;
}

static size_t
padding (const char *text, size_t length)
{
  return length < 2 ? 0 : (size_t)(text[length - 1] == '=') + (size_t)(text[length - 2] == '=');
}

int
base64_decode (const char *text, uint8_t *bytes, size_t max, size_t *ret_size)
{
  size_t length = strlen (text), size;
  CLEANUP_FREE unsigned char *raw = NULL;
  CLEANUP_FREE char *again = NULL;

  if (length % 4 != 0 || length > INT_MAX / 2)
    return -1;
  size = length / 4 * 3 - padding (text, length);
  if (size > max)
    return -1;
  raw = malloc (length / 4 * 3 + 1);
  if (!raw || EVP_DecodeBlock (raw, (const unsigned char *)text, (int)length) < 0)
    return -1;
  again = base64_encode (raw, size);
  if (!again || strcmp (again, text) != 0)
    return -1;
  if (size > 0)
    memcpy (bytes, raw, size);
  *ret_size = size;
  return 0;
}

void
hex_encode (const uint8_t *bytes, size_t size, char *ret_text)
{
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < size; i++) {
    ret_text[2 * i] = digits[bytes[i] >> 4];
    ret_text[2 * i + 1] = digits[bytes[i] & 15];
  }
  ret_text[2 * size] = '\0';
}

static int
digit_value (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

int
hex_decode (const char *text, uint8_t *ret_bytes, size_t size)
{
  if (strlen (text) != 2 * size)
    return -1;
  for (size_t i = 0; i < 2 * size; i++)
    if (digit_value (text[i]) < 0)
      return -1;
  for (size_t i = 0; i < size; i++)
    ret_bytes[i] = (uint8_t)(digit_value (text[2 * i]) << 4 | digit_value (text[2 * i + 1]));
  return 0;
}
