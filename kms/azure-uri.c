/* azure-uri.c owns the table of Azure's clouds and the reading of its keys' names. */
#include "kms/azure-uri.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Domains and authorities: Microsoft's "National clouds" and "About keys, secrets, certificates".
 */
const struct azure_cloud azure_clouds[] = {
    {"Azure", "vault.azure.net", "managedhsm.azure.net", "login.microsoftonline.com",
     "login.windows.net"},
    {"Azure Government", "vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net",
     "login.microsoftonline.us", NULL},
    {"Azure China", "vault.azure.cn", "managedhsm.azure.cn", "login.chinacloudapi.cn",
     "login.partner.microsoftonline.cn"},
    {NULL},
};

/* ---- hosts ---- */

static bool
is_label (const char *text, size_t length)
{
  if (length == 0 || length > 63 || text[0] == '-' || text[length - 1] == '-')
    return false;
  for (size_t i = 0; i < length; i++)
    if (!isalnum ((unsigned char)text[i]) && text[i] != '-')
      return false;
  return true;
}

static bool
is_host (const char *text, size_t length)
{
  size_t start = 0;

  for (size_t i = 0; i <= length; i++) {
    if (i < length && text[i] != '.')
      continue;
    if (!is_label (text + start, i - start))
      return false;
    start = i + 1;
  }
  return length < AZURE_HOST_MAX;
}

static void
copy_lower (char *to, const char *from, size_t length)
{
  for (size_t i = 0; i < length; i++)
    to[i] = (char)tolower ((unsigned char)from[i]);
  to[length] = '\0';
}

/* 1 to 5 digits, 1 to 65535. */
static bool
is_port (const char *text, size_t length)
{
  unsigned port = 0;

  if (length == 0 || length > 5)
    return false;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    port = port * 10 + (unsigned)(text[i] - '0');
  }
  return port >= 1 && port <= 65535;
}

/* What an URL is made of before its path; host and port point into the URL. */
struct parts {
  const char *host, *port, *path;
  size_t host_length, port_length;
};

static int
split_authority (const char *start, struct parts *parts)
{
  size_t length = strcspn (start, "/?#");
  const char *end = start + length, *colon;

  *parts = (struct parts){.host = start, .host_length = length, .path = end};
  if (start[0] == '[') {
    const char *bracket = memchr (start, ']', length);

    if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
      return -1;
    parts->host = start + 1;
    parts->host_length = (size_t)(bracket - start) - 1;
    colon = bracket + 1 < end ? bracket + 1 : NULL;
  }
  else {
    colon = memchr (start, ':', length);
    if (colon)
      parts->host_length = (size_t)(colon - start);
  }
  if (!colon)
    return 0;
  parts->port = colon + 1;
  parts->port_length = (size_t)(end - colon) - 1;
  return is_port (parts->port, parts->port_length) ? 0 : -1;
}

static int
split_url (const char *url, bool allow_http, struct parts *ret)
{
  if (strncasecmp (url, "https://", 8) == 0)
    return split_authority (url + 8, ret);
  if (allow_http && strncasecmp (url, "http://", 7) == 0)
    return split_authority (url + 7, ret);
  return -1;
}

static bool
is_ipv6_loopback (const char *text, size_t length)
{
  return length == 3 && strncmp (text, "::1", 3) == 0;
}

int
azure_url_host (const char *url, bool allow_http, char ret_host[AZURE_HOST_MAX])
{
  struct parts parts;

  if (split_url (url, allow_http, &parts) < 0)
    return -1;
  if (!is_host (parts.host, parts.host_length) && !is_ipv6_loopback (parts.host, parts.host_length))
    return -1;
  copy_lower (ret_host, parts.host, parts.host_length);
  return 0;
}

bool
azure_host_is_below (const char *host, const char *domain)
{
  size_t host_length = strlen (host), length = strlen (domain);

  return length > 0 && host_length > length + 1 && host[host_length - length - 1] == '.'
         && strcmp (host + host_length - length, domain) == 0;
}

