/* Client assertions: a JWT (RFC 7519, RFC 7523) that proves the possession of a certificate's key,
 * signed with PS256 and naming the certificate by its SHA-256 (x5t#S256), as Entra wants it.
 */
#ifndef KMS_AZURE_ASSERTION_H
#define KMS_AZURE_ASSERTION_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/outcome.h"

#define AZURE_ASSERTION_LIFETIME_S 600

struct azure_certificate {
  X509 *leaf;
  EVP_PKEY *key; /* RSA; in OpenSSL's memory, which it wipes when it is freed */
};

#define CLEANUP_AZURE_CERTIFICATE CLEANUP (azure_certificate_clear)
void azure_certificate_clear (struct azure_certificate *certificate);

/* PEM (certificate and private key in one file) or PKCS #12; `password` may be NULL.  `name` is for
 * messages.  KMS_CREDENTIALS ("bad_certificate") when it is neither, or has no RSA key that fits.
 */
int azure_certificate_load (const char *name, const struct secret *file, const char *password,
                            struct azure_certificate *ret, struct kms_outcome *outcome) MUST_CHECK;

/* The JWT as a text.  `with_chain` puts the certificate itself into the header (x5c), for
 * applications that trust by subject and issuer.  `jti` is a fresh uuid.
 */
int azure_assertion (const struct azure_certificate *certificate, bool with_chain,
                     const char *client_id, const char *audience, const char *jti, int64_t now_s,
                     struct secret *ret, struct kms_outcome *outcome) MUST_CHECK;

#endif
