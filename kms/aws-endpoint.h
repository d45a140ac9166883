/* Where an AWS service is: the URL for a service and a region. */
#ifndef KMS_AWS_ENDPOINT_H
#define KMS_AWS_ENDPOINT_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

#define AWS_URL_MAX 512

struct aws_endpoint_options {
  bool fips, dual_stack;
  const char *custom; /* a URL of the user's (VPC endpoint, simulator); NULL or "": none */
};

/* `service` is "kms" or "sts".  The rules are those of AWS' endpoint rule sets.  -1 (ERROR_USAGE)
 * for a region that is none, a custom URL that is no http or https URL, one together with FIPS or
 * dual-stack, and one that is an AWS host of another region or service.
 */
int
aws_endpoint (const char *service, const char *region, const struct aws_endpoint_options *options,
              char ret_url[AWS_URL_MAX], struct error *err) MUST_CHECK;

#endif
