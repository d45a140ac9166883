/* aws-inspect.c owns the order of what is asked about a key in AWS KMS, and the lines on service,
 * credentials and rights.
 */
#include "kms/aws-inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kms/aws-credentials.h"
#include "kms/aws-errors.h"
#include "kms/aws-kms.h"
#include "kms/aws-source.h"
#include "kms/aws-sts.h"

/* For a volume that can't exist: policies that name volumes are told apart by it. */
#define TRIAL_VOLUME "00000000-0000-0000-0000-000000000000"
#define CLOCK_WARN_S 60

struct inspection {
  struct aws_session session;
  struct kms_report *report;
  int64_t skew_s;
  const char *algorithm; /* NULL: none is right */
};

static void
fail (const struct inspection *in, const char *name, const struct kms_outcome *outcome)
{
  kms_report_add_outcome (in->report, name, outcome);
}

/* ---- as whom ---- */

static bool
inspect_credentials (struct inspection *in)
{
  const struct aws_credentials *credentials;
  struct kms_outcome outcome = {0};
  char arn[AWS_IDENTITY_MAX];

  if (aws_credentials_get (&in->session.context, &credentials, &outcome) < 0) {
    fail (in, "credentials", &outcome);
    return false;
  }
  kms_report_add (in->report, KMS_PASS, "credentials", NULL, "%s", credentials->source);
  if (aws_sts_identity (&in->session.context, credentials, arn, &in->skew_s, &outcome) == 0)
    kms_report_add (in->report, KMS_PASS, "identity", NULL, "%s", arn);
  else if (outcome.class == KMS_CREDENTIALS || outcome.class == KMS_CLOCK)
    fail (in, "identity", &outcome);
  else
    kms_report_add (in->report, KMS_WARN, "identity",
                    "running does not need AWS STS, unless the credentials come from it", "%s",
                    outcome.text);
  return true;
}

/* ---- the key ---- */

static void
inspect_clock (const struct inspection *in)
{
  int64_t size_s = in->skew_s < 0 ? -in->skew_s : in->skew_s;

  kms_report_add (in->report,
                  size_s > AWS_CLOCK_SKEW_MAX_S ? KMS_FAIL
                  : size_s > CLOCK_WARN_S       ? KMS_WARN
                                                : KMS_PASS,
                  "clock",
                  size_s > CLOCK_WARN_S ? "let NTP (chrony, systemd-timesyncd) set it" : NULL,
                  "this machine's is %lld s %s AWS'", (long long)size_s,
                  in->skew_s < 0 ? "ahead of" : "behind");
}

static void
inspect_rotation (struct inspection *in, const char *arn)
{
  const struct aws_kms_request request = {.operation = "GetKeyRotationStatus", .key = arn};
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  struct kms_outcome outcome = {0};

  if (!in->algorithm || strcmp (in->algorithm, AWS_SYMMETRIC) != 0)
    kms_report_add (in->report, KMS_PASS, "rotation", NULL,
                    "KMS does not rotate keys of this kind: make a new key for new volumes");
  else if (aws_kms_call (&in->session.context, &request, &answer, &outcome) == 0)
    aws_inspect_rotation (&answer.json, in->report);
  else
    kms_report_add (in->report, KMS_WARN, "rotation",
                    "to have it checked, grant kms:GetKeyRotationStatus; running does not need it",
                    "not known: %s", outcome.text);
}

/* GetKeyRotationStatus takes no alias. */
static void
inspect_described (struct inspection *in, const struct aws_kms_answer *answer)
{
  char arn[WRAP_KEY_MAX];

  in->algorithm = aws_inspect_metadata (&answer->json, in->report);
  if (answer_string (&answer->json, "KeyMetadata/Arn", arn, sizeof arn) < 0)
    snprintf (arn, sizeof arn, "%s", in->session.key.arn);
  inspect_rotation (in, arn);
}

/* False: the service was not reached, or will not talk to us, so that trying the key is of no use.
 */
static bool
inspect_key (struct inspection *in)
{
  const struct aws_kms_request request = {
      .operation = "DescribeKey", .key = in->session.key.arn, .grant_file = in->session.grant_file};
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  struct kms_outcome outcome = {0};
  int r = aws_kms_call (&in->session.context, &request, &answer, &outcome);

  if (answer.http.failure != HTTP_ANSWERED) {
    fail (in, "reachable", &outcome);
    return false;
  }
  kms_report_add (in->report, KMS_PASS, "reachable", NULL, "%.200s answers",
                  in->session.context.kms_url);
  in->skew_s = answer.skew_s ? answer.skew_s : in->skew_s;
  inspect_clock (in);
  in->algorithm = AWS_SYMMETRIC;
  if (r == 0)
    inspect_described (in, &answer);
  else if (strcmp (outcome.reason, "access_denied") == 0)
    kms_report_add (in->report, KMS_WARN, "state",
                    "to have state and dates checked, grant kms:DescribeKey; running does not need "
                    "it",
                    "this identity may not look at the key, or there is none of this name");
  else {
    fail (in, "key", &outcome);
    return false;
  }
  return in->algorithm != NULL;
}

/* ---- the rights ---- */

static const char generate_right[] = "right to make volume keys";
static const char wrap_right[] = "right to wrap";
static const char unwrap_right[] = "right to unwrap";