static bool
is_ipv4_loopback (const char *host)
{
  unsigned bytes[4];
  int end = 0;

  return sscanf (host, "%3u.%3u.%3u.%3u%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &end) == 4
         && host[end] == '\0' && bytes[0] == 127 && bytes[1] < 256 && bytes[2] < 256
         && bytes[3] < 256;
}

bool
azure_host_is_loopback (const char *host)
{
  return strcmp (host, "localhost") == 0 || azure_host_is_below (host, "localhost")
         || strcmp (host, "::1") == 0 || is_ipv4_loopback (host);
}

/* ---- keys ---- */

/* A vault is one label below its domain; an HSM may have its region between. */
static bool
is_in_domain (const char *host, const char *domain, int max_labels)
{
  int labels = 1;

  if (!azure_host_is_below (host, domain))
    return false;
  for (const char *p = host; p < host + strlen (host) - strlen (domain) - 1; p++)
    labels += *p == '.';
  return labels <= max_labels;
}

static bool
find_cloud (struct azure_key *key)
{
  for (const struct azure_cloud *cloud = azure_clouds; cloud->name; cloud++) {
    const char *domain = NULL;

    if (is_in_domain (key->host, cloud->vault_domain, 1))
      domain = cloud->vault_domain;
    else if (is_in_domain (key->host, cloud->hsm_domain, 2))
      domain = cloud->hsm_domain;
    if (!domain)
      continue;
    key->cloud = cloud;
    key->hsm = domain == cloud->hsm_domain;
    snprintf (key->domain, sizeof key->domain, "%s", domain);
    return true;
  }
  return false;
}

/* The exception for simulators; see the header. */
static bool
accept_test_host (const char *authority, struct azure_key *key)
{
  char authority_host[AZURE_HOST_MAX];
  const char *dot = strchr (key->host, '.');

  if (!azure_host_is_below (key->host, "localhost")
      && (!authority || azure_url_host (authority, true, authority_host) < 0
          || !azure_host_is_loopback (authority_host)))
    return false;
  key->hsm = strstr (key->host, "managedhsm") != NULL;
  snprintf (key->domain, sizeof key->domain, "%s", dot ? dot + 1 : key->host);
  return true;
}

static int
parse_base (const struct parts *parts, const char *authority, struct azure_key *key)
{
  bool default_port = !parts->port || strncmp (parts->port, "443/", 4) == 0;

  if (!is_host (parts->host, parts->host_length))
    return -1;
  copy_lower (key->host, parts->host, parts->host_length);
  if (!find_cloud (key) && !accept_test_host (authority, key))
    return -1;
  if (key->cloud && !default_port)
    return -1;
  copy_lower (key->vault, key->host, strcspn (key->host, "."));
  snprintf (key->base, sizeof key->base, "https://%s%s%.*s", key->host, default_port ? "" : ":",
            default_port ? 0 : (int)parts->port_length, default_port ? "" : parts->port);
  return 0;
}

/* Moves *path behind "/SEGMENT", which it copies; -1 when it is not of the letters that such a
 * segment has, or too long for `max` with its NUL.
 */
static int
take_segment (const char **path, char *ret, size_t max)
{
  const char *start;
  size_t length;

  if (**path != '/')
    return -1;
  start = *path + 1;
  length = strcspn (start, "/");
  if (length == 0 || length >= max)
    return -1;
  for (size_t i = 0; i < length; i++)
    if (!isalnum ((unsigned char)start[i]) && start[i] != '-')
      return -1;
  memcpy (ret, start, length);
  ret[length] = '\0';
  *path = start + length;
  return 0;
}

bool
azure_is_version (const char *text)
{
  size_t length = strlen (text);

  for (size_t i = 0; i < length; i++)
    if (!isalnum ((unsigned char)text[i]) && text[i] != '-')
      return false;
  return length > 0 && length < AZURE_VERSION_MAX;
}

int
azure_key_parse (const char *text, const char *authority, struct azure_key *ret)
{
  struct azure_key key = {0};
  struct parts parts;
  const char *path;

  if (strlen (text) >= WRAP_KEY_MAX || split_url (text, false, &parts) < 0
      || parse_base (&parts, authority, &key) < 0)
    return -1;
  path = parts.path;
  if (strncmp (path, "/keys/", 6) != 0)
    return -1;
  path += 5;
  if (take_segment (&path, key.name, sizeof key.name) < 0)
    return -1;
  if (*path == '/' && path[1] != '\0' && take_segment (&path, key.version, sizeof key.version) < 0)
    return -1;
  if (*path != '\0' && strcmp (path, "/") != 0)
    return -1;
  *ret = key;
  return 0;
}

int
azure_key_print (const struct azure_key *key, char ret[WRAP_KEY_MAX])
{
  char text[WRAP_KEY_MAX];
  int n = snprintf (text, sizeof text, "%s/keys/%s%s%s", key->base, key->name,
                    key->version[0] ? "/" : "", key->version);

  if (n < 0 || (size_t)n >= sizeof text)
    return -1;
  memcpy (ret, text, (size_t)n + 1);
  return 0;
}

int
azure_key_version_of (const struct azure_key *key, const char *kid, char ret[AZURE_VERSION_MAX])
{
  char version[AZURE_VERSION_MAX], name[AZURE_NAME_MAX], host[AZURE_HOST_MAX];
  struct parts parts;
  const char *path;

  if (azure_url_host (kid, key->cloud == NULL, host) < 0 || strcmp (host, key->host) != 0
      || split_url (kid, key->cloud == NULL, &parts) < 0)
    return -1;
  path = parts.path;
  if (strncmp (path, "/keys/", 6) != 0)
    return -1;
  path += 5;
  /* Key Vault does not tell names apart by case, and answers in its own. */
  if (take_segment (&path, name, sizeof name) < 0 || strcasecmp (name, key->name) != 0
      || take_segment (&path, version, sizeof version) < 0 || *path != '\0')
    return -1;
  memcpy (ret, version, strlen (version) + 1);
  return 0;
}
