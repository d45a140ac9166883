/* policy-azure.c owns the commands that grant a key in Azure. */
#include "kms/policy.h"

#include <string.h>

#include "common/parse.h"
#include "kms/azure-environment.h"
#include "kms/azure-uri.h"

#define PLACEHOLDER "PRINCIPAL_OBJECT_ID"

/* az's name of a cloud, for those that are not its default. */
static const char *
cloud_argument (const struct azure_cloud *cloud)
{
  if (cloud == &azure_clouds[1])
    return "AzureUSGovernment";
  return cloud == &azure_clouds[2] ? "AzureChinaCloud" : NULL;
}

static bool
parse (const char *text, struct azure_key *key)
{
  return azure_key_parse (text, azure_variable ("AZURE_AUTHORITY_HOST"), key) == 0;
}

static bool
owns (const char *key)
{
  struct azure_key parsed;

  return parse (key, &parsed);
}

static void
write_head (const struct azure_key *key, const struct policy_request *request, FILE *out)
{
  const char *cloud = key->cloud ? cloud_argument (key->cloud) : NULL;

  fprintf (out, "# Grants for the key %s in %s.\n", key->name, key->host);
  fputs ("# Serving a volume needs unwrapKey and nothing else, creating and rewrapping one needs "
         "wrapKey\n"
         "# as well; get lets create choose the algorithm, and keyfence check look at dates and\n"
         "# protection.  None of this manages the key: its owner keeps the rights to do that.\n",
         out);
  if (request->volume)
    fprintf (
        out,
        "# Azure can't bind a grant to one volume (%s): use a key of its own for each group of\n"
        "# volumes that is to be revoked together.\n",
        request->volume);
  if (!request->principal)
    fputs ("# Put the object id of the managed identity or service principal in for " PLACEHOLDER
           ".\n",
           out);
  if (cloud)
    fprintf (out, "az cloud set --name %s\n", cloud);
  fputs ("\n", out);
}

/* How one takes a key away: each version has a switch of its own, and set-attributes without one
 * means the newest.
 */
static void
write_revoking (const struct azure_key *key, const char *holder, FILE *out)
{
  fprintf (
      out,
      "\n"
      "# To take the key away from all volumes at once, disable every version: volumes go on with\n"
      "# the version that wrapped them, and set-attributes alone is about the newest one.\n"
      "#   for id in $(az keyvault key list-versions --%s-name %s --name %s \\\n"
      "#       --query '[].kid' --output tsv); do\n"
      "#     az keyvault key set-attributes --id \"$id\" --enabled false   # true gives it back\n"
      "#   done\n"
      "# From one volume only: the version that keyfence inspect shows, if no other volume has "
      "it:\n"
      "#   az keyvault key set-attributes --id ID_WITH_VERSION --enabled false\n",
      holder, key->vault, key->name);
}

/* ---- vaults ---- */

#define VAULT_ROLE "Key Vault Crypto Service Encryption User"

static void
write_role (const struct azure_key *key, const char *principal, const char *role,
            const char *prefix, FILE *out)
{
  fprintf (out,
           "%saz role assignment create --role \"%s\" \\\n"
           "%s  --assignee-object-id %s --assignee-principal-type ServicePrincipal \\\n"
           "%s  --scope \"$(az keyvault show --name %s --query id --output tsv)/keys/%s\"\n",
           prefix, role, prefix, principal, prefix, key->vault, key->name);
}

/* No built-in role has unwrapping alone. */
static void
write_vault_roles (const struct azure_key *key, const char *principal, FILE *out)
{
  fputs (
      "# Running (serve, status): a role that unwraps and can do nothing else.  Define it once;\n"
      "# add \"Microsoft.KeyVault/vaults/keys/read\" to have keyfence check see dates, too.\n"
      "az role definition create --role-definition '{\"Name\": \"keyfence run\",\n"
      "  \"Description\": \"Unwraps the keys of keyfence volumes\",\n"
      "  \"DataActions\": [\"Microsoft.KeyVault/vaults/keys/unwrap/action\"],\n"
      "  \"AssignableScopes\": [\"/subscriptions/'\"$(az account show --query id --output "
      "tsv)\"'\"]}'\n",
      out);
  write_role (key, principal, "keyfence run", "", out);
  fputs (
      "# Or without a role of your own, by the least of the built-in ones, which wraps as well:\n",
      out);
  write_role (key, principal, VAULT_ROLE, "#   ", out);
  fputs ("# Creating (create, rewrap; whoever sets volumes up): reads, wraps and unwraps.\n", out);
  write_role (key, principal, VAULT_ROLE, "", out);
}

