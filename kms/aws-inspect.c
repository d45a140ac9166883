/* aws-inspect.c owns the order of what is asked about a key in AWS KMS, and the lines on service,
 * credentials and rights.
 *
 * The time for a report is one: what is not needed to use the key may take a part of what is left,
 * so that the rest is tried even if the service is slow.
 */
#include "kms/aws-inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "common/io.h"
#include "kms/aws-credentials.h"
#include "kms/aws-errors.h"
#include "kms/aws-kms.h"
#include "kms/aws-source.h"
#include "kms/aws-sts.h"

/* For a volume that can't exist: policies that name volumes are told apart by it. */
#define TRIAL_VOLUME "00000000-0000-0000-0000-000000000000"
#define CLOCK_WARN_S 60
#define TOO_LATE_MS 100

/* Which part of the time that is left a step may take: one of so many. */
#define FOR_CREDENTIALS 2
#define FOR_EXTRAS 4

struct inspection {
  struct aws_session session;
  const struct kms_request *request;
  const char *volume; /* for the encryption context */
  struct kms_report *report;
  uint64_t deadline_ms;
  int64_t skew_s;
  char arn[WRAP_KEY_MAX]; /* as DescribeKey told; else empty */
  const char *algorithm;  /* NULL: none is right */
};

static void
fail (const struct inspection *in, const char *name, const struct kms_outcome *outcome)
{
  kms_report_add_outcome (in->report, KMS_FAIL, name, NULL, outcome);
}

static bool
has_reason (const struct kms_outcome *outcome, const char *reason)
{
  return strcmp (outcome->reason, reason) == 0;
}

/* Sets the deadline of the next step; false, with its line, when there is no time for it. */
static bool
take_time (struct inspection *in, uint64_t parts, enum kms_verdict verdict, const char *name)
{
  uint64_t now_ms = clock_ms ();

  in->session.context.deadline_ms = in->deadline_ms;
  if (now_ms + TOO_LATE_MS > in->deadline_ms) {
    kms_report_add_late (in->report, verdict, name);
    return false;
  }
  in->session.context.deadline_ms = now_ms + (in->deadline_ms - now_ms) / parts;
  return true;
}

/* ---- as whom ---- */

static void
inspect_identity (struct inspection *in, const struct aws_credentials *credentials)
{
  struct kms_outcome outcome = {0};
  char arn[AWS_IDENTITY_MAX];

  if (!take_time (in, FOR_EXTRAS, KMS_WARN, "identity"))
    return;
  if (aws_sts_identity (&in->session.context, credentials, arn, &in->skew_s, &outcome) == 0)
    kms_report_add (in->report, KMS_PASS, "identity", NULL, "%s", arn);
  else if (outcome.class == KMS_CREDENTIALS || outcome.class == KMS_CLOCK)
    fail (in, "identity", &outcome);
  else
    kms_report_add_outcome (in->report, KMS_WARN, "identity",
                            "nothing, unless the credentials come from AWS STS: running does not "
                            "need it",
                            &outcome);
}

