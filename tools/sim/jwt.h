/* JSON Web Tokens (RFC 7519, 7515): made with RS256, verified with RS256 or PS256. */
#ifndef SIM_JWT_H
#define SIM_JWT_H

#include <openssl/evp.h>

#include "common/json.h"

#define JWT_MAX 16384 /* longer ones are not looked at */

struct jwt {
  struct json *header, *claims;
  size_t signed_size; /* of the text up to the second dot */
  const char *text;   /* the caller's */
  uint8_t *signature;
  size_t signature_size;
};

/* Takes the text apart (it must outlive the result); nothing is verified yet. */
int jwt_parse (const char *text, struct jwt *ret) MUST_CHECK;
void jwt_clear (struct jwt *jwt);
#define CLEANUP_JWT CLEANUP (jwt_clear)

/* Whether the signature is that key's, by the algorithm in the header. */
bool jwt_verify (const struct jwt *jwt, EVP_PKEY *key);

/* Whether nbf (where there is one) and exp (which must be there) hold, give or take 5 minutes for
 * nbf. */
bool jwt_is_current (const struct jwt *jwt, int64_t now_s);

/* A new token of the claims; NULL when signing fails. */
char *jwt_sign (EVP_PKEY *key, const char *key_id, const struct json *claims) MUST_CHECK;

/* Base64url without padding (RFC 4648, section 5); new memory, NULL when it is not. */
char *base64url_encode (const uint8_t *bytes, size_t size) MUST_CHECK;
uint8_t *base64url_decode (const char *text, size_t length, size_t *ret_size) MUST_CHECK;

#endif
