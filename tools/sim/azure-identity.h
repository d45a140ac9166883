/* Applications and managed identities of Entra, and the tokens they get.
 *
 * azure/apps/CLIENT_ID.json: {"name", "kind": "application" or "identity", "tenant", "object_id",
 * "secret", "certificate" (PEM), "subject" (of federated tokens), "resource_id", "system"}.  The
 * members that an application does not have are null.
 */
#ifndef SIM_AZURE_IDENTITY_H
#define SIM_AZURE_IDENTITY_H

#include <stdint.h>

#include "tools/sim/sim.h"

#define AZURE_NAME_MAX 128
#define AZURE_TOKEN_S 3600
#define AZURE_EXCHANGE_AUDIENCE "api://AzureADTokenExchange"

struct azure_app {
  char client_id[37], tenant[37], object_id[37];
  char name[64];
  bool identity;         /* a managed identity */
  bool system;           /* the one that is meant when none is named */
  char secret[48];       /* empty: none */
  char subject[256];     /* of federated tokens; empty: none */
  char resource_id[256]; /* of a user-assigned identity */
  char *certificate;     /* PEM on the heap, or NULL */
};

void azure_app_clear (struct azure_app *app);
#define CLEANUP_AZURE_APP CLEANUP (azure_app_clear)

int azure_app_load (struct sim *sim, const char *client_id, struct azure_app *ret) MUST_CHECK;
void azure_app_save (struct sim *sim, const struct azure_app *app);
bool azure_app_remove (struct sim *sim, const char *client_id);

/* The first one for which `fits` says yes. */
int azure_app_find (struct sim *sim, bool (*fits) (const struct azure_app *app, const char *what),
                    const char *what, struct azure_app *ret) MUST_CHECK;
int azure_app_by_name (struct sim *sim, const char *name, struct azure_app *ret) MUST_CHECK;

/* The one tenant; made at the first call. */
void azure_tenant (struct sim *sim, char ret[37]);

/* An access token for `resource` ("https://vault.localhost"); `claims_met`: it answers a claims
 * challenge.  A new string. */
char *azure_access_token (struct sim *sim, const struct azure_app *app, const char *resource,
                          bool claims_met, int64_t now_s, int64_t lifetime_s);

/* "https://sts.windows.net/TENANT/" */
void azure_issuer (const char *tenant, char ret[AZURE_NAME_MAX]);

#endif
