/* Feeds azure_challenge_parse and azure_challenge_check: whatever is believed for a real vault must
 * be its own domain and its own cloud's authority.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kms/azure-challenge.h"
#include "kms/azure-identity.h"
#include "tests/fuzz/fuzz.h"

#define AUTHORITY "https://login.microsoftonline.com"

static void
check (const struct azure_challenge *challenge)
{
  static const char simulator[] = "https://v.vault.localhost:8443/keys/k";
  struct kms_outcome outcome;
  struct azure_key key;

  if (azure_key_parse ("https://v.vault.azure.net/keys/k", NULL, &key) < 0)
    abort ();
  if (azure_challenge_check (challenge, &key, AUTHORITY, &outcome) == 0
      && (strncasecmp (challenge->resource, "https://vault.azure.net", 23) != 0
          || strlen (challenge->tenant) >= AZURE_TENANT_MAX))
    abort ();
  if (azure_key_parse (simulator, NULL, &key) < 0)
    abort ();
  (void)!azure_challenge_check (challenge, &key, AUTHORITY, &outcome);
  (void)!azure_challenge_check (challenge, &key, "https://localhost:8443", &outcome);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *text = malloc (size + 1), file[AZURE_ARC_FILE_MAX];
  struct azure_challenge challenge;

  if (!text)
    return 0;
  memcpy (text, data, size);
  text[size] = '\0';
  if (azure_challenge_parse (text, &challenge) == 0)
    check (&challenge);
  if (azure_arc_file (text, file) == 0
      && (strncmp (file, AZURE_ARC_FOLDER, strlen (AZURE_ARC_FOLDER)) != 0
          || strstr (file, "/../")))
    abort ();
  free (text);
  return 0;
}
