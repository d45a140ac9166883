/* `keyfence policy KEY`: the grants that a key's owner has to make, ready to be pasted.
 *
 * Nothing is asked and nothing changed: this is text made of names.  It needs no provider, so that
 * programs which speak to no key service can print it.
 */
#ifndef KMS_POLICY_H
#define KMS_POLICY_H

#include <stdbool.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "common/error.h"

struct policy_request {
  const char *key; /* as the user names it */
  const char
      *principal;     /* who is to have the key: a role's ARN, an object id; NULL: a placeholder */
  const char *volume; /* uuid that the grant is bound to where the service can; NULL: any */
  bool rsa;           /* the key is an RSA key of a service that grants those otherwise */
};

/* One for each key service. */
struct policy_writer {
  bool (*owns) (const char *key);
  int (*write) (const struct policy_request *request, FILE *out, struct error *err);
};

extern const struct policy_writer policy_aws, policy_azure;

/* Writes the text for the service that the key belongs to; -1 with ERROR_USAGE when it belongs to
 * none that has grants, the principal or volume can't be one, or a grant can't be bound to it.
 */
int policy_write (const struct policy_request *request, FILE *out, struct error *err) MUST_CHECK;

#endif
