/* The keyfence token: the wraps and their history inside the LUKS2 header, as JSON, and the
 * canonical bytes over which the header's MAC is computed.  Nothing here is secret, nothing here
 * does I/O.
 *
 * The JSON is described in keyfence-volume(7).  It comes from an untrusted disk: unknown or
 * repeated members, wrong types, too many wraps, repeated ids and anything over its limit are
 * refused.
 */
#ifndef CRYPTO_TOKEN_H
#define CRYPTO_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/wrap.h"

#define TOKEN_TYPE "keyfence"
#define TOKEN_VERSION 1
#define TOKEN_WRAPS_MAX 5 /* one primary and four secondaries */
#define TOKEN_HISTORY_MAX 64
#define TOKEN_MAC_SIZE 32     /* HMAC-SHA-256 */
#define TOKEN_TEXT_MAX 131072 /* bytes of JSON */

/* A KEK that once wrapped this volume key: what older copies of the header need. */
struct token_past {
  char key[WRAP_KEY_MAX];
  char key_version[WRAP_VERSION_MAX];
  char from[WRAP_TIME_MAX], until[WRAP_TIME_MAX];
};

struct token {
  size_t wrap_count;
  struct wrap wraps[TOKEN_WRAPS_MAX];
  size_t past_count;
  struct token_past history[TOKEN_HISTORY_MAX];
  uint8_t mac[TOKEN_MAC_SIZE];
};

/* What of the LUKS2 header is bound by the MAC, besides the token. */
struct token_binding {
  const char *uuid;
  const char *cipher; /* "aes-xts-plain64" */
  uint32_t key_bits;  /* 512 */
  uint32_t sector_size;
  uint64_t data_offset_bytes;
  uint32_t segment_count; /* 1 */
};

/* A new token (on the heap: it is large) from the token's JSON text.  ERROR_FOREIGN for another
 * version, ERROR_CORRUPT for everything else that is wrong with it.
 */
int token_parse (const char *text, struct token **ret_token, struct error *err) MUST_CHECK;

/* The token's JSON in one line, a new string.  What token_parse would refuse is refused here too.
 */
int token_print (const struct token *token, char **ret_text, struct error *err) MUST_CHECK;

void token_free (struct token *token);
void cleanup_token (struct token **token);
#define CLEANUP_TOKEN CLEANUP (cleanup_token)

/* The wrap with role primary that comes first, or NULL (never for a token that was parsed). */
const struct wrap *token_primary (const struct token *token);

/* The canonical form: new bytes on the heap, the same for equal contents whatever the JSON's
 * layout.  Every number is 8 bytes, little endian; every text and blob is its length (a number) and
 * its bytes.  In order: the text "keyfence header v1", the token's version; uuid, cipher, key bits,
 * sector size, data offset in bytes, segment count; the number of wraps and of each id, role, key,
 * key_version, algorithm, wrapped, probe, probe_digest, created; the number of history entries and
 * of each key, key_version, from, until.
 */
int token_canonical (const struct token *token, const struct token_binding *binding,
                     uint8_t **ret_bytes, size_t *ret_size, struct error *err) MUST_CHECK;

#endif
