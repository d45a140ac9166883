/* azure-inspect.c owns the order of what is asked about a key, and the lines that need asking.
 *
 * The time for a report is one: each step but the last may take a part of what is left, so that the
 * rest is tried even if the service is slow.
 */
#include "kms/azure-inspect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "common/io.h"
#include "kms/answer.h"
#include "kms/azure-credential.h"
#include "kms/azure-environment.h"

#define CLOCK_WARN_S 60
#define TOO_LATE_MS 100

/* Which part of the time that is left a step may take: one of so many. */
#define FOR_REACHING 2
#define FOR_EXTRAS 4

static const char wrap_right[] = "right to wrap";

struct inspection {
  const struct kms_request *request;
  struct azure_key *key;
  struct kms_report *report;
  uint64_t deadline_ms;
  char region[64];       /* the vault's, as its answers tell; or empty */
  unsigned bits;         /* of an RSA key; 0: not known */
  const char *algorithm; /* for the key's type; NULL: not known */
};

static void
fail (const struct inspection *in, const char *name, const struct kms_outcome *outcome)
{
  kms_report_add_outcome (in->report, KMS_FAIL, name, NULL, outcome);
}

/* The deadline of the next step; false, with its line, when there is no time for it. */
static bool
take_time (const struct inspection *in, uint64_t parts, enum kms_verdict verdict, const char *name,
           uint64_t *ret_deadline_ms)
{
  uint64_t now_ms = clock_ms ();

  if (now_ms + TOO_LATE_MS > in->deadline_ms) {
    kms_report_add_late (in->report, verdict, name);
    return false;
  }
  *ret_deadline_ms = now_ms + (in->deadline_ms - now_ms) / parts;
  return true;
}

/* ---- reaching the vault, as whom, and at what time ---- */

/* What a clock that is wrong does to tokens shows where they are used. */
static void
inspect_clock (const struct inspection *in, const struct http_answer *answer)
{
  long skew_s = (long)(time (NULL) - answer->date_s), size_s = labs (skew_s);

  if (!answer->date_s)
    return;
  kms_report_add (in->report, size_s > CLOCK_WARN_S ? KMS_WARN : KMS_PASS, "clock",
                  size_s > CLOCK_WARN_S ? "let NTP (chrony, systemd-timesyncd) set it" : NULL,
                  "this machine's is %ld s %s the service's", size_s,
                  skew_s >= 0 ? "ahead of" : "behind");
}

/* Reading the key may be refused (throttled, say) where using it is not: then that is asked. */
static int
discover (const struct inspection *in, uint64_t deadline_ms, struct http_answer *answer,
          struct kms_outcome *outcome)
{
  const struct secret_text no_body = {0};
  struct azure_call call = {
      .key = in->key, .operation = AZURE_GET, .suffix = "", .deadline_ms = deadline_ms};

  if (azure_vault_discover (&call, answer, outcome) == 0)
    return 0;
  if (answer->failure != HTTP_ANSWERED)
    return -1;
  http_answer_clear (answer);
  call.operation = AZURE_UNWRAP;
  call.suffix = "/unwrapkey";
  call.body = &no_body;
  return azure_vault_discover (&call, answer, outcome);
}

/* False: nothing more can be found out. */
static bool
inspect_reach (struct inspection *in)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome outcome = {0};
  uint64_t deadline_ms;

  if (!take_time (in, FOR_REACHING, KMS_FAIL, "reachable", &deadline_ms))
    return false;
  if (discover (in, deadline_ms, &answer, &outcome) < 0) {
    fail (in, "reachable", &outcome);
    return false;
  }
  snprintf (in->region, sizeof in->region, "%s", answer.keyvault_region);
  kms_report_add (in->report, KMS_PASS, "reachable", NULL, "%s answers (%s)", in->key->base,
                  in->key->cloud ? in->key->cloud->name : "a simulator");
  inspect_clock (in, &answer);
  return true;
}

int
azure_identity_of (const struct secret *token, char ret[AZURE_IDENTITY_TEXT_MAX])
{
  CLEANUP_SECRET struct secret claims = {0};
  const char *text = secret_get_text (token), *start = strchr (text, '.');
  char application[64], object[64], tenant[64];
  struct answer answer;

  if (!start || secret_base64_decode (start + 1, strcspn (start + 1, "."), BASE64_URL, &claims) < 0
      || answer_init (&answer, (const char *)claims.bytes, claims.size) < 0)
    return -1;
  if (answer_string (&answer, "appid", application, sizeof application) < 0
      && answer_string (&answer, "azp", application, sizeof application) < 0)
    snprintf (application, sizeof application, "?");
  if (answer_string (&answer, "oid", object, sizeof object) < 0)
    snprintf (object, sizeof object, "?");
  if (answer_string (&answer, "tid", tenant, sizeof tenant) < 0)
    snprintf (tenant, sizeof tenant, "?");
  snprintf (ret, AZURE_IDENTITY_TEXT_MAX, "application %.48s (object %.48s) in tenant %.48s",
            application, object, tenant);
  return 0;
}

