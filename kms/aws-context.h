/* What one operation on an AWS key needs to know: settings from the environment and the shared
 * files, and until when it must be over.
 *
 * The names are AWS' own: AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_KMS,
 * AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_CA_BUNDLE,
 * AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and the like, each with its property of the
 * profile.  An environment variable wins over the profile.
 */
#ifndef KMS_AWS_CONTEXT_H
#define KMS_AWS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "kms/aws-arn.h"
#include "kms/aws-config.h"
#include "kms/aws-endpoint.h"
#include "kms/http.h"
#include "kms/outcome.h"

#define AWS_BUNDLE_MAX 1024

struct aws_context {
  struct aws_config config;
  uint64_t deadline_ms;        /* on clock_ms () */
  char region[AWS_REGION_MAX]; /* as configured; empty: not */
  char key_region[AWS_REGION_MAX];
  char kms_url[AWS_URL_MAX], sts_url[AWS_URL_MAX];
  char sts_region[AWS_REGION_MAX];
  bool kms_is_custom, sts_is_custom; /* plain http is allowed then */
  char ca_bundle[AWS_BUNDLE_MAX];    /* empty: the system's */
};

/* -1 with *outcome (KMS_CONFIG or KMS_CREDENTIALS).  A setting that is too long is an error that
 * names it.
 */
int aws_context_init (struct aws_context *ret, const struct aws_key *key, uint64_t deadline_ms,
                      struct kms_outcome *outcome) MUST_CHECK;
void aws_context_clear (struct aws_context *context);
#define CLEANUP_AWS_CONTEXT CLEANUP (aws_context_clear)

/* An environment variable, or the property of the profile.  1 when there is one that is not empty,
 * else 0.  `property` may be NULL.
 */
int aws_setting (const struct aws_config *config, const char *variable, const char *property,
                 char *ret, size_t max) MUST_CHECK;
bool aws_setting_bool (const struct aws_config *config, const char *variable, const char *property);

/* The value of an environment variable, or NULL when it is not set or empty. */
const char *aws_env (const char *variable);

/* What is left until the deadline, at least 1 and at most `cap_ms` (0: no cap). */
uint32_t aws_time_left_ms (const struct aws_context *context, uint32_t cap_ms);

/* The outcome of an exchange that had no answer; returns -1. */
int aws_no_answer (const struct http_answer *answer, const char *what, struct kms_outcome *outcome);

#endif
