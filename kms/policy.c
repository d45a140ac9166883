/* policy.c owns the table of what writes policies. */
#include "kms/policy.h"

static const struct policy_writer *const writers[] = {&policy_aws, &policy_azure};

int
policy_write (const struct policy_request *request, FILE *out, struct error *err)
{
  for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++)
    if (writers[i]->owns (request->key))
      return writers[i]->write (request, out, err);
  return error_set (err, ERROR_USAGE,
                    "there are no policies for \"%.150s\": name a key of a key service, as "
                    "arn:aws:kms:REGION:ACCOUNT:key/ID or https://VAULT.vault.azure.net/keys/NAME",
                    request->key);
}
