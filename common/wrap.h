/* A wrap: the volume key encrypted by one KEK, with the probe that proves access to that KEK.
 *
 * It is what the header's token stores (crypto/token.h) and what a key service makes (kms/).
 * Nothing in it is secret.  Limits come from the services: an AWS CiphertextBlob has at most 6144
 * bytes, a Key Vault RSA-4096 result 512; key ARNs and Key Vault ids stay below 512 characters.
 */
#ifndef COMMON_WRAP_H
#define COMMON_WRAP_H

#include <stddef.h>
#include <stdint.h>

#define WRAP_KEY_MAX 512 /* with the NUL, as the three below */
#define WRAP_VERSION_MAX 256
#define WRAP_ALGORITHM_MAX 64
#define WRAP_TIME_MAX 32
#define WRAP_BLOB_MAX 6144
#define WRAP_DIGEST_SIZE 32 /* SHA-256 */
#define VOLUME_KEY_SIZE 64  /* AES-256-XTS: two 32-byte halves */
#define PROBE_SIZE 32

enum wrap_role { WRAP_PRIMARY, WRAP_SECONDARY };

struct wrap_blob {
  size_t size;
  uint8_t bytes[WRAP_BLOB_MAX];
};

struct wrap {
  uint32_t id; /* unique in its token, from 1 */
  enum wrap_role role;
  char key[WRAP_KEY_MAX];                 /* as the user names it: file:///… */
  char key_version[WRAP_VERSION_MAX];     /* what the service says it wrapped with; may be empty */
  char algorithm[WRAP_ALGORITHM_MAX];     /* the service's name of it */
  struct wrap_blob wrapped;               /* the volume key */
  struct wrap_blob probe;                 /* 32 random bytes */
  uint8_t probe_digest[WRAP_DIGEST_SIZE]; /* SHA-256 of those */
  char created[WRAP_TIME_MAX];            /* 2026-01-01T00:00:00Z */
};

#endif
