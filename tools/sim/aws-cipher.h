/* CiphertextBlobs of symmetric KMS keys.
 *
 * Ours are "KFS1", the key's id, the id of the material, a nonce, a tag and AES-256-GCM ciphertext;
 * the id's are bound too, and so is the encryption context, its pairs sorted by name.  As with the
 * real ones, nobody but the service looks inside.
 */
#ifndef SIM_AWS_CIPHER_H
#define SIM_AWS_CIPHER_H

#include "tools/sim/aws-keys.h"

#define AWS_BLOB_MAX 6144
#define AWS_PLAINTEXT_MAX 4096

/* `ret_blob` has AWS_BLOB_MAX bytes. */
void aws_seal (const struct aws_key *key, const struct json *context, const uint8_t *plaintext,
               size_t size, uint8_t *ret_blob, size_t *ret_size);

/* The id of the key that made the blob; -1 when it is none of ours. */
int aws_blob_key (const uint8_t *blob, size_t size, char *ret_id, size_t max) MUST_CHECK;

/* `ret` has AWS_PLAINTEXT_MAX bytes; *ret_material is the key's.  -1: another key, another
 * context, or a changed byte. */
int
aws_open (const struct aws_key *key, const struct json *context, const uint8_t *blob, size_t size,
          uint8_t *ret, size_t *ret_size, const struct aws_material **ret_material) MUST_CHECK;

#endif
