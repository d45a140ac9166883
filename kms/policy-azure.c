/* policy-azure.c owns the commands that grant a key in Azure. */
#include "kms/policy.h"

#include <ctype.h>
#include <string.h>

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

/* The text goes into a shell. */
static bool
is_principal (const char *text)
{
  for (const char *p = text; *p; p++)
    if (!isalnum ((unsigned char)*p) && !strchr ("-._@", *p))
      return false;
  return *text && *text != '-';
}

static void
write_head (const struct azure_key *key, const struct policy_request *request, FILE *out)
{
  const char *cloud = key->cloud ? cloud_argument (key->cloud) : NULL;

  fprintf (out, "# Grants for the key %s in %s.\n", key->name, key->host);
  fputs (
      "# Serving a volume needs unwrapKey, creating and rewrapping one needs wrapKey as well; get\n"
      "# lets keyfence choose the algorithm and keyfence check look at dates and protection.\n",
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

/* ---- vaults ---- */

static void
write_role (const struct azure_key *key, const char *principal, const char *comment,
            const char *role, FILE *out)
{
  fprintf (out,
           "# %s\n"
           "az role assignment create --role \"%s\" \\\n"
           "  --assignee-object-id %s --assignee-principal-type ServicePrincipal \\\n"
           "  --scope \"$(az keyvault show --name %s --query id --output tsv)/keys/%s\"\n",
           comment, role, principal, key->vault, key->name);
}

static void
write_vault (const struct azure_key *key, const char *principal, FILE *out)
{
  write_role (key, principal, "Running: serve, status, check.",
              "Key Vault Crypto Service Encryption User", out);
  write_role (key, principal, "Creating: create, rewrap (whoever sets volumes up).",
              "Key Vault Crypto User", out);
  fprintf (
      out,
      "\n"
      "# Instead, where the vault has access policies and no role-based access control (these are\n"
      "# for all keys of the vault).  Running:\n"
      "az keyvault set-policy --name %s --object-id %s --key-permissions get unwrapKey\n"
      "# Creating:\n"
      "az keyvault set-policy --name %s --object-id %s --key-permissions get wrapKey unwrapKey\n"
      "\n"
      "# Protection against a lost key, once for the vault (it can't be turned off again):\n"
      "az keyvault update --name %s --enable-purge-protection true\n"
      "\n"
      "# To take the key away from all at once, and to give it back:\n"
      "#   az keyvault key set-attributes --vault-name %s --name %s --enabled false\n"
      "#   az keyvault key set-attributes --vault-name %s --name %s --enabled true\n",
      key->vault, principal, key->vault, principal, key->vault, key->vault, key->name, key->vault,
      key->name);
}

/* ---- managed HSMs ---- */

static void
write_hsm_role (const struct azure_key *key, const char *principal, const char *comment,
                const char *role, FILE *out)
{
  fprintf (
      out,
      "# %s\n"
      "az keyvault role assignment create --hsm-name %s --role \"%s\" \\\n"
      "  --assignee-object-id %s --assignee-principal-type ServicePrincipal --scope /keys/%s\n",
      comment, key->vault, role, principal, key->name);
}

static void
write_hsm (const struct azure_key *key, const char *principal, FILE *out)
{
  write_hsm_role (key, principal, "Running: serve, status, check.",
                  "Managed HSM Crypto Service Encryption User", out);
  write_hsm_role (key, principal, "Creating: create, rewrap (whoever sets volumes up).",
                  "Managed HSM Crypto User", out);
  fprintf (out,
           "\n"
           "# To take the key away from all at once, and to give it back:\n"
           "#   az keyvault key set-attributes --hsm-name %s --name %s --enabled false\n"
           "#   az keyvault key set-attributes --hsm-name %s --name %s --enabled true\n",
           key->vault, key->name, key->vault, key->name);
}

static int
write_policy (const struct policy_request *request, FILE *out, struct error *err)
{
  const char *principal = request->principal ? request->principal : PLACEHOLDER;
  struct azure_key key;

  if (!parse (request->key, &key))
    return error_set (err, ERROR_USAGE, "\"%.150s\" is not the name of a key in Azure",
                      request->key);
  if (!is_principal (principal))
    return error_set (
        err, ERROR_USAGE,
        "\"%.100s\" can't be a principal: give the object id of a managed identity or "
        "service principal",
        principal);
  write_head (&key, request, out);
  if (key.hsm)
    write_hsm (&key, principal, out);
  else
    write_vault (&key, principal, out);
  return 0;
}

const struct policy_writer policy_azure = {.owns = owns, .write = write_policy};
