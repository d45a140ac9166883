/* aws-endpoint.c owns the URLs of AWS services. */
#include "kms/aws-endpoint.h"

#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "kms/aws-arn.h"
#include "kms/http.h"

static bool
ends_in (const char *text, const char *tail)
{
  size_t length = strlen (text), tail_length = strlen (tail);

  return length > tail_length && strcmp (text + length - tail_length, tail) == 0;
}

static bool
is_aws_host (const char *host)
{
  static const char *const tails[] = {".amazonaws.com", ".amazonaws.com.cn", ".api.aws",
                                      ".api.amazonwebservices.com.cn", ".amazonaws.eu"};

  for (size_t i = 0; i < ARRAY_SIZE (tails); i++)
    if (ends_in (host, tails[i]))
      return true;
  return false;
}

/* A VPC endpoint is vpce-….kms.REGION.vpce.amazonaws.com: any label may be the region. */
static int
check_region_in_host (const char *host, const char *url, const char *region, struct error *err)
{
  char labels[HTTP_HOST_MAX], *rest = labels, *label;

  snprintf (labels, sizeof labels, "%s", host);
  while ((label = strsep (&rest, ".")))
    if (aws_partition_of (label) && strcmp (label, region) != 0)
      return error_set (err, ERROR_USAGE,
                        "the endpoint %.150s is in the region %s, the key in %s: give the endpoint "
                        "of the key's region, or none",
                        url, label, region);
  return 0;
}

static int
custom_endpoint (const char *region, const struct aws_endpoint_options *options,
                 char ret_url[AWS_URL_MAX], struct error *err)
{
  const char *url = options->custom;
  char host[HTTP_HOST_MAX];
  int n;

  if (options->fips || options->dual_stack)
    return error_set (
        err, ERROR_USAGE,
        "an endpoint of your own (%.150s) is the FIPS or dual-stack one itself: leave "
        "out AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT",
        url);
  if (http_url_host (url, host) < 0)
    return error_set (err, ERROR_USAGE,
                      "\"%.150s\" (AWS_ENDPOINT_URL, endpoint_url) is not an http or https URL",
                      url);
  if (is_aws_host (host) && check_region_in_host (host, url, region, err) < 0)
    return -1;
  n = snprintf (ret_url, AWS_URL_MAX, "%s%s", url, url[strlen (url) - 1] == '/' ? "" : "/");
  if (n >= AWS_URL_MAX)
    return error_set (err, ERROR_USAGE, "the endpoint %.150s… is too long", url);
  return 0;
}

/* GovCloud's STS has its FIPS endpoint under the ordinary name. */
static bool
has_fips_name (const char *service, const struct aws_partition *partition, bool dual_stack)
{
  return dual_stack || strcmp (service, "sts") != 0 || strcmp (partition->name, "aws-us-gov") != 0;
}

int
aws_endpoint (const char *service, const char *region, const struct aws_endpoint_options *options,
              char ret_url[AWS_URL_MAX], struct error *err)
{
  const struct aws_partition *partition = aws_partition_of (region);
  bool fips;

  if (!partition)
    return error_set (err, ERROR_USAGE, "\"%.60s\" is not the name of an AWS region", region);
  if (options->custom && options->custom[0])
    return custom_endpoint (region, options, ret_url, err);
  fips = options->fips && has_fips_name (service, partition, options->dual_stack);
  snprintf (ret_url, AWS_URL_MAX, "https://%s%s.%s.%s/", service, fips ? "-fips" : "", region,
            options->dual_stack ? partition->dual_stack_suffix : partition->suffix);
  return 0;
}
