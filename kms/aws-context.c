/* aws-context.c owns the settings of AWS as one operation sees them. */
#include "kms/aws-context.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"
#include "common/io.h"

const char *
aws_env (const char *variable)
{
  const char *value = getenv (variable);

  return value && value[0] ? value : NULL;
}

int
aws_setting (const struct aws_config *config, const char *variable, const char *property, char *ret,
             size_t max)
{
  const char *value = aws_env (variable);

  if (value)
    return (size_t)snprintf (ret, max, "%s", value) < max;
  return property ? aws_config_get (config, config->profile, property, ret, max) : 0;
}

bool
aws_setting_bool (const struct aws_config *config, const char *variable, const char *property)
{
  char value[16];

  return aws_setting (config, variable, property, value, sizeof value)
         && strcasecmp (value, "true") == 0;
}

uint32_t
aws_time_left_ms (const struct aws_context *context, uint32_t cap_ms)
{
  uint64_t now_ms = clock_ms ();
  uint64_t left_ms = now_ms < context->deadline_ms ? context->deadline_ms - now_ms : 1;

  if (cap_ms)
    left_ms = MIN (left_ms, cap_ms);
  return (uint32_t)MIN (left_ms, UINT32_MAX);
}

static const char *const failure_advice[HTTP_FAILURE_COUNT] = {
    [HTTP_NXDOMAIN] = "check the region, the endpoint and the private DNS zone",
    [HTTP_RESOLVE] = "check this machine's DNS and proxy settings",
    [HTTP_CONNECT] = "check routes, firewalls and the proxy",
    [HTTP_TLS] = "check that the endpoint speaks TLS 1.2 or newer",
    [HTTP_TLS_VERIFY] = "put the CA of the proxy or private endpoint into AWS_CA_BUNDLE, if one of "
                        "yours answers there",
    [HTTP_TIMEOUT] = "check routes and firewalls, or give it more time",
    [HTTP_BROKEN] = "look for a proxy or firewall that cuts or changes answers",
    [HTTP_TOO_LARGE] = "check the endpoint and the proxy: that is not the service's answer",
    [HTTP_REFUSED] = "mend the setting that says so",
    [HTTP_NO_MEMORY] = "free memory",
};

int
aws_no_answer (const struct http_answer *answer, const char *what, struct kms_outcome *outcome)
{
  enum kms_class class = answer->failure == HTTP_REFUSED ? KMS_CONFIG : KMS_OUTAGE;

  return kms_outcome_set (outcome, class, http_failure_name (answer->failure),
                          "no answer from %.100s: %.150s; %s", what, answer->detail,
                          failure_advice[answer->failure]);
}

/* ---- lengths ---- */

/* What would be cut or passed over, and so lead elsewhere than it says, is an error instead. */
static const struct {
  const char *variable, *property;
  size_t max;
} bounded[] = {
    {"AWS_ENDPOINT_URL_KMS", NULL, AWS_URL_MAX},
    {"AWS_ENDPOINT_URL_STS", NULL, AWS_URL_MAX},
    {"AWS_ENDPOINT_URL", "endpoint_url", AWS_URL_MAX},
    {"AWS_CA_BUNDLE", "ca_bundle", AWS_BUNDLE_MAX},
    {"AWS_REGION", NULL, AWS_REGION_MAX},
    {"AWS_DEFAULT_REGION", "region", AWS_REGION_MAX},
    {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint", AWS_URL_MAX},
};

static int
too_long (const char *name, const char *where, size_t max, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_CONFIG, "bad_setting",
                          "%s%.140s is longer than keyfence takes (%zu bytes): shorten it", name,
                          where, max - 1);
}

static int
check_service_lengths (const struct aws_config *config, struct kms_outcome *outcome)
{
  static const char *const names[] = {"kms", "sts"};
  char services[AWS_PROFILE_MAX];

  if (aws_config_length (config, config->profile, "services") >= sizeof services)
    return too_long ("services", " of the AWS profile", sizeof services, outcome);
  if (!aws_config_get (config, config->profile, "services", services, sizeof services))
    return 0;
  for (size_t i = 0; i < ARRAY_SIZE (names); i++)
    if (aws_config_service_length (config, services, names[i], "endpoint_url") >= AWS_URL_MAX)
      return too_long ("endpoint_url", " of a service in the AWS settings", AWS_URL_MAX, outcome);
  return 0;
}