static bool
inspect_credentials (const struct inspection *in)
{
  struct kms_outcome outcome = {0};
  const struct azure_credential *source = azure_credential_find (&outcome);
  const struct azure_token *token;
  char who[AZURE_IDENTITY_TEXT_MAX] = "an identity that the token does not tell";
  struct azure_call call = {.key = in->key, .operation = AZURE_GET, .suffix = ""};

  if (!take_time (in, FOR_REACHING, KMS_FAIL, "credentials", &call.deadline_ms))
    return false;
  if (!source || azure_vault_token (&call, &token, &outcome) < 0) {
    fail (in, "credentials", &outcome);
    return false;
  }
  if (azure_identity_of (&token->value, who) < 0)
    snprintf (who, sizeof who, "an identity that the token does not tell");
  kms_report_add (in->report, KMS_PASS, "credentials", NULL, "%s: %s", source->name, who);
  return true;
}

/* ---- the key ---- */

/* Whether it is of use to try the key after its properties could not be read. */
static bool
take_refusal (const struct inspection *in, struct kms_outcome *outcome)
{
  const char *mend = NULL;

  if (!in->request->probe)
    kms_outcome_of_first_use (outcome);
  if (strcmp (outcome->reason, "not_found") == 0 || outcome->class == KMS_CREDENTIALS
      || outcome->class == KMS_CONFIG) {
    fail (in, "key", outcome);
    return false;
  }
  if (strcmp (outcome->reason, "access_denied") == 0)
    mend = "running does not need it; to have them checked, grant get (keyfence policy)";
  kms_report_add_outcome (in->report, KMS_WARN, "properties", mend, outcome);
  return true;
}

/* False: trying the key is of no use. */
static bool
inspect_key (struct inspection *in)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome outcome = {0};
  struct azure_key_facts facts;
  uint64_t deadline_ms;

  if (!take_time (in, FOR_EXTRAS, KMS_WARN, "properties", &deadline_ms))
    return true;
  if (azure_key_get (in->key, deadline_ms, &answer, &facts, &outcome) < 0)
    return take_refusal (in, &outcome);
  if (*answer.keyvault_region)
    snprintf (in->region, sizeof in->region, "%s", answer.keyvault_region);
  in->algorithm = azure_key_algorithm (facts.type);
  in->bits = facts.bits;
  azure_inspect_facts (&facts, (int64_t)time (NULL), in->report);
  return in->algorithm != NULL;
}

/* ---- the rights ---- */

static void
inspect_unwrap (const struct inspection *in, const struct secret *plain, const char *version,
                const struct wrap_blob *blob)
{
  CLEANUP_SECRET struct secret again = {0};
  struct azure_key pinned = *in->key;
  struct kms_outcome outcome = {0};
  uint64_t deadline_ms;

  if (!take_time (in, 1, KMS_FAIL, KMS_RIGHT_TO_UNWRAP, &deadline_ms))
    return;
  snprintf (pinned.version, sizeof pinned.version, "%s", version);
  if (azure_key_unwrap (&pinned, in->algorithm, blob, plain->size, deadline_ms, &again, &outcome)
      < 0)
    fail (in, KMS_RIGHT_TO_UNWRAP, &outcome);
  else if (!secret_equal (plain, &again))
    kms_report_add (in->report, KMS_FAIL, KMS_RIGHT_TO_UNWRAP,
                    "find out what answers there: not Azure, but a proxy or another service",
                    "other bytes came back than were wrapped");
  else
    kms_report_add (in->report, KMS_PASS, KMS_RIGHT_TO_UNWRAP, NULL,
                    "64 random bytes came back, by version %s", version);
}

/* Without anything that the key has wrapped, only a denial can be found out. */
static void
inspect_denial (const struct inspection *in)
{
  CLEANUP_SECRET struct secret ignored = {0};
  CLEANUP_FREE
  struct wrap_blob *blob = calloc (1, sizeof *blob);
  struct kms_outcome outcome = {0};
  uint64_t deadline_ms;

  if (!blob || !take_time (in, 1, KMS_FAIL, KMS_RIGHT_TO_UNWRAP, &deadline_ms))
    return;
  blob->size = strcmp (in->algorithm, "A256KW") == 0 ? VOLUME_KEY_SIZE + 8
               : in->bits                            ? in->bits / 8
                                                     : 256;
  if (RAND_bytes (blob->bytes, (int)blob->size) != 1)
    return;
  blob->bytes[0] = 0; /* less than any modulus */
  if (azure_key_unwrap (in->key, in->algorithm, blob, VOLUME_KEY_SIZE, deadline_ms, &ignored,
                        &outcome)
          == 0
      || outcome.class == KMS_CORRUPT || outcome.class == KMS_CONFIG) {
    kms_report_add (in->report, KMS_WARN, KMS_RIGHT_TO_UNWRAP,
                    "name a volume that has a wrap by this key: --volume PATH",
                    "not denied, but not proven: nothing is at hand that the key has wrapped");
    return;
  }
  kms_outcome_of_first_use (&outcome);
  fail (in, KMS_RIGHT_TO_UNWRAP, &outcome);
}

