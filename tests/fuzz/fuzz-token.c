/* Feeds token_parse; what it accepts must print, and read again as the same token. */
#include <stdlib.h>
#include <string.h>

#include "crypto/token.h"
#include "tests/fuzz/fuzz.h"

static void
check (const struct token *token)
{
  const struct token_binding binding = {.uuid = "u", .cipher = "c"};
  CLEANUP_FREE char *text = NULL;
  CLEANUP_FREE uint8_t *bytes = NULL;
  CLEANUP_TOKEN struct token *again = NULL;
  size_t size;

  if (!token_primary (token) || token_print (token, &text, NULL) < 0
      || token_parse (text, &again, NULL) < 0 || memcmp (token, again, sizeof *token) != 0
      || token_canonical (token, &binding, &bytes, &size, NULL) < 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  CLEANUP_TOKEN struct token *token = NULL;
  char *text = malloc (size + 1);

  if (!text)
    return 0;
  memcpy (text, data, size);
  text[size] = '\0';
  if (token_parse (text, &token, NULL) == 0)
    check (token);
  free (text);
  return 0;
}
