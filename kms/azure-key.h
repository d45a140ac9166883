/* What a vault says about a key, and the two operations on it. */
#ifndef KMS_AZURE_KEY_H
#define KMS_AZURE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/azure-uri.h"
#include "kms/azure-vault.h"

/* GET /keys/NAME[/VERSION]: 3.1 of Microsoft's "Get Key" reference.  Times are Unix time, 0: none.
 */
struct azure_key_facts {
  char type[16];             /* kty: "RSA", "RSA-HSM", "oct-HSM", "EC" … */
  unsigned bits;             /* of an RSA key; 0 for others */
  bool can_wrap, can_unwrap; /* in its key_ops */
  bool enabled;
  int64_t not_before_s, expires_s;
  char recovery_level[48];
  int64_t recoverable_days; /* 0: not said */
  char id[WRAP_KEY_MAX];    /* with the version */
  char version[AZURE_VERSION_MAX];
};

int azure_key_get (const struct azure_key *key, uint64_t deadline_ms, struct http_answer *answer,
                   struct azure_key_facts *ret, struct kms_outcome *outcome) MUST_CHECK;

/* From the body of such an answer; -1 when it is none. */
int azure_key_parse_facts (const struct azure_key *key, const void *body, size_t size,
                           struct azure_key_facts *ret) MUST_CHECK;

/* The algorithm for a key type, or NULL when keys of that type can't wrap. */
const char *azure_key_algorithm (const char *type);
bool azure_key_knows_algorithm (const char *algorithm);

/* What wrapkey and unwrapkey answer: {"kid":"…","value":"base64url"}. */
int azure_key_parse_wrapped (const struct azure_key *key, const void *body, size_t size,
                             char ret_version[AZURE_VERSION_MAX], struct wrap_blob *ret_blob)
    MUST_CHECK;

int azure_key_wrap (const struct azure_key *key, const char *algorithm, const struct secret *plain,
                    uint64_t deadline_ms, char ret_version[AZURE_VERSION_MAX],
                    struct wrap_blob *ret_blob, struct kms_outcome *outcome) MUST_CHECK;
int azure_key_unwrap (const struct azure_key *key, const char *algorithm,
                      const struct wrap_blob *blob, size_t plain_size, uint64_t deadline_ms,
                      struct secret *ret_plain, struct kms_outcome *outcome) MUST_CHECK;

#endif
