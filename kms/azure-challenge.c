/* azure-challenge.c owns the reading and the judging of Key Vault's 401 challenge. */
#include "kms/azure-challenge.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/encode.h"

/* ---- the header's grammar (RFC 9110, section 11) ---- */

#define VALUE_MAX 4096 /* the header itself is no longer */

/* One piece of the header: a scheme (no value), or a parameter. */
struct piece {
  char name[32];
  bool is_parameter;
  char value[VALUE_MAX];
};

static bool
is_token_char (char c)
{
  return isalnum ((unsigned char)c) || (c != '\0' && strchr ("!#$%&'*+-.^_`|~", c));
}

static const char *
skip_blanks (const char *p)
{
  return p + strspn (p, " \t");
}

/* Returns past it, or NULL when it is no token or longer than `max` allows. */
static const char *
take_token (const char *p, char *ret, size_t max)
{
  size_t length = 0;

  while (is_token_char (p[length]))
    length++;
  if (length == 0 || length >= max)
    return NULL;
  memcpy (ret, p, length);
  ret[length] = '\0';
  return p + length;
}

static const char *
take_quoted (const char *p, char *ret, size_t max)
{
  size_t length = 0;

  for (p++; *p != '"'; p++) {
    if (*p == '\\')
      p++;
    if ((unsigned char)*p < 0x20 || *p == 0x7f || length + 1 >= max)
      return NULL;
    ret[length++] = *p;
  }
  ret[length] = '\0';
  return p + 1;
}

/* The next piece at `p`, which has no blanks and commas before it; NULL: malformed. */
static const char *
take_piece (const char *p, struct piece *ret)
{
  const char *value;

  ret->is_parameter = false;
  p = take_token (p, ret->name, sizeof ret->name);
  if (!p)
    return NULL;
  value = skip_blanks (p);
  if (*value != '=')
    return p;
  ret->is_parameter = true;
  value = skip_blanks (value + 1);
  if (*value == '"')
    return take_quoted (value, ret->value, sizeof ret->value);
  return take_token (value, ret->value, sizeof ret->value);
}

/* ---- parameters ---- */

/* Where the parameters go: each may come once. */
struct raw {
  char authority[AZURE_BASE_MAX], resource[AZURE_BASE_MAX], scope[AZURE_BASE_MAX], error[64];
  char claims[VALUE_MAX];
};

static int
keep (const struct piece *piece, struct raw *raw)
{
  const struct {
    const char *name;
    char *to;
    size_t max;
  } parameters[] = {
      {"authorization", raw->authority, sizeof raw->authority},
      {"authorization_uri", raw->authority, sizeof raw->authority},
      {"resource", raw->resource, sizeof raw->resource},
      {"scope", raw->scope, sizeof raw->scope},
      {"error", raw->error, sizeof raw->error},
      {"claims", raw->claims, sizeof raw->claims},
  };

  for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
    if (strcasecmp (piece->name, parameters[i].name) != 0)
      continue;
    if (*parameters[i].to || strlen (piece->value) >= parameters[i].max)
      return -1;
    memcpy (parameters[i].to, piece->value, strlen (piece->value) + 1);
  }
  return 0;
}

/* Collects the parameters of the first Bearer challenge. */
static int
collect (const char *p, struct raw *raw)
{
  struct piece piece;
  bool in_bearer = false;

  for (p += strspn (p, " \t,"); *p; p += strspn (p, " \t,")) {
    p = take_piece (p, &piece);
    if (!p)
      return -1;
    if (piece.is_parameter) {
      if (in_bearer && keep (&piece, raw) < 0)
        return -1;
    }
    else if (in_bearer)
      return 0;
    else
      in_bearer = strcasecmp (piece.name, "Bearer") == 0;
  }
  return in_bearer ? 0 : -1;
}

static bool
is_tenant (const char *text, size_t length)
{
  for (size_t i = 0; i < length; i++)
    if (!isalnum ((unsigned char)text[i]) && text[i] != '.' && text[i] != '-')
      return false;
  return length < AZURE_TENANT_MAX;
}

static int
take_tenant (struct azure_challenge *challenge)
{
  const char *path = strstr (challenge->authority, "://");
  size_t length;

  path = path ? strchr (path + 3, '/') : NULL;
  if (!path)
    return 0;
  length = strcspn (path + 1, "/?#");
  if (!is_tenant (path + 1, length))
    return -1;
  memcpy (challenge->tenant, path + 1, length);
  return 0;
}

