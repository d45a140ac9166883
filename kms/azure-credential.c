/* azure-credential.c owns the order in which credentials are looked for. */
#include "kms/azure-credential.h"

#include <string.h>
#include <strings.h>

#include "kms/azure-environment.h"

static const struct azure_credential *const sources[] = {
    &azure_client_secret,
    &azure_client_certificate,
    &azure_workload_identity,
    &azure_app_service,
    &azure_arc,
    &azure_imds,
};
#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

/* Which has given a token to this process. */
static bool has_worked[SOURCE_COUNT];

/* "prod" (all of these, no developers' tools) is what we do anyway; "dev" has none that we know. */
static bool
is_wanted (const struct azure_credential *source)
{
  const char *wanted = azure_variable ("AZURE_TOKEN_CREDENTIALS");

  return !wanted || strcasecmp (wanted, "prod") == 0 || strcasecmp (wanted, source->kind) == 0;
}

static size_t
find (void)
{
  size_t i = 0;

  while (i < SOURCE_COUNT && !(is_wanted (sources[i]) && sources[i]->present ()))
    i++;
  return i;
}

static int
none_found (struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "no_credentials",
                          "AZURE_TOKEN_CREDENTIALS is \"%.60s\", and there are no credentials of "
                          "that kind here: set the variables it needs, or unset it",
                          azure_variable ("AZURE_TOKEN_CREDENTIALS"));
}

const struct azure_credential *
azure_credential_find (struct kms_outcome *outcome)
{
  size_t i = find ();

  if (i < SOURCE_COUNT)
    return sources[i];
  none_found (outcome);
  return NULL;
}

int
azure_credential_fetch (const struct azure_need *need, struct azure_token *ret,
                        struct kms_outcome *outcome)
{
  size_t i = find ();

  if (i == SOURCE_COUNT)
    return none_found (outcome);
  if (sources[i]->fetch (need, ret, outcome) < 0) {
    if (has_worked[i] && strcmp (outcome->reason, "identity_gone") == 0)
      outcome->class = KMS_DENIED;
    return -1;
  }
  has_worked[i] = true;
  return 0;
}
