/* azure-environment.c owns the reading of the AZURE_ variables. */
#include "kms/azure-environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
azure_variable (const char *name)
{
  const char *value = getenv (name);

  return value && *value ? value : NULL;
}

static int
bad_authority (const char *value, struct kms_outcome *outcome)
{
  return kms_outcome_set (
      outcome, KMS_CONFIG, "bad_authority",
      "AZURE_AUTHORITY_HOST is \"%.120s\", where it must be an https URL without "
      "a path, as https://login.microsoftonline.com",
      value);
}

/* SDKs differ in whether the scheme must be there. */
static int
normalise (const char *value, char base[AZURE_BASE_MAX], char host[AZURE_HOST_MAX])
{
  char text[AZURE_BASE_MAX];
  size_t length;

  int n = snprintf (text, sizeof text, "%s%s", strstr (value, "://") ? "" : "https://", value);

  if (n < 0 || (size_t)n >= sizeof text)
    return -1;
  for (length = strlen (text); length > 0 && text[length - 1] == '/'; length--)
    text[length - 1] = '\0';
  if (azure_url_host (text, true, host) < 0 || strpbrk (strstr (text, "://") + 3, "/?#"))
    return -1;
  if (strncmp (text, "https:", 6) != 0 && !azure_host_is_loopback (host))
    return -1;
  memcpy (base, text, length + 1);
  return 0;
}

int
azure_authority (const struct azure_key *key, char ret_base[AZURE_BASE_MAX],
                 struct kms_outcome *outcome)
{
  const struct azure_cloud *cloud = key->cloud ? key->cloud : &azure_clouds[0];
  const char *value = azure_variable ("AZURE_AUTHORITY_HOST");
  char host[AZURE_HOST_MAX];

  if (!value)
    snprintf (ret_base, AZURE_BASE_MAX, "https://%s", cloud->authority);
  else if (normalise (value, ret_base, host) < 0)
    return bad_authority (value, outcome);
  return 0;
}

bool
azure_authority_is_loopback (void)
{
  const char *value = azure_variable ("AZURE_AUTHORITY_HOST");
  char base[AZURE_BASE_MAX], host[AZURE_HOST_MAX];

  return value && normalise (value, base, host) == 0 && azure_host_is_loopback (host);
}
