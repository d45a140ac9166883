/* Feeds azure_key_parse; what it accepts must lie below its domain, print, and read again. */
#include <stdlib.h>
#include <string.h>

#include "kms/azure-uri.h"
#include "tests/fuzz/fuzz.h"

/* The first line is the name, the second (if any) the authority, the third an id of the service. */
static char *
cut_line (char **p)
{
  char *line = *p, *end = line ? strchr (line, '\n') : NULL;

  if (end)
    *end++ = '\0';
  *p = end;
  return line;
}

static void
check (const struct azure_key *key, const char *authority)
{
  char text[WRAP_KEY_MAX], text_again[WRAP_KEY_MAX], version[AZURE_VERSION_MAX];
  struct azure_key again;

  if (key->cloud && !azure_host_is_below (key->host, key->domain))
    abort ();
  if (azure_key_print (key, text) < 0)
    return; /* longer than what was read: a default port went, a version came */
  if (azure_key_parse (text, authority, &again) < 0 || azure_key_print (&again, text_again) < 0
      || strcmp (text, text_again) != 0 || strcmp (key->domain, again.domain) != 0
      || key->hsm != again.hsm)
    abort ();
  if (*key->version && azure_key_version_of (key, text, version) < 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *text = malloc (size + 1), *p = text;
  char version[AZURE_VERSION_MAX], host[AZURE_HOST_MAX];
  struct azure_key key;

  if (!text)
    return 0;
  memcpy (text, data, size);
  text[size] = '\0';
  const char *name = cut_line (&p), *authority = cut_line (&p), *kid = cut_line (&p);
  (void)!azure_url_host (name, true, host);
  if (azure_key_parse (name, authority, &key) == 0) {
    check (&key, authority);
    if (kid && azure_key_version_of (&key, kid, version) == 0 && !azure_is_version (version))
      abort ();
  }
  free (text);
  return 0;
}