static bool
inspect_credentials (struct inspection *in)
{
  const struct aws_credentials *credentials;
  struct kms_outcome outcome = {0};

  if (!take_time (in, FOR_CREDENTIALS, KMS_FAIL, "credentials"))
    return false;
  if (aws_credentials_get (&in->session.context, &credentials, &outcome) < 0) {
    fail (in, "credentials", &outcome);
    return false;
  }
  kms_report_add (in->report, KMS_PASS, "credentials", NULL, "%s", credentials->source);
  inspect_identity (in, credentials);
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

/* Nothing depends on it, and only symmetric keys have it. */
static void
inspect_rotation (struct inspection *in)
{
  const struct aws_kms_request request = {.operation = "GetKeyRotationStatus", .key = in->arn};
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  struct kms_outcome outcome = {0};
  const char *mend = NULL;

  if (!in->algorithm || strcmp (in->algorithm, AWS_SYMMETRIC) != 0) {
    kms_report_add (in->report, KMS_PASS, "rotation", NULL,
                    "KMS does not rotate keys of this kind: make a new key for new volumes");
    return;
  }
  if (!take_time (in, FOR_EXTRAS, KMS_WARN, "rotation"))
    return;
  if (aws_kms_call (&in->session.context, &request, &answer, &outcome) == 0) {
    aws_inspect_rotation (&answer.json, in->report);
    return;
  }
  if (has_reason (&outcome, "access_denied"))
    mend = "to have it checked, grant kms:GetKeyRotationStatus; running does not need it";
  kms_report_add_outcome (in->report, KMS_WARN, "rotation", mend, &outcome);
}

/* GetKeyRotationStatus takes no alias. */
static void
take_description (struct inspection *in, const struct aws_kms_answer *answer)
{
  in->algorithm = aws_inspect_metadata (&answer->json, in->report);
  if (answer_string (&answer->json, "KeyMetadata/Arn", in->arn, sizeof in->arn) < 0)
    snprintf (in->arn, sizeof in->arn, "%s", in->session.key.arn);
}

/* Whether it is of use to try the key after DescribeKey failed: not where every request would. */
static bool
take_refusal (struct inspection *in, struct kms_outcome *outcome)
{
  if (!in->request->probe)
    kms_outcome_of_first_use (outcome);
  if (has_reason (outcome, "access_denied"))
    kms_report_add (in->report, KMS_WARN, "state",
                    "to have state and dates checked, grant kms:DescribeKey; running does not need "
                    "it",
                    "this identity may not look at the key, or there is none of this name");
  else if (has_reason (outcome, "not_found") || outcome->class == KMS_CREDENTIALS
           || outcome->class == KMS_CLOCK || outcome->class == KMS_CONFIG) {
    fail (in, "key", outcome);
    return false;
  }
  else
    kms_report_add_outcome (in->report, KMS_WARN, "state", NULL, outcome);
  return true;
}

/* The same where there was no answer: one that is late or broken may be the only one. */
static bool
take_silence (struct inspection *in, enum http_failure failure, const struct kms_outcome *outcome)
{
  bool go_on = failure == HTTP_TIMEOUT || failure == HTTP_BROKEN || failure == HTTP_TOO_LARGE;

  kms_report_add_outcome (in->report, go_on ? KMS_WARN : KMS_FAIL, "reachable", NULL, outcome);
  return go_on;
}

/* False: trying the key is of no use. */
static bool
inspect_key (struct inspection *in)
{
  const struct aws_kms_request request = {
      .operation = "DescribeKey", .key = in->session.key.arn, .grant_file = in->session.grant_file};
  CLEANUP_AWS_KMS_ANSWER struct aws_kms_answer answer = {0};
  struct kms_outcome outcome = {0};
  int r;

  if (!take_time (in, FOR_EXTRAS, KMS_FAIL, "reachable"))
    return false;
  r = aws_kms_call (&in->session.context, &request, &answer, &outcome);
  in->algorithm = AWS_SYMMETRIC;
  if (answer.http.failure != HTTP_ANSWERED)
    return take_silence (in, answer.http.failure, &outcome);
  kms_report_add (in->report, KMS_PASS, "reachable", NULL, "%.200s answers",
                  in->session.context.kms_url);
  in->skew_s = answer.skew_s ? answer.skew_s : in->skew_s;
  inspect_clock (in);
  if (r < 0)
    return take_refusal (in, &outcome);
  take_description (in, &answer);
  return in->algorithm != NULL;
}

/* ---- the rights ---- */

static const char generate_right[] = "right to make volume keys";
static const char wrap_right[] = "right to wrap";

/* The name may be wrong, where DescribeKey could not tell; or the right be one that running does
 * without.
 */
static void
fail_to_wrap (const struct inspection *in, const char *name, struct kms_outcome *outcome)
{
  const char *mend = has_reason (outcome, "access_denied") ? KMS_MEND_WRAP : NULL;

  kms_outcome_of_first_use (outcome);
  kms_report_add_outcome (in->report, KMS_FAIL, name, mend, outcome);
}

static void
inspect_unwrap (struct inspection *in, const struct secret *plain,
                const struct kms_wrapped *wrapped)
{
  CLEANUP_SECRET struct secret again = {0};
  char version[WRAP_VERSION_MAX];
  struct kms_outcome outcome = {0};

  if (!take_time (in, 1, KMS_FAIL, KMS_RIGHT_TO_UNWRAP))
    return;
  if (aws_decrypt (&in->session, in->volume, in->algorithm, &wrapped->blob, &again, version,
                   &outcome)
      < 0)
    fail (in, KMS_RIGHT_TO_UNWRAP, &outcome);
  else if (!secret_equal (plain, &again))
    kms_report_add (in->report, KMS_FAIL, KMS_RIGHT_TO_UNWRAP,
                    "find out what answers there: not AWS, but a proxy or another service",
                    "other bytes came back than were wrapped");
  else
    kms_report_add (in->report, KMS_PASS, KMS_RIGHT_TO_UNWRAP, NULL,
                    "kms:Decrypt gave back 64 random bytes");
}

/* Without anything that the key has wrapped, only a denial can be found out. */
static void
inspect_denial (struct inspection *in)
{
  CLEANUP_SECRET struct secret ignored = {0};
  CLEANUP_FREE
  struct wrap_blob *blob = calloc (1, sizeof *blob);
  char version[WRAP_VERSION_MAX];
  struct kms_outcome outcome = {0};

  if (!blob || RAND_bytes (blob->bytes, 184) != 1
      || !take_time (in, 1, KMS_FAIL, KMS_RIGHT_TO_UNWRAP))
    return;
  blob->size = 184; /* as of a symmetric key */
  if (aws_decrypt (&in->session, in->volume, in->algorithm, blob, &ignored, version, &outcome) == 0
      || outcome.class == KMS_CORRUPT || outcome.class == KMS_CONFIG) {
    kms_report_add (in->report, KMS_WARN, KMS_RIGHT_TO_UNWRAP,
                    "name a volume that has a wrap by this key: --volume PATH",
                    "not denied, but not proven: nothing is at hand that the key has wrapped");
    return;
  }
  kms_outcome_of_first_use (&outcome);
  fail (in, KMS_RIGHT_TO_UNWRAP, &outcome);
}

/* Encrypt, which tells of an RSA key where nobody could look at it before. */
static int
try_wrap (struct inspection *in, const struct secret *plain, struct kms_wrapped *ret,
          struct kms_outcome *outcome)
{
  struct kms_outcome rsa_outcome = {0};

  if (aws_encrypt (&in->session, in->volume, plain, in->algorithm, ret, outcome) == 0)
    return 0;
  if (!aws_may_be_rsa (outcome)
      || aws_encrypt (&in->session, in->volume, plain, AWS_RSA_OAEP, ret, &rsa_outcome) < 0)
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
  if (!take_time (in, 1, KMS_FAIL, generate_right))
    return;
  if (aws_generate_data_key (&in->session, in->volume, &plain, wrapped, &outcome) < 0)
    fail_to_wrap (in, generate_right, &outcome);
  else
    kms_report_add (in->report, KMS_PASS, generate_right, NULL,
                    "kms:GenerateDataKey gave 64 bytes");
}

/* By what was just wrapped; NULL: nothing could be. */
static void
inspect_running (struct inspection *in, const struct secret *plain,
                 const struct kms_wrapped *wrapped)
{
  if (in->request->probe)
    kms_report_add_probe (in->report, in->volume, in->request->probe);
  else if (in->request->run_only)
    inspect_denial (in);
  else if (wrapped)
    inspect_unwrap (in, plain, wrapped);
  else
    kms_report_add (in->report, KMS_FAIL, KMS_RIGHT_TO_UNWRAP,
                    "mend the right to wrap, and check again",
                    "not tried: there is nothing to unwrap");
}

static void
inspect_rights (struct inspection *in)
{
  CLEANUP_SECRET struct secret plain = {0};
  CLEANUP_FREE
  struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  struct kms_outcome outcome = {0};
  bool is_wrapped = false;

  if (!wrapped || secret_random (&plain, VOLUME_KEY_SIZE, NULL) < 0)
    return;
  if (!in->request->run_only && take_time (in, 1, KMS_FAIL, wrap_right)) {
    is_wrapped = try_wrap (in, &plain, wrapped, &outcome) == 0;
    if (is_wrapped)
      kms_report_add (in->report, KMS_PASS, wrap_right, NULL, "kms:Encrypt took 64 random bytes");
    else
      fail_to_wrap (in, wrap_right, &outcome);
  }
  inspect_running (in, &plain, is_wrapped ? wrapped : NULL);
  if (!in->request->run_only)
    inspect_generate (in, wrapped);
}

/* ---- where ---- */

/* The region that the data is in: as asked for, the instance's, or the configured one. */
static const char *
find_region (struct inspection *in, const char *asked, char ret[AWS_REGION_MAX])
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome ignored = {0};

  in->session.context.deadline_ms = in->deadline_ms;
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
  in->request = request;
  in->volume = request->volume && *request->volume ? request->volume : TRIAL_VOLUME;
  in->report = report;
  in->deadline_ms = clock_ms () + request->timeout_ms;
  if (aws_session_open (&in->session, request, &outcome) < 0) {
    fail (in, "settings", &outcome);
    return;
  }
  if (inspect_credentials (in) && inspect_key (in))
    inspect_rights (in);
  if (*in->arn && !request->run_only)
    inspect_rotation (in);
  inspect_region (in, request->region);
  aws_session_close (&in->session);
}
