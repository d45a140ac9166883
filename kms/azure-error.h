/* From what Azure answered to what it means: one table for each of the services that answer.
 *
 * An answer is classed by the names in its body (error code, inner codes, AADSTS number), together
 * with the HTTP status but never by that alone, so that a proxy's error page denies nothing.  What
 * no row knows is KMS_OUTAGE ("unexpected_answer"): never ok and never denied.
 *
 * Rows are looked up with the innermost name first.  The tables follow Microsoft's "Key Vault REST
 * API error codes", "Microsoft Entra authentication and authorization error codes" and "How managed
 * identities for Azure resources work", and the texts that the services are seen to send.
 */
#ifndef KMS_AZURE_ERROR_H
#define KMS_AZURE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "kms/http.h"
#include "kms/outcome.h"

enum azure_service {
  AZURE_SERVICE_VAULT,    /* Key Vault and Managed HSM */
  AZURE_SERVICE_ENTRA,    /* the token endpoint */
  AZURE_SERVICE_IDENTITY, /* managed identity: IMDS, App Service, Arc */
};
#define AZURE_SERVICE_COUNT 3

/* What was asked of a vault; bits, so that a row can be for several. */
enum azure_operation {
  AZURE_NONE = 0, /* no vault was asked */
  AZURE_WRAP = 1,
  AZURE_UNWRAP = 2,
  AZURE_GET = 4,
  AZURE_ANY = 7,
};

/* The names that an error body holds, outermost first, and its text for people. */
struct azure_error {
  size_t count;
  char names[5][64];
  char message[200];
};

struct azure_row {
  unsigned status;     /* 0: any */
  const char *name;    /* of an error, or (in AZURE_SERVICE_IDENTITY) how its message starts */
  unsigned operations; /* 0: any */
  enum kms_class class;
  const char *reason;
  bool retry;
  const char *advice; /* what it is and what to do, without the full stop */
  bool by_clock;      /* KMS_CLOCK instead, where the answer's date is far from ours */
};

/* The rows, ending with a name NULL. */
extern const struct azure_row *const azure_rows[AZURE_SERVICE_COUNT];

/* Whatever the body is, *ret is filled in; without names when it is no error object. */
void azure_error_parse (const void *body, size_t size, struct azure_error *ret);

/* Fills in *outcome for an exchange that brought no answer, or an answer that is not a success;
 * `subject` is what was asked ("https://v.vault.azure.net/keys/k").  Returns whether asking again
 * soon may help.
 */
bool
azure_classify (enum azure_service service, enum azure_operation operation, const char *subject,
                const struct http_answer *answer, struct kms_outcome *outcome);

#endif
