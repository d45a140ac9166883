/* azure-proof.c owns how an application proves to Entra who it is: secret, certificate, assertion.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tools/sim/azure-entra.h"
#include "tools/sim/issuer.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define ASSERTION_MAX_S 86400 /* an assertion that is valid for longer is refused */

/* ---- the client's proof -----------------------------------------------------------------------
 */

static X509 *
parse_certificate (const char *pem)
{
  BIO *bio = pem ? BIO_new_mem_buf (pem, -1) : NULL;
  X509 *cert = bio ? PEM_read_bio_X509 (bio, NULL, NULL, NULL) : NULL;

  BIO_free (bio);
  return cert;
}

static bool
thumbprint_fits (X509 *cert, const EVP_MD *digest, const char *expected)
{
  uint8_t bytes[EVP_MAX_MD_SIZE];
  unsigned size;
  CLEANUP_FREE
  char *text = NULL;

  if (X509_digest (cert, digest, bytes, &size) != 1)
    return false;
  text = base64url_encode (bytes, size);
  return text && strcmp (text, expected) == 0;
}

/* The header must name the registered certificate (x5t#S256, or x5t with SHA-1). */
static bool
names_certificate (const struct jwt *jwt, X509 *cert)
{
  const char *sha256 = json_get_string (jwt->header, "x5t#S256"),
             *sha1 = json_get_string (jwt->header, "x5t");

  if (sha256)
    return thumbprint_fits (cert, EVP_sha256 (), sha256);
  return sha1 && thumbprint_fits (cert, EVP_sha1 (), sha1);
}

static bool
claim_is (const struct jwt *jwt, const char *claim, const char *expected)
{
  const char *value = json_get_string (jwt->claims, claim);

  return value && strcmp (value, expected) == 0;
}

/* aud must be the token endpoint, on whatever host the client knows it by. */
static bool
audience_is_endpoint (const struct entra_request *request, const struct jwt *jwt)
{
  const char *audience = json_get_string (jwt->claims, "aud");
  char wanted[128];

  snprintf (wanted, sizeof wanted, "%s/%s/oauth2/v2.0/token", request_host (request->ex->request),
            request->tenant);
  return audience && strncmp (audience, "https://", 8) == 0
         && strcasecmp (audience + 8, wanted) == 0;
}

static bool
lasts_too_long (const struct jwt *jwt, int64_t now_s)
{
  uint64_t exp;

  return json_get_uint64 (jwt->claims, "exp", &exp) < 0 || exp > (uint64_t)now_s + ASSERTION_MAX_S;
}

static int
check_certificate (const struct entra_request *request, const struct azure_app *app,
                   const struct jwt *jwt)
{
  X509 *cert = parse_certificate (app->certificate);
  bool good = cert && names_certificate (jwt, cert) && jwt_verify (jwt, X509_get0_pubkey (cert));
  int64_t now_s = request->ex->now_s;

  X509_free (cert);
  if (!good || !claim_is (jwt, "iss", app->client_id) || !claim_is (jwt, "sub", app->client_id)
      || !json_get_string (jwt->claims, "jti"))
    return entra_fail (request->ex, ENTRA_BAD_CERTIFICATE);
  if (!jwt_is_current (jwt, now_s) || lasts_too_long (jwt, now_s))
    return entra_fail (request->ex, ENTRA_EXPIRED_ASSERTION);
  if (!audience_is_endpoint (request, jwt))
    return entra_fail (request->ex, ENTRA_BAD_AUDIENCE);
  return 0;
}

/* A token of the workload identity issuer, for the subject that the application trusts. */
static int
check_federated (const struct entra_request *request, const struct azure_app *app)
{
  CLEANUP_JWT struct jwt jwt = {0};

  if (!app->subject[0]
      || issuer_verify (request->ex->sim, request->assertion, ISSUER_WORKLOAD, &jwt) < 0
      || !claim_is (&jwt, "sub", app->subject) || !claim_is (&jwt, "aud", AZURE_EXCHANGE_AUDIENCE))
    return entra_fail (request->ex, ENTRA_NO_FEDERATION);
  if (!jwt_is_current (&jwt, request->ex->now_s))
    return entra_fail (request->ex, ENTRA_EXPIRED_ASSERTION);
  return 0;
}

static int
check_assertion (const struct entra_request *request, const struct azure_app *app)
{
  CLEANUP_JWT struct jwt jwt = {0};

  if (!request->assertion_type || strcmp (request->assertion_type, ASSERTION_TYPE) != 0
      || jwt_parse (request->assertion, &jwt) < 0)
    return entra_fail (request->ex, ENTRA_BAD_CERTIFICATE);
  if (json_get (jwt.header, "x5t") || json_get (jwt.header, "x5t#S256"))
    return check_certificate (request, app, &jwt);
  return check_federated (request, app);
}

static bool
same_text (const char *a, const char *b)
{
  return strlen (a) == strlen (b) && CRYPTO_memcmp (a, b, strlen (a)) == 0;
}

int
entra_check_proof (const struct entra_request *request, const struct azure_app *app)
{
  if (!request->client_secret == !request->assertion)
    return entra_fail (request->ex, ENTRA_BAD_REQUEST);
  if (request->assertion)
    return check_assertion (request, app);
  if (!app->secret[0] || !same_text (request->client_secret, app->secret))
    return entra_fail (request->ex, ENTRA_BAD_SECRET);
  return 0;
}
