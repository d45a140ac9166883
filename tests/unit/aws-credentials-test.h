/* Credentials as the tests get them: by the settings of the moment, from services that are played.
 */
#ifndef TESTS_AWS_CREDENTIALS_TEST_H
#define TESTS_AWS_CREDENTIALS_TEST_H

#include "tests/unit/aws-http.h"

#include "common/io.h"
#include "kms/aws-context.h"
#include "kms/secret-text.h"

#define NOW 1800000000 /* 2027-01-15T08:00:00Z */
#define ROLE "arn:aws:iam::111122223333:role/disk"
#define STS_URL "https://sts.eu-central-1.amazonaws.com/"
#define IMDS "http://169.254.169.254/latest/"

#define ASSUMED(key, expires)                                                            \
  "<AssumeRoleResponse xmlns=\"x\"><AssumeRoleResult><Credentials><AccessKeyId>" key     \
  "</AccessKeyId><SecretAccessKey>s" key "</SecretAccessKey><SessionToken>t" key         \
  "</SessionToken><Expiration>" expires "</Expiration></Credentials></AssumeRoleResult>" \
  "</AssumeRoleResponse>"
#define JSON_CREDENTIALS(key, expires)                                            \
  "{\"Code\":\"Success\",\"AccessKeyId\":\"" key "\",\"SecretAccessKey\":\"s" key \
  "\",\"Token\":\"t" key "\",\"Expiration\":\"" expires "\"}"
#define IMDS_STEPS(key, expires)                                                                 \
  {IMDS "api/token", 200, "IMDSTOKEN", 0},                                                       \
      {IMDS "meta-data/iam/security-credentials/", 200, "disk-role\n", 0},                       \
      {IMDS "api/token", 200, "IMDSTOKEN", 0},                                                   \
  {                                                                                              \
    IMDS "meta-data/iam/security-credentials/disk-role", 200, JSON_CREDENTIALS (key, expires), 0 \
  }

/* Gets credentials with settings as they are now; NULL and *outcome when there are none. */
static inline const struct aws_credentials *
get (struct kms_outcome *outcome)
{
  CLEANUP_AWS_CONTEXT struct aws_context context = {0};
  const struct aws_credentials *credentials;
  struct aws_key key;

  *outcome = (struct kms_outcome){0};
  assert_int_equal (aws_key_parse (AWS_KEY, &key, NULL), 0);
  if (aws_context_init (&context, &key, clock_ms () + 60000, outcome) < 0
      || aws_credentials_get (&context, &credentials, outcome) < 0)
    return NULL;
  return credentials;
}

static inline const struct aws_credentials *
must_get (const char *access_key, const char *source)
{
  struct kms_outcome outcome;
  const struct aws_credentials *c = get (&outcome);

  if (!c)
    fail_msg ("no credentials: %s", outcome.text);
  else {
    assert_string_equal (c->access_key, access_key);
    if (!strstr (c->source, source))
      fail_msg ("source \"%s\" does not have \"%s\"", c->source, source);
  }
  return c;
}

static inline void
must_fail (enum kms_class class, const char *reason, const char *says)
{
  struct kms_outcome outcome;

  assert_null (get (&outcome));
  assert_outcome (&outcome, class, reason);
  if (!strstr (outcome.text, says))
    fail_msg ("\"%s\" does not say \"%s\"", outcome.text, says);
}

#endif
