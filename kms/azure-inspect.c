/* azure-inspect.c owns the order of what is asked about a key, and the lines that need asking. */
#include "kms/azure-inspect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "kms/answer.h"
#include "kms/azure-credential.h"
#include "kms/azure-environment.h"

#define CLOCK_WARN_S 60
#define CLOCK_FAIL_S 300

struct inspection {
  struct azure_key *key;
  struct kms_report *report;
  uint64_t deadline_ms;
  char region[64];       /* the vault's, as its answers tell; or empty */
  const char *algorithm; /* for the key's type; NULL: not known */
};

/* ---- reaching the vault, as whom, and at what time ---- */

static void
inspect_clock (const struct inspection *in, const struct http_answer *answer)
{
  long skew_s = (long)(time (NULL) - answer->date_s), size_s = labs (skew_s);

  if (!answer->date_s)
    return;
  kms_report_add (
      in->report,
      size_s > CLOCK_FAIL_S   ? KMS_FAIL
      : size_s > CLOCK_WARN_S ? KMS_WARN
                              : KMS_PASS,
      "clock", size_s > CLOCK_WARN_S ? "let NTP (chrony, systemd-timesyncd) set it" : NULL,
      "this machine's is %ld s %s the service's", size_s, skew_s >= 0 ? "ahead of" : "behind");
}

/* False: nothing more can be found out. */
static bool
inspect_reach (struct inspection *in)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome outcome = {0};
  const struct azure_call call = {
      .key = in->key, .operation = AZURE_GET, .suffix = "", .deadline_ms = in->deadline_ms};

  if (azure_vault_discover (&call, &answer, &outcome) < 0) {
    kms_report_add_outcome (in->report, "reachable", &outcome);
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
  const struct azure_call call = {
      .key = in->key, .operation = AZURE_GET, .suffix = "", .deadline_ms = in->deadline_ms};

  if (!source || azure_vault_token (&call, &token, &outcome) < 0) {
    kms_report_add_outcome (in->report, "credentials", &outcome);
    return false;
  }
  if (azure_identity_of (&token->value, who) < 0)
    snprintf (who, sizeof who, "an identity that the token does not tell");
  kms_report_add (in->report, KMS_PASS, "credentials", NULL, "%s: %s", source->name, who);
  return true;
}

/* ---- the key ---- */

/* False: there is no such key, so that trying it is of no use. */
static bool
inspect_key (struct inspection *in)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct kms_outcome outcome = {0};
  struct azure_key_facts facts;

  if (azure_key_get (in->key, in->deadline_ms, &answer, &facts, &outcome) == 0) {
    if (*answer.keyvault_region)
      snprintf (in->region, sizeof in->region, "%s", answer.keyvault_region);
    in->algorithm = azure_key_algorithm (facts.type);
    azure_inspect_facts (&facts, (int64_t)time (NULL), in->report);
    return in->algorithm != NULL;
  }
  if (outcome.class == KMS_DENIED && strcmp (outcome.reason, "access_denied") == 0) {
    kms_report_add (in->report, KMS_WARN, "properties",
                    "running does not need it; to have them checked, grant get (keyfence policy)",
                    "this identity may not read the key's properties: %s", outcome.text);
    return true;
  }
  kms_report_add_outcome (in->report, "key", &outcome);
  return false;
}

static void
inspect_unwrap (const struct inspection *in, const struct secret *plain, const char *version,
                const struct wrap_blob *blob)
{
  CLEANUP_SECRET struct secret again = {0};
  struct azure_key pinned = *in->key;
  struct kms_outcome outcome = {0};

  snprintf (pinned.version, sizeof pinned.version, "%s", version);
  if (azure_key_unwrap (&pinned, in->algorithm, blob, plain->size, in->deadline_ms, &again,
                        &outcome)
      < 0)
    kms_report_add_outcome (in->report, "right to unwrap", &outcome);
  else if (!secret_equal (plain, &again))
    kms_report_add (in->report, KMS_FAIL, "right to unwrap", "do not use this key",
                    "other bytes came back than were wrapped");
  else
    kms_report_add (in->report, KMS_PASS, "right to unwrap", NULL,
                    "64 random bytes came back, by version %s", version);
}

static void
inspect_round_trip (struct inspection *in)
{
  CLEANUP_SECRET struct secret plain = {0};
  CLEANUP_FREE
  struct wrap_blob *blob = calloc (1, sizeof *blob);
  struct kms_outcome outcome = {0};
  char version[AZURE_VERSION_MAX];

  if (!in->algorithm)
    in->algorithm = in->key->hsm ? "A256KW" : "RSA-OAEP-256";
  if (!blob || secret_random (&plain, VOLUME_KEY_SIZE, NULL) < 0)
    return;
  if (azure_key_wrap (in->key, in->algorithm, &plain, in->deadline_ms, version, blob, &outcome)
      < 0) {
    kms_report_add_outcome (in->report, "right to wrap", &outcome);
    return;
  }
  kms_report_add (in->report, KMS_PASS, "right to wrap", NULL, "64 random bytes, by %s",
                  in->algorithm);
  inspect_unwrap (in, &plain, version, blob);
}

/* A policy that is not there or not readable is no fault: rotation by hand is as good. */
static void
inspect_rotation (const struct inspection *in)
{
  CLEANUP_HTTP_ANSWER struct http_answer http = {0};
  struct kms_outcome outcome = {0};
  const struct azure_call call = {.key = in->key,
                                  .operation = AZURE_GET,
                                  .suffix = "/rotationpolicy",
                                  .deadline_ms = in->deadline_ms};
  const char *found = "no automatic rotation; after one by hand, volumes that exist go on with the "
                      "old version, which must stay enabled";

  if (azure_vault_call (&call, &http, &outcome) < 0)
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
  struct inspection in = {
      .key = key, .report = report, .deadline_ms = clock_ms () + request->timeout_ms};
  bool exists;

  if (!inspect_reach (&in) || !inspect_credentials (&in))
    return;
  exists = inspect_key (&in);
  if (exists) {
    inspect_round_trip (&in);
    inspect_rotation (&in);
  }
  inspect_place (&in, request->region);
}