/* The claims come in base64, of either alphabet; they are JSON, so they must be text. */
static int
take_claims (char *base64, struct azure_challenge *challenge)
{
  uint8_t bytes[AZURE_CLAIMS_MAX];
  size_t size, length = strlen (base64);

  for (char *p = base64; *p; p++)
    *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
  while (length % 4 != 0 && length + 1 < VALUE_MAX)
    base64[length++] = '=';
  base64[length] = '\0';
  if (base64_decode (base64, bytes, sizeof bytes - 1, &size) < 0 || memchr (bytes, 0, size))
    return -1;
  memcpy (challenge->claims, bytes, size);
  return 0;
}

static void
take_resource (const struct raw *raw, struct azure_challenge *challenge)
{
  static const char suffix[] = "/.default";
  const char *text = *raw->resource ? raw->resource : raw->scope;
  size_t length = strlen (text);

  if (!*raw->resource && length > strlen (suffix)
      && strcmp (text + length - strlen (suffix), suffix) == 0)
    length -= strlen (suffix);
  while (length > 0 && text[length - 1] == '/')
    length--;
  memcpy (challenge->resource, text, length);
}

int
azure_challenge_parse (const char *header, struct azure_challenge *ret)
{
  struct azure_challenge challenge = {0};
  struct raw raw = {0};

  if (strlen (header) >= VALUE_MAX || collect (header, &raw) < 0)
    return -1;
  memcpy (challenge.authority, raw.authority, sizeof raw.authority);
  memcpy (challenge.error, raw.error, sizeof raw.error);
  take_resource (&raw, &challenge);
  if (take_tenant (&challenge) < 0 || take_claims (raw.claims, &challenge) < 0)
    return -1;
  *ret = challenge;
  return 0;
}

/* ---- judgement ---- */

/* Of a real vault: its cloud's domain.  Of a simulator: a domain above its host; or a real one, as
 * simulators have to send to SDKs, as long as the tokens for it come from this machine, too.
 */
static bool
is_right_resource (const char *resource, const struct azure_key *key, const char *authority)
{
  char authority_host[AZURE_HOST_MAX];

  if (strcmp (resource, key->domain) == 0)
    return true;
  if (key->cloud)
    return false;
  if (strcmp (resource, key->host) == 0 || azure_host_is_below (key->host, resource))
    return true;
  if (azure_url_host (authority, true, authority_host) < 0
      || !azure_host_is_loopback (authority_host))
    return false;
  for (const struct azure_cloud *cloud = azure_clouds; cloud->name; cloud++)
    if (strcmp (resource, cloud->vault_domain) == 0 || strcmp (resource, cloud->hsm_domain) == 0)
      return true;
  return false;
}

static bool
is_right_authority (const char *host, const struct azure_key *key, const char *authority)
{
  char configured[AZURE_HOST_MAX];

  if (azure_url_host (authority, true, configured) == 0 && strcmp (host, configured) == 0)
    return true;
  if (!key->cloud)
    return azure_host_is_loopback (host);
  return strcmp (host, key->cloud->authority) == 0
         || (key->cloud->other_authority && strcmp (host, key->cloud->other_authority) == 0);
}

int
azure_challenge_check (const struct azure_challenge *challenge, const struct azure_key *key,
                       const char *authority, struct kms_outcome *outcome)
{
  char resource[AZURE_HOST_MAX], host[AZURE_HOST_MAX];

  if (azure_url_host (challenge->resource, false, resource) < 0
      || strchr (challenge->resource + strlen ("https://"), '/')
      || !is_right_resource (resource, key, authority))
    return kms_outcome_set (outcome, KMS_CONFIG, "challenge_resource",
                            "%.100s asks for a token for \"%.80s\", which is not its own domain "
                            "(%.60s): nothing was sent; see that the key's name is right, and who "
                            "answers there",
                            key->host, challenge->resource, key->domain);
  if (azure_url_host (challenge->authority, key->cloud == NULL, host) < 0
      || !is_right_authority (host, key, authority))
    return kms_outcome_set (outcome, KMS_CONFIG, "challenge_authority",
                            "%.100s sends us to \"%.80s\" for a token, where %.60s is configured: "
                            "nothing was sent; for another cloud set AZURE_AUTHORITY_HOST",
                            key->host, challenge->authority, authority);
  return 0;
}
