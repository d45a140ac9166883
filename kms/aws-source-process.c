/* aws-source-process.c owns credentials that a program of the user's prints (credential_process).
 */
#include <stdio.h>

#include "kms/answer.h"
#include "kms/aws-source.h"
#include "kms/command.h"

static int
failed (struct kms_outcome *outcome, const char *profile, const char *why)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "credential_process",
                          "credential_process of the AWS profile \"%.60s\": %.250s", profile, why);
}

/* "Sourcing credentials with an external process", AWS CLI user guide. */
static int
parse (const struct secret *output, const char *profile, struct aws_credentials *ret,
       struct kms_outcome *outcome)
{
  const char *text = (const char *)output->bytes;
  struct answer json;
  int64_t version = 0;

  if (answer_init (&json, text, output->size - 1) < 0)
    return failed (outcome, profile, "what it printed is no JSON object");
  if (answer_int64 (&json, "Version", &version) < 0 || version != 1)
    return failed (outcome, profile, "what it printed does not have \"Version\": 1");
  return aws_credentials_parse (text, output->size - 1, "SessionToken", "credential_process", ret,
                                outcome);
}

int
aws_source_process (struct aws_context *context, const char *profile, struct aws_credentials *ret,
                    struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret output = {0};
  char line[AWS_VALUE_MAX], buf[AWS_VALUE_MAX + COMMAND_WORDS_MAX + 1];
  char *words[COMMAND_WORDS_MAX + 1];
  struct error err;

  if (!aws_config_get (&context->config, profile, "credential_process", line, sizeof line))
    return 0;
  if (command_split (line, buf, sizeof buf, words) < 0)
    return failed (outcome, profile, "it is no command line: is a quote left open?");
  if (command_run (words, aws_time_left_ms (context, 0), &output, &err) < 0)
    return failed (outcome, profile, err.text);
  if (parse (&output, profile, ret, outcome) < 0)
    return -1;
  snprintf (ret->source, sizeof ret->source, "profile %.100s (credential_process)", profile);
  ret->keep = true; /* without an end, for good */
  return 1;
}
