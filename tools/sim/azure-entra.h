/* A request to the token endpoint of Entra, its errors, and the proof that comes with it. */
#ifndef SIM_AZURE_ENTRA_H
#define SIM_AZURE_ENTRA_H

#include "tools/sim/azure-identity.h"

/* The form's fields are new strings, or NULL. */
struct entra_request {
  struct exchange *ex;
  char tenant[64];
  char *grant_type, *client_id, *client_secret, *assertion, *assertion_type, *scope, *claims;
};

/* The errors of Entra that a client can meet here. */
enum entra_error {
  ENTRA_BAD_REQUEST,
  ENTRA_BAD_TENANT,
  ENTRA_BAD_APP,
  ENTRA_BAD_SECRET,
  ENTRA_EXPIRED_SECRET,
  ENTRA_BAD_CERTIFICATE,
  ENTRA_EXPIRED_ASSERTION,
  ENTRA_BAD_AUDIENCE,
  ENTRA_NO_FEDERATION,
  ENTRA_BAD_SCOPE,
  ENTRA_UNAVAILABLE,
  ENTRA_THROTTLED,
  ENTRA_CONDITIONAL_ACCESS,
};

/* Replies with the error; returns -1. */
int entra_fail (struct exchange *ex, enum entra_error error);

/* Whether secret, certificate or federated assertion prove that it is the application; else replies
 * with the error. */
int entra_check_proof (const struct entra_request *request, const struct azure_app *app) MUST_CHECK;

#endif
