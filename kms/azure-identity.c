/* azure-identity.c owns the URLs that managed identity is asked by. */
#include "kms/azure-identity.h"

#include <stdio.h>
#include <string.h>

#include "kms/http.h"

static int
bad_endpoint (const char *endpoint, const char *why, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_CONFIG, "bad_endpoint",
                          "the managed identity endpoint \"%.120s\" can't be used: %s", endpoint,
                          why);
}

int
azure_identity_url (const struct azure_need *need, const char *endpoint, const char *version,
                    const char *client_id, char ret[AZURE_IDENTITY_URL_MAX],
                    struct kms_outcome *outcome)
{
  char host[AZURE_HOST_MAX], url[AZURE_IDENTITY_URL_MAX];
  int n;

  if (azure_url_host (endpoint, true, host) < 0)
    return bad_endpoint (endpoint, "it is no URL", outcome);
  if (need->simulated && !azure_host_is_loopback (host))
    return bad_endpoint (endpoint, "its tokens are not for a simulator", outcome);
  n = snprintf (url, sizeof url, "%s%sapi-version=%s&resource=", endpoint,
                strchr (endpoint, '?') ? "&" : "?", version);
  if (n < 0 || (size_t)n >= sizeof url || http_append_encoded (url, sizeof url, need->resource) < 0)
    return bad_endpoint (endpoint, "it is too long", outcome);
  n = (int)strlen (url);
  if (client_id)
    snprintf (url + n, sizeof url - (size_t)n, "&client_id=");
  if (client_id && http_append_encoded (url, sizeof url, client_id) < 0)
    return bad_endpoint (endpoint, "it is too long, or AZURE_CLIENT_ID is", outcome);
  memcpy (ret, url, sizeof url);
  return 0;
}
