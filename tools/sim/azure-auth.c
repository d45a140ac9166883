/* azure-auth.c owns who calls a vault: tokens, challenges, and what the caller may do. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/encode.h"
#include "tools/sim/azure-vault.h"
#include "tools/sim/issuer.h"

/* ---- tokens -----------------------------------------------------------------------------------
 */

/* 401 with the challenge; `more` is added to it. */
int
azure_challenge (struct azure_call *call, const char *more, const char *text)
{
  char tenant[37];

  azure_tenant (call->ex->sim, tenant);
  reply_header (call->ex->reply, "WWW-Authenticate",
                "Bearer authorization=\"https://localhost:%u/%s\", resource=\"%s\"%s",
                call->ex->sim->port, tenant, call->resource, more);
  return azure_fail (call, 401, "Unauthorized", NULL, "%s", text);
}

/* The bearer token of the request, or NULL. */
static const char *
bearer (struct azure_call *call)
{
  const char *header = request_header (call->ex->request, "Authorization");

  return header && strncasecmp (header, "Bearer ", 7) == 0 ? header + 7 : NULL;
}

int
azure_check_token (struct azure_call *call)
{
  const char *text = bearer (call), *audience, *name;
  char tenant[37], issuer[AZURE_NAME_MAX];

  if (!text)
    return azure_challenge (call, "", "AKV10000: Request is missing a Bearer or PoP token.");
  azure_tenant (call->ex->sim, tenant);
  azure_issuer (tenant, issuer);
  if (issuer_verify (call->ex->sim, text, NULL, &call->token) < 0)
    return azure_challenge (call, ", error=\"invalid_token\"",
                            "AKV10001: The token's signature is not valid.");
  name = json_get_string (call->token.claims, "appid");
  snprintf (call->ex->principal, sizeof call->ex->principal, "%s", name ? name : "");
  if (strcmp (json_get_string (call->token.claims, "iss"), issuer) != 0)
    return azure_challenge (call, ", error=\"invalid_token\"",
                            "AKV10032: Invalid issuer. The token was issued by another tenant.");
  audience = json_get_string (call->token.claims, "aud");
  if (!audience || strcmp (audience, call->resource) != 0)
    return azure_challenge (call, ", error=\"invalid_token\"",
                            "AKV10022: Invalid audience. Expected the resource of this vault.");
  if (!jwt_is_current (&call->token, call->ex->now_s))
    return azure_challenge (call, ", error=\"invalid_token\"",
                            "AKV10014: The token has expired or is not valid yet.");
  return 0;
}

/* A claims challenge, which a token that was asked for with claims answers. */
int
azure_claims_challenge (struct azure_call *call)
{
  CLEANUP_JWT struct jwt token = {0};
  const char *text = bearer (call);
  char nbf[128], more[512];
  CLEANUP_FREE
  char *claims = NULL;
  bool met = false;

  if (!text || issuer_verify (call->ex->sim, text, NULL, &token) < 0
      || (json_get_bool (token.claims, "claims_met", &met) == 0 && met))
    return 0;
  snprintf (nbf, sizeof nbf, "{\"access_token\":{\"nbf\":{\"essential\":true,\"value\":\"%lld\"}}}",
            (long long)call->ex->now_s);
  claims = base64_encode ((const uint8_t *)nbf, strlen (nbf));
  snprintf (more, sizeof more, ", error=\"insufficient_claims\", claims=\"%s\"", claims);
  return azure_challenge (call, more,
                          "AKV10036: Continuous access evaluation resulted in a challenge.");
}

/* ---- rights -----------------------------------------------------------------------------------
 */

static int
fail_right (struct azure_call *call, const char *action)
{
  const char *app = json_get_string (call->token.claims, "appid"),
             *object = json_get_string (call->token.claims, "oid");

  if (call->vault.policies)
    return azure_fail (call, 403, "Forbidden", "ForbiddenByPolicy",
                       "The user, group or application 'appid=%s;oid=%s' does not have keys %s "
                       "permission on key vault '%s;location=" AZURE_REGION
                       "'. For help resolving this "
                       "issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
                       app, object, action, call->vault_name);
  return azure_fail (call, 403, "Forbidden", "ForbiddenByRbac",
                     "Caller is not authorized to perform action on resource.\r\nIf role "
                     "assignments, deny assignments or role definitions were changed recently, "
                     "please observe propagation time.\r\nCaller: appid=%s;oid=%s\r\nAction: "
                     "'Microsoft.KeyVault/vaults/keys/%s/action'\r\nAssignment: (not found)\r\n"
                     "Vault: %s;location=" AZURE_REGION "\r\n",
                     app, object, action, call->vault_name);
}

int
azure_fail_firewall (struct azure_call *call)
{
  return azure_fail (call, 403, "Forbidden", "ForbiddenByFirewall",
                     "Client address is not authorized and caller is not a trusted service.\r\n"
                     "Client address: 127.0.0.1\r\nVault: %s;location=" AZURE_REGION,
                     call->vault_name);
}

int
azure_check_right (struct azure_call *call, const char *action)
{
  const char *object = json_get_string (call->token.claims, "oid");

  if (call->vault.firewall)
    return azure_fail_firewall (call);
  if (!object || !azure_vault_allows (&call->vault, object, action))
    return fail_right (call, action);
  return 0;
}
