/* operations.c owns what a wrap consists of: how it is made, proven and opened by a provider. */
#include "kms/operations.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"

/* One operation under way: the provider, and a request whose time-out is what is left. */
struct operation {
  const struct kms_provider *provider;
  struct kms_request request;
  uint64_t start_ms, deadline_ms;
};

static int
begin (struct operation *op, const struct kms_request *request, struct kms_outcome *outcome)
{
  *op = (struct operation){.request = *request, .start_ms = clock_ms ()};
  op->deadline_ms = op->start_ms + request->timeout_ms;
  *outcome = (struct kms_outcome){.class = KMS_OK};
  op->provider = kms_provider_for (request->key, outcome);
  return op->provider ? 0 : -1;
}

/* The last step of each operation: passes `r` on. */
static int
end (const struct operation *op, int r, struct kms_outcome *outcome)
{
  outcome->duration_ms = (uint32_t)(clock_ms () - op->start_ms);
  if (r == 0)
    kms_outcome_set (outcome, KMS_OK, "", "%s", "");
  return r;
}

static int
time_left (struct operation *op, struct kms_outcome *outcome)
{
  uint64_t now_ms = clock_ms ();

  if (now_ms >= op->deadline_ms)
    return kms_outcome_set (outcome, KMS_OUTAGE, "timeout", "no answer about %.200s within %u ms",
                            op->request.key, (unsigned)(op->deadline_ms - op->start_ms));
  op->request.timeout_ms = (uint32_t)(op->deadline_ms - now_ms);
  return 0;
}

static int
unwrap (struct operation *op, const struct wrap *wrap, const struct wrap_blob *blob, size_t size,
        struct secret *ret_plain, struct kms_outcome *outcome)
{
  if (time_left (op, outcome) < 0)
    return -1;
  op->request.stored = true;
  return op->provider->unwrap (&op->request, wrap, blob, size, ret_plain, outcome);
}

static int
check_probe (struct operation *op, const struct wrap *wrap, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret probe = {0};
  uint8_t digest[WRAP_DIGEST_SIZE];

  if (unwrap (op, wrap, &wrap->probe, PROBE_SIZE, &probe, outcome) < 0)
    return -1;
  if (secret_sha256 (&probe, digest) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "crypto_error", "SHA-256 failed");
  if (CRYPTO_memcmp (digest, wrap->probe_digest, sizeof digest) != 0)
    return kms_outcome_set (outcome, KMS_CORRUPT, "bad_wrap",
                            "the probe of the wrap by %.150s opens to other bytes than were "
                            "wrapped: the header was changed; restore a backup of it",
                            wrap->key);
  return 0;
}

int
operation_unwrap (const struct kms_request *request, const struct wrap *wrap,
                  struct secret *ret_volume_key, struct kms_outcome *outcome)
{
  struct operation op;
  int r = begin (&op, request, outcome);

  if (r == 0)
    r = unwrap (&op, wrap, &wrap->wrapped, VOLUME_KEY_SIZE, ret_volume_key, outcome);
  return end (&op, r, outcome);
}

int
operation_check (const struct kms_request *request, const struct wrap *wrap,
                 struct kms_outcome *outcome)
{
  struct operation op;
  int r = begin (&op, request, outcome);

  if (r == 0)
    r = check_probe (&op, wrap, outcome);
  return end (&op, r, outcome);
}

int
operation_expiry (const struct kms_request *request, const struct wrap *wrap,
                  int64_t *ret_expires_unix_s, struct kms_outcome *outcome)
{
  struct operation op;
  int64_t expires_s = 0;
  int r = begin (&op, request, outcome);

  op.request.stored = true;
  if (r == 0 && op.provider->expiry)
    r = op.provider->expiry (&op.request, wrap, &expires_s, outcome);
  if (r == 0) /* a date before 1970 is one, too */
    *ret_expires_unix_s = expires_s == 0 ? 0 : MIN (MAX (expires_s, 1), KMS_EXPIRY_MAX);
  return end (&op, r, outcome);
}

/* ---- making wraps ---- */

/* Passes `r` on: what came of the first use of a key. */
static int
first_use (int r, struct kms_outcome *outcome)
{
  if (r < 0)
    kms_outcome_of_first_use (outcome);
  return r;
}

static int
no_randomness (const struct error *err, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err->text);
}

static int
seal (struct operation *op, const struct secret *plain, struct kms_wrapped *ret,
      struct kms_outcome *outcome)
{
  if (time_left (op, outcome) < 0)
    return -1;
  return op->provider->wrap (&op->request, plain, ret, outcome);
}

