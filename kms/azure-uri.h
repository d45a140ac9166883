/* The names of keys in Azure Key Vault and Managed HSM, and the clouds they live in:
 *
 *   https://VAULT.vault.azure.net/keys/NAME[/VERSION]
 *   https://HSM.managedhsm.azure.net/keys/NAME[/VERSION]   (or HSM.REGION.managedhsm…)
 *
 * and the same below the domains of the other clouds.  A host outside these domains belongs to no
 * cloud and is refused, so that nobody's token is sent there.  Two exceptions serve simulators:
 * names below ".localhost" (RFC 6761: always this machine), and any host while AZURE_AUTHORITY_HOST
 * is on this machine, since the tokens of such an authority are worth nothing elsewhere.
 *
 * The functions keep no state and may be called from any thread.
 */
#ifndef KMS_AZURE_URI_H
#define KMS_AZURE_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/wrap.h"

#define AZURE_HOST_MAX 256   /* a DNS name of 253 characters, with the NUL */
#define AZURE_NAME_MAX 128   /* 1 to 127 of 0-9 a-z A-Z - */
#define AZURE_VERSION_MAX 65 /* 32 hex digits in practice */
#define AZURE_BASE_MAX (AZURE_HOST_MAX + 16)
#define AZURE_URI_FORM "https://VAULT.vault.azure.net/keys/NAME"

struct azure_cloud {
  const char *name;            /* for people */
  const char *vault_domain;    /* vault.azure.net */
  const char *hsm_domain;      /* managedhsm.azure.net */
  const char *authority;       /* host of the token endpoint */
  const char *other_authority; /* another name it has in challenges, or NULL */
};

struct azure_key {
  const struct azure_cloud *cloud; /* NULL: a simulator's host */
  bool hsm;                        /* Managed HSM, not a vault */
  char host[AZURE_HOST_MAX];       /* lower case, without port */
  char domain[AZURE_HOST_MAX];     /* the host without its first label: what tokens are for */
  char base[AZURE_BASE_MAX];       /* https://HOST[:PORT], lower case */
  char vault[AZURE_HOST_MAX];      /* the host's first label: how commands name it */
  char name[AZURE_NAME_MAX];
  char version[AZURE_VERSION_MAX]; /* empty: the newest */
};

/* -1 for anything else than a key's name.  `authority` is AZURE_AUTHORITY_HOST or NULL. */
int azure_key_parse (const char *text, const char *authority, struct azure_key *ret) MUST_CHECK;

/* BASE/keys/NAME[/VERSION]; -1 when it is too long. */
int azure_key_print (const struct azure_key *key, char ret[WRAP_KEY_MAX]) MUST_CHECK;

/* The version in a kid that the service gave, which must be of this very key (same host, same name,
 * with a version); -1 otherwise.
 */
int azure_key_version_of (const struct azure_key *key, const char *kid, char ret[AZURE_VERSION_MAX])
    MUST_CHECK;

/* Whether a version from elsewhere can be one: 1 to 64 of 0-9 a-z A-Z -. */
bool azure_is_version (const char *text);

/* An URL's scheme and host: "https", or (where `allow_http`) "http"; the host in lower case and
 * without brackets.  -1 when it is malformed, has user information, or is too long.
 */
int azure_url_host (const char *url, bool allow_http, char ret_host[AZURE_HOST_MAX]) MUST_CHECK;

/* localhost, a name below it, 127.0.0.0/8 or ::1. */
bool azure_host_is_loopback (const char *host);

/* Whether `host` is below `domain` (not equal to it); both in lower case. */
bool azure_host_is_below (const char *host, const char *domain);

/* All clouds, ending with a name NULL; the first is the public one. */
extern const struct azure_cloud azure_clouds[];

#endif