static int
check_lengths (const struct aws_config *config, struct kms_outcome *outcome)
{
  for (size_t i = 0; i < ARRAY_SIZE (bounded); i++) {
    const char *value = aws_env (bounded[i].variable), *property = bounded[i].property;

    if (value && strlen (value) >= bounded[i].max)
      return too_long (bounded[i].variable, "", bounded[i].max, outcome);
    if (property && aws_config_length (config, config->profile, property) >= bounded[i].max)
      return too_long (property, " of the AWS profile", bounded[i].max, outcome);
  }
  return check_service_lengths (config, outcome);
}

/* ---- endpoints ---- */

/* "Service-specific endpoints", AWS SDKs reference guide: the order of the four places. */
static void
custom_url (const struct aws_config *config, const char *variable, const char *service,
            char ret[AWS_URL_MAX])
{
  char services[AWS_PROFILE_MAX];

  ret[0] = '\0';
  if (aws_setting_bool (config, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                        "ignore_configured_endpoint_urls"))
    return;
  if (aws_setting (config, variable, NULL, ret, AWS_URL_MAX)
      || aws_setting (config, "AWS_ENDPOINT_URL", NULL, ret, AWS_URL_MAX))
    return;
  if (aws_config_get (config, config->profile, "services", services, sizeof services)
      && aws_config_get_service (config, services, service, "endpoint_url", ret, AWS_URL_MAX))
    return;
  if (!aws_config_get (config, config->profile, "endpoint_url", ret, AWS_URL_MAX))
    ret[0] = '\0';
}

static int
find_endpoint (const struct aws_config *config, const char *variable, const char *service,
               const char *region, char ret_url[AWS_URL_MAX], bool *ret_custom,
               struct kms_outcome *outcome)
{
  char custom[AWS_URL_MAX];
  struct aws_endpoint_options options = {.custom = custom};
  struct error err;

  custom_url (config, variable, service, custom);
  options.fips = aws_setting_bool (config, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
  options.dual_stack =
      aws_setting_bool (config, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
  if (aws_endpoint (service, region, &options, ret_url, &err) < 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "endpoint", "%s", err.text);
  *ret_custom = custom[0] != '\0';
  return 0;
}

/* STS is asked in the region of the configuration, as the SDKs do, unless that is in another
 * partition than the key, where its credentials would be worth nothing.
 */
static void
choose_regions (struct aws_context *context, const struct aws_key *key)
{
  if (!aws_setting (&context->config, "AWS_REGION", NULL, context->region, sizeof context->region)
      && !aws_setting (&context->config, "AWS_DEFAULT_REGION", "region", context->region,
                       sizeof context->region))
    context->region[0] = '\0';
  snprintf (context->key_region, sizeof context->key_region, "%s", key->region);
  snprintf (context->sts_region, sizeof context->sts_region, "%s",
            aws_partition_of (context->region) == key->partition ? context->region : key->region);
}

int
aws_context_init (struct aws_context *ret, const struct aws_key *key, uint64_t deadline_ms,
                  struct kms_outcome *outcome)
{
  *ret = (struct aws_context){.deadline_ms = deadline_ms};
  if (aws_config_load (&ret->config, outcome) < 0)
    return -1;
  if (check_lengths (&ret->config, outcome) < 0) {
    aws_context_clear (ret);
    return -1;
  }
  choose_regions (ret, key);
  if (!aws_setting (&ret->config, "AWS_CA_BUNDLE", "ca_bundle", ret->ca_bundle,
                    sizeof ret->ca_bundle))
    ret->ca_bundle[0] = '\0';
  if (find_endpoint (&ret->config, "AWS_ENDPOINT_URL_KMS", "kms", ret->key_region, ret->kms_url,
                     &ret->kms_is_custom, outcome)
          < 0
      || find_endpoint (&ret->config, "AWS_ENDPOINT_URL_STS", "sts", ret->sts_region, ret->sts_url,
                        &ret->sts_is_custom, outcome)
             < 0) {
    aws_context_clear (ret);
    return -1;
  }
  return 0;
}

void
aws_context_clear (struct aws_context *context)
{
  aws_config_clear (&context->config);
}
