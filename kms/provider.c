/* provider.c owns the table of key services and which of them a key's name belongs to. */
#include "kms/provider.h"

#include <stdio.h>
#include <string.h>

const struct kms_provider *const kms_providers[] = {
    &kms_provider_file,
    &kms_provider_aws,
    &kms_provider_azure,
    NULL,
};

static bool
name_is_right (const struct kms_provider *provider, const char *key, struct kms_outcome *outcome)
{
  return !provider->check_name || provider->check_name (key, outcome) == 0;
}

const struct kms_provider *
kms_provider_for (const char *key, struct kms_outcome *outcome)
{
  char forms[256] = "";

  for (size_t i = 0; kms_providers[i]; i++) {
    size_t used = strlen (forms);

    if (strlen (key) < WRAP_KEY_MAX && kms_providers[i]->owns (key))
      return name_is_right (kms_providers[i], key, outcome) ? kms_providers[i] : NULL;
    if (snprintf (forms + used, sizeof forms - used, "%s%s", used ? ", or " : "",
                  kms_providers[i]->form)
        < 0)
      break;
  }
  kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name",
                   "\"%.150s\" is not the name of a key: write %s", key, forms);
  return NULL;
}