/* Adds the probe, wrapped by the very key that `wrapped` tells of. */
static int
add_probe (struct operation *op, const struct kms_wrapped *wrapped, struct wrap *wrap,
           struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret probe = {0};
  CLEANUP_FREE struct kms_wrapped *sealed = calloc (1, sizeof *sealed);
  struct error err = {.text = "out of memory"};

  if (!sealed || secret_random (&probe, PROBE_SIZE, &err) < 0)
    return no_randomness (&err, outcome);
  if (secret_sha256 (&probe, wrap->probe_digest) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "crypto_error", "SHA-256 failed");
  if (seal (op, &probe, sealed, outcome) < 0)
    return -1;
  if (strcmp (sealed->key_version, wrapped->key_version) != 0
      || strcmp (sealed->key, wrapped->key) != 0
      || strcmp (sealed->algorithm, wrapped->algorithm) != 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "key_changed",
                            "the key %.200s was changed while it was being used: try again",
                            op->request.key);
  wrap->probe = sealed->blob;
  return 0;
}

/* The key service must give back what it took, before anything depends on it. */
static int
prove (struct operation *op, const struct wrap *wrap, const struct secret *volume_key,
       struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret again = {0};

  if (unwrap (op, wrap, &wrap->wrapped, VOLUME_KEY_SIZE, &again, outcome) < 0)
    return -1;
  if (!secret_equal (&again, volume_key))
    return kms_outcome_set (outcome, KMS_CORRUPT, "bad_wrap",
                            "%.200s gave back other bytes than it was given", wrap->key);
  return check_probe (op, wrap, outcome);
}

static int
complete (struct operation *op, const struct kms_wrapped *wrapped, const struct secret *volume_key,
          struct wrap *ret_wrap, struct kms_outcome *outcome)
{
  CLEANUP_FREE struct wrap *wrap = calloc (1, sizeof *wrap);

  if (!wrap)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  snprintf (wrap->key, sizeof wrap->key, "%s", wrapped->key);
  snprintf (wrap->key_version, sizeof wrap->key_version, "%s", wrapped->key_version);
  snprintf (wrap->algorithm, sizeof wrap->algorithm, "%s", wrapped->algorithm);
  wrap->wrapped = wrapped->blob;
  format_time (time (NULL), wrap->created);
  op->request.key = wrapped->key; /* the name that is stored must work later */
  if (add_probe (op, wrapped, wrap, outcome) < 0 || prove (op, wrap, volume_key, outcome) < 0)
    return -1;
  *ret_wrap = *wrap;
  return 0;
}

/* A new volume key, from the service where it makes them. */
static int
generate (struct operation *op, struct secret *ret_volume_key, struct kms_wrapped *ret_wrapped,
          struct kms_outcome *outcome)
{
  struct error err;

  if (op->provider->generate)
    return op->provider->generate (&op->request, ret_volume_key, ret_wrapped, outcome);
  if (secret_random (ret_volume_key, VOLUME_KEY_SIZE, &err) < 0)
    return no_randomness (&err, outcome);
  return seal (op, ret_volume_key, ret_wrapped, outcome);
}

int
operation_generate (const struct kms_request *request, struct secret *ret_volume_key,
                    struct wrap *ret_wrap, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret volume_key = {0};
  CLEANUP_FREE struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  struct operation op;
  int r = begin (&op, request, outcome);

  if (r == 0 && !wrapped)
    r = kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  if (r == 0)
    r = first_use (generate (&op, &volume_key, wrapped, outcome), outcome);
  if (r == 0)
    r = complete (&op, wrapped, &volume_key, ret_wrap, outcome);
  if (r == 0)
    secret_take (ret_volume_key, &volume_key);
  return end (&op, r, outcome);
}

int
operation_wrap (const struct kms_request *request, const struct secret *volume_key,
                struct wrap *ret_wrap, struct kms_outcome *outcome)
{
  CLEANUP_FREE struct kms_wrapped *wrapped = calloc (1, sizeof *wrapped);
  struct operation op;
  int r = begin (&op, request, outcome);

  if (r == 0 && !wrapped)
    r = kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  if (r == 0)
    r = first_use (seal (&op, volume_key, wrapped, outcome), outcome);
  if (r == 0)
    r = complete (&op, wrapped, volume_key, ret_wrap, outcome);
  return end (&op, r, outcome);
}

/* ---- inspecting ---- */

/* Half of the time is left for what else is to be asked. */
static void
try_probe (struct operation *op, const struct wrap *wrap, struct kms_outcome *ret)
{
  struct operation half = *op;

  half.deadline_ms = op->start_ms + (op->deadline_ms - op->start_ms) / 2;
  *ret = (struct kms_outcome){.class = KMS_OK};
  (void)!check_probe (&half, wrap, ret);
}

int
operation_inspect (const struct kms_request *request, const struct wrap *wrap,
                   struct kms_report *ret_report, struct kms_outcome *outcome)
{
  struct kms_outcome probe;
  struct operation op;
  int r = begin (&op, request, outcome);

  if (r == 0 && wrap) {
    try_probe (&op, wrap, &probe);
    op.request.probe = &probe;
    r = time_left (&op, outcome);
  }
  if (r == 0) {
    *ret_report = (struct kms_report){0};
    op.provider->inspect (&op.request, ret_report);
  }
  return end (&op, r, outcome);
}