/* Whether *blob was made, by `version`. */
static bool
inspect_wrap (const struct inspection *in, const struct secret *plain,
              char version[AZURE_VERSION_MAX], struct wrap_blob *blob)
{
  struct kms_outcome outcome = {0};
  uint64_t deadline_ms;

  if (!take_time (in, 1, KMS_FAIL, wrap_right, &deadline_ms))
    return false;
  if (azure_key_wrap (in->key, in->algorithm, plain, deadline_ms, version, blob, &outcome) == 0) {
    kms_report_add (in->report, KMS_PASS, wrap_right, NULL, "64 random bytes, by %s",
                    in->algorithm);
    return true;
  }
  kms_outcome_of_first_use (&outcome);
  kms_report_add_outcome (in->report, KMS_FAIL, wrap_right,
                          strcmp (outcome.reason, "access_denied") == 0 ? KMS_MEND_WRAP : NULL,
                          &outcome);
  return false;
}

static void
inspect_rights (struct inspection *in)
{
  CLEANUP_SECRET struct secret plain = {0};
  CLEANUP_FREE
  struct wrap_blob *blob = calloc (1, sizeof *blob);
  char version[AZURE_VERSION_MAX];
  bool is_wrapped = false;

  if (!in->algorithm)
    in->algorithm = in->key->hsm ? "A256KW" : "RSA-OAEP-256";
  if (!blob || secret_random (&plain, VOLUME_KEY_SIZE, NULL) < 0)
    return;
  if (!in->request->run_only)
    is_wrapped = inspect_wrap (in, &plain, version, blob);
  if (in->request->probe)
    kms_report_add_probe (in->report, in->request->volume, in->request->probe);
  else if (in->request->run_only)
    inspect_denial (in);
  else if (is_wrapped)
    inspect_unwrap (in, &plain, version, blob);
  else
    kms_report_add (in->report, KMS_FAIL, KMS_RIGHT_TO_UNWRAP,
                    "mend the right to wrap, and check again",
                    "not tried: there is nothing to unwrap");
}

/* A policy that is not there or not readable is no fault: rotation by hand is as good. */
static void
inspect_rotation (const struct inspection *in)
{
  CLEANUP_HTTP_ANSWER struct http_answer http = {0};
  struct kms_outcome outcome = {0};
  struct azure_call call = {.key = in->key, .operation = AZURE_GET, .suffix = "/rotationpolicy"};
  const char *found = "no automatic rotation; after one by hand, volumes that exist go on with the "
                      "old version, which must stay enabled";

  if (!take_time (in, FOR_EXTRAS, KMS_WARN, "rotation", &call.deadline_ms))
    return;
  if (azure_vault_call (&call, &http, &outcome) < 0 && outcome.class != KMS_DENIED) {
    kms_report_add_outcome (in->report, KMS_WARN, "rotation", NULL, &outcome);
    return;
  }
  if (outcome.class == KMS_DENIED)
    found = "the policy can't be read by this identity, which is not needed either";
  else if (memmem (http.body.bytes, http.body.size, "\"Rotate\"", 8)
           || memmem (http.body.bytes, http.body.size, "\"rotate\"", 8))
    found = "automatic; volumes that exist go on with the old versions, which must stay enabled";
  kms_report_add (in->report, KMS_PASS, "rotation", NULL, "%s", found);
}

/* ---- the region ---- */

/* As Azure's metadata service tells it; -1 elsewhere. */
static int
instance_region (char *ret, size_t max)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  const struct http_request request = {
      .method = "GET",
      .url = "http://169.254.169.254/metadata/instance/compute/location"
             "?api-version=2021-02-01&format=text",
      .headers = {{"Metadata", NULL, "true"}},
      .timeout_ms = 1000,
      .link_local = true};

  if (http_exchange (&request, &answer) < 0 || answer.status != 200 || answer.body.size >= max)
    return -1;
  memcpy (ret, answer.body.bytes, answer.body.size);
  ret[answer.body.size] = '\0';
  return 0;
}

static void
inspect_place (const struct inspection *in, const char *wanted)
{
  struct kms_outcome ignored = {0};
  char instance[64];

  if (wanted)
    azure_inspect_region (in->region, wanted, "--region", in->report);
  else if (azure_credential_find (&ignored) == &azure_imds
           && !azure_variable ("AZURE_POD_IDENTITY_AUTHORITY_HOST")
           && instance_region (instance, sizeof instance) == 0)
    azure_inspect_region (in->region, instance, "this machine's region", in->report);
  else
    azure_inspect_region (in->region, NULL, NULL, in->report);
}

void
azure_inspect (const struct kms_request *request, struct azure_key *key, struct kms_report *report)
{
  struct inspection in = {.request = request,
                          .key = key,
                          .report = report,
                          .deadline_ms = clock_ms () + request->timeout_ms};

  if (!inspect_reach (&in) || !inspect_credentials (&in))
    return;
  if (inspect_key (&in)) {
    inspect_rights (&in);
    if (!request->run_only)
      inspect_rotation (&in);
  }
  inspect_place (&in, request->region);
}