static void
inspect_unwrap (struct inspection *in, const struct secret *plain,
                const struct kms_wrapped *wrapped)
{
  CLEANUP_SECRET struct secret again = {0};
  char version[WRAP_VERSION_MAX];
  struct kms_outcome outcome = {0};

  if (aws_decrypt (&in->session, TRIAL_VOLUME, in->algorithm, &wrapped->blob, &again, version,
                   &outcome)
      < 0)
    fail (in, unwrap_right, &outcome);
  else if (!secret_equal (plain, &again))
    kms_report_add (in->report, KMS_FAIL, unwrap_right,
                    "is the endpoint really AWS', and no proxy's?",
                    "other bytes came back than were wrapped");
  else
    kms_report_add (in->report, KMS_PASS, unwrap_right, NULL,
                    "kms:Decrypt gave back 64 random bytes");
}

/* Encrypt, which tells of an RSA key where nobody could look at it before. */
static int
try_wrap (struct inspection *in, const struct secret *plain, struct kms_wrapped *ret,
          struct kms_outcome *outcome)
{
  struct kms_outcome rsa_outcome = {0};

  if (aws_encrypt (&in->session, TRIAL_VOLUME, plain, in->algorithm, ret, outcome) == 0)
    return 0;
  if (!aws_may_be_rsa (outcome)
      || aws_encrypt (&in->session, TRIAL_VOLUME, plain, AWS_RSA_OAEP, ret, &rsa_outcome) < 0)
    return -1;
  in->algorithm = AWS_RSA_OAEP;
  return 0;
}

static void
inspect_generate (struct inspection *in, struct kms_wrapped *wrapped)
{
  CLEANUP_SECRET struct secret plain = {0};
  struct kms_outcome outcome = {0};

  if (strcmp (in->algorithm, AWS_SYMMETRIC) != 0)
    return; /* such keys are made here */
  if (aws_generate_data_key (&in->session, TRIAL_VOLUME, &plain, wrapped, &outcome) < 0)
    fail (in, generate_right, &outcome);
  else
    kms_report_add (in->report, KMS_PASS, generate_right, NULL,
                    "kms:GenerateDataKey gave 64 bytes");
}

/* The grant that runs a volume need not have the right to make one, but without a wrap there is
 * nothing to unwrap: any of the two that make one will do.
 */
static void
inspect_rights (struct inspection *in)
{
  CLEANUP_SECRET struct secret plain = {0};
  CLEANUP_FREE
  struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  struct kms_outcome outcome = {0};

  if (!wrapped || secret_random (&plain, VOLUME_KEY_SIZE, NULL) < 0)
    return;
  if (try_wrap (in, &plain, wrapped, &outcome) < 0) {
    fail (in, wrap_right, &outcome);
    inspect_generate (in, wrapped);
    kms_report_add (in->report, KMS_FAIL, unwrap_right, "mend the right to wrap, and check again",
                    "not tried: there is nothing to unwrap");
    return;
  }
  kms_report_add (in->report, KMS_PASS, wrap_right, NULL, "kms:Encrypt took 64 random bytes");
  inspect_unwrap (in, &plain, wrapped);
  inspect_generate (in, wrapped);
}

/* ---- where ---- */

/* The region that the data is in: as asked for, the instance's, or the configured one. */
static const char *
find_region (struct inspection *in, const char *asked, char ret[AWS_REGION_MAX])
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome ignored = {0};

  if (asked) {
    snprintf (ret, AWS_REGION_MAX, "%s", asked);
    return "--region";
  }
  if (!aws_setting_bool (&in->session.context.config, "AWS_EC2_METADATA_DISABLED", NULL)
      && aws_metadata_get (&in->session.context, "meta-data/placement/region", &answer, &ignored)
             == 0
      && answer.status == 200 && answer.body.size < AWS_REGION_MAX) {
    snprintf (ret, AWS_REGION_MAX, "%s", secret_get_text (&answer.body));
    return "this instance";
  }
  snprintf (ret, AWS_REGION_MAX, "%s", in->session.context.region);
  return ret[0] ? "AWS_REGION or the profile" : NULL;
}

static void
inspect_region (struct inspection *in, const char *asked)
{
  char region[AWS_REGION_MAX];
  const char *key_region = in->session.key.region, *by = find_region (in, asked, region);

  if (!by)
    kms_report_add (in->report, KMS_WARN, "region", "say where the data is: --region REGION",
                    "the key is in %s; where the data is, is not known", key_region);
  else if (strcmp (region, key_region) == 0)
    kms_report_add (in->report, KMS_PASS, "region", NULL, "%s, as %s", key_region, by);
  else
    kms_report_add (in->report, KMS_WARN, "region",
                    "use a key in the data's region: an outage of either region stops the volume",
                    "the key is in %s, the data in %.40s (%s)", key_region, region, by);
}

void
aws_inspect (const struct kms_request *request, struct kms_report *report)
{
  CLEANUP_FREE
  struct inspection *in = calloc (1, sizeof *in);
  struct kms_outcome outcome = {0};

  if (!in)
    return;
  in->report = report;
  if (aws_session_open (&in->session, request, &outcome) < 0) {
    fail (in, "settings", &outcome);
    return;
  }
  if (inspect_credentials (in) && inspect_key (in))
    inspect_rights (in);
  inspect_region (in, request->region);
  aws_session_close (&in->session);
}
