/* The key with which the simulator signs tokens: those of Entra, and those of the workload identity
 * issuer that both clouds trust.
 */
#ifndef SIM_ISSUER_H
#define SIM_ISSUER_H

#include "tools/sim/jwt.h"
#include "tools/sim/sim.h"

#define ISSUER_KEY_ID "keyfence-kms-sim"
#define ISSUER_WORKLOAD "https://keyfence-kms-sim/oidc" /* iss of workload identity tokens */

/* The signing key of the state folder, made at the first call; the caller frees it. */
EVP_PKEY *issuer_key (struct sim *sim);

/* A token with these claims besides iss, iat, nbf and exp; a new string. */
char *issuer_sign (struct sim *sim, struct json *claims, const char *issuer, int64_t now_s,
                   int64_t lifetime_s);

/* Parses `text` and proves that it is ours: from `issuer` (NULL: any), signed by the key.  Whether
 * it is current is left to the caller.  0, and jwt_clear later; or -1.
 */
int
issuer_verify (struct sim *sim, const char *text, const char *issuer, struct jwt *ret) MUST_CHECK;

#endif
