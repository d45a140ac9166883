/* azure-client-certificate.c owns AZURE_CLIENT_CERTIFICATE_PATH: a service principal with a
 * certificate.  The file is read anew for each token, so that it can be renewed in place.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/rand.h>

#include "kms/azure-assertion.h"
#include "kms/azure-credential.h"
#include "kms/azure-entra.h"
#include "kms/azure-environment.h"
#include "kms/azure-file.h"

#define FILE_MAX ((size_t)64 * 1024)
#define UUID_MAX 37

static bool
present (void)
{
  return azure_variable ("AZURE_TENANT_ID") && azure_variable ("AZURE_CLIENT_ID")
         && azure_variable ("AZURE_CLIENT_CERTIFICATE_PATH");
}

static bool
wants_chain (void)
{
  const char *value = azure_variable ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");

  return value && (strcasecmp (value, "true") == 0 || strcmp (value, "1") == 0);
}

/* Random, as RFC 9562 has version 4. */
static int
make_uuid (char ret[UUID_MAX])
{
  uint8_t b[16];

  if (RAND_bytes (b, sizeof b) != 1)
    return -1;
  b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
  b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
  snprintf (ret, UUID_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
            b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
            b[14], b[15]);
  return 0;
}

static int
load (struct azure_certificate *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret file = {0};
  const char *path = azure_variable ("AZURE_CLIENT_CERTIFICATE_PATH");

  if (azure_read_file (path, FILE_MAX, &file, outcome) < 0)
    return -1;
  return azure_certificate_load (path, &file, azure_variable ("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
                                 ret, outcome);
}

static int
make_assertion (const struct azure_need *need, const char *tenant, struct secret *ret,
                struct kms_outcome *outcome)
{
  CLEANUP_AZURE_CERTIFICATE struct azure_certificate certificate = {0};
  char endpoint[AZURE_ENDPOINT_MAX], jti[UUID_MAX];

  azure_entra_endpoint (need, tenant, endpoint);
  if (make_uuid (jti) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "crypto_error", "there are no random bytes");
  if (load (&certificate, outcome) < 0)
    return -1;
  return azure_assertion (&certificate, wants_chain (), azure_variable ("AZURE_CLIENT_ID"),
                          endpoint, jti, time (NULL), ret, outcome);
}

static int
fetch (const struct azure_need *need, struct azure_token *ret, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret assertion = {0};
  struct azure_proof proof = {.client_id = azure_variable ("AZURE_CLIENT_ID")};
  char tenant[AZURE_TENANT_MAX];

  if (azure_entra_tenant (need, tenant, outcome) < 0
      || make_assertion (need, tenant, &assertion, outcome) < 0)
    return -1;
  proof.assertion = (const char *)assertion.bytes;
  return azure_entra_fetch (need, tenant, &proof, ret, outcome);
}

const struct azure_credential azure_client_certificate = {
    .name = "client certificate (AZURE_CLIENT_CERTIFICATE_PATH)",
    .kind = "EnvironmentCredential",
    .present = present,
    .fetch = fetch,
};
