/* cmd-policy.c owns `keyfence policy`. */
#include <errno.h>
#include <stdio.h>

#include "kms/policy.h"
#include "tools/arguments.h"

enum { PRINCIPAL, VOLUME, RSA };

static const struct option_spec options[] = {
    [PRINCIPAL] =
        {"principal", "WHO",
         "who is to have the key: in AWS the ARN of a role or user, in Azure the object id "
         "of a managed identity or service principal"},
    [VOLUME] = {"volume", "UUID", "for one volume only, where the key service can tell them apart"},
    [RSA] = {"rsa", NULL, "the key is an RSA key of AWS KMS, which knows no encryption context"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
  const struct policy_request request = {
      .key = args->operands[0],
      .principal = args->options[PRINCIPAL],
      .volume = args->options[VOLUME],
      .rsa = args->options[RSA] != NULL,
  };

  if (policy_write (&request, stdout, err) < 0)
    return -1;
  if (fflush (stdout) != 0)
    return error_set_errno (err, errno, "can't write the policy");
  return EXIT_DONE;
}

const struct command command_policy = {
    .name = "policy",
    .summary = "print the grants that a key's owner has to make",
    .details =
        "Prints text to be pasted: for AWS KMS a key policy, which is whole (its first statement "
        "lets the account's IAM policies say who manages the key) and takes the place of the one "
        "that is there; for Azure Key Vault the commands that assign roles. What serving a volume "
        "needs stands apart from what creating one needs. Nothing is asked of the key service, and "
        "nothing changed there.",
    .operands = {{"KEY", VALUE_KEY}},
    .options = options,
    .run = run,
};