static void
write_vault (const struct azure_key *key, const char *principal, FILE *out)
{
  write_vault_roles (key, principal, out);
  fprintf (
      out,
      "\n"
      "# Instead, where the vault has access policies and no role-based access control (these are\n"
      "# for all keys of the vault, and replace those of the same identity).  Running:\n"
      "#   az keyvault set-policy --name %s --object-id %s --key-permissions unwrapKey\n"
      "# Creating:\n"
      "#   az keyvault set-policy --name %s --object-id %s \\\n"
      "#     --key-permissions get wrapKey unwrapKey\n"
      "\n"
      "# Protection against a lost key, once for the vault (it can't be turned off again):\n"
      "#   az keyvault update --name %s --enable-purge-protection true\n",
      key->vault, principal, key->vault, principal, key->vault);
  write_revoking (key, "vault", out);
}

/* ---- managed HSMs ---- */

#define HSM_ROLE "Managed HSM Crypto Service Encryption User"

static void
write_hsm_role (const struct azure_key *key, const char *principal, const char *role,
                const char *prefix, FILE *out)
{
  fprintf (
      out,
      "%saz keyvault role assignment create --hsm-name %s --role \"%s\" \\\n"
      "%s  --assignee-object-id %s --assignee-principal-type ServicePrincipal --scope /keys/%s\n",
      prefix, key->vault, role, prefix, principal, key->name);
}

static void
write_hsm (const struct azure_key *key, const char *principal, FILE *out)
{
  fprintf (
      out,
      "# Running (serve, status): a role that unwraps and can do nothing else.  Define it once;\n"
      "# add \"Microsoft.KeyVault/managedHsm/keys/read/action\" for keyfence check.\n"
      "az keyvault role definition create --hsm-name %s --role-definition '{\n"
      "  \"roleName\": \"keyfence run\",\n"
      "  \"description\": \"Unwraps the keys of keyfence volumes\",\n"
      "  \"actions\": [], \"notActions\": [], \"notDataActions\": [],\n"
      "  \"dataActions\": [\"Microsoft.KeyVault/managedHsm/keys/unwrap/action\"]}'\n",
      key->vault);
  write_hsm_role (key, principal, "keyfence run", "", out);
  fputs (
      "# Or without a role of your own, by the least of the built-in ones, which wraps as well:\n",
      out);
  write_hsm_role (key, principal, HSM_ROLE, "#   ", out);
  fputs ("# Creating (create, rewrap; whoever sets volumes up): reads, wraps and unwraps.\n", out);
  write_hsm_role (key, principal, HSM_ROLE, "", out);
  write_revoking (key, "hsm", out);
}

static int
write_policy (const struct policy_request *request, FILE *out, struct error *err)
{
  const char *principal = request->principal ? request->principal : PLACEHOLDER;
  struct azure_key key;

  if (!parse (request->key, &key))
    return error_set (err, ERROR_USAGE, "\"%.150s\" is not the name of a key in Azure",
                      request->key);
  if (request->principal && !is_uuid (request->principal))
    return error_set (err, ERROR_USAGE,
                      "\"%s\" is no principal: give the object id (a GUID) of the managed identity "
                      "or service principal: az identity show --query principalId, az ad sp show "
                      "--id CLIENT_ID --query id",
                      request->principal);
  if (request->rsa)
    return error_set (err, ERROR_USAGE,
                      "--rsa is for keys of AWS KMS: in Azure all keys are granted alike");
  write_head (&key, request, out);
  if (key.hsm)
    write_hsm (&key, principal, out);
  else
    write_vault (&key, principal, out);
  return 0;
}

const struct policy_writer policy_azure = {.owns = owns, .write = write_policy};
