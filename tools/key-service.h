/* The subcommands' way to a key service: an agent of their own, patient time-outs, a progress line,
 * and outcomes as errors.
 */
#ifndef TOOLS_KEY_SERVICE_H
#define TOOLS_KEY_SERVICE_H

#include "common/cleanup.h"
#include "common/error.h"
#include "common/wrap.h"
#include "crypto/header.h"
#include "crypto/secret.h"
#include "crypto/token.h"
#include "kms/client.h"

#define KEY_SERVICE_TIMEOUT_MS 30000

int key_service_open (struct kms_client **ret_client, struct error *err) MUST_CHECK;

/* A new token with one primary wrap: of a new volume key when *volume_key is empty (it is filled
 * in), else of that one.
 */
int key_service_token (struct kms_client *client, const char *key, const char *uuid,
                       struct secret *volume_key, struct token **ret_token, struct error *err)
    MUST_CHECK;

/* One more wrap of the token's volume key, role secondary, with the next id.  ERROR_USAGE when the
 * key is one that the token has already, by whatever name.
 */
int key_service_add_secondary (struct kms_client *client, const char *key, const char *uuid,
                               const struct secret *volume_key, struct token *token,
                               struct error *err) MUST_CHECK;

/* Reads the header back from the disk, unwraps the volume key anew by each of its wraps, and
 * verifies the one with the other.  `uuid` is what must be found.
 */
int key_service_prove (struct kms_client *client, int fd, const char *path, const char *uuid,
                       struct error *err) MUST_CHECK;

#endif
