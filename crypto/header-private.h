/* What header.c (reading) and header-write.c share.  Not for others. */
#ifndef CRYPTO_HEADER_PRIVATE_H
#define CRYPTO_HEADER_PRIVATE_H

#include <stdbool.h>

#include "crypto/header.h"
#include "crypto/profile.h"

struct header {
  struct header_info info;
  struct profile profile;
  struct token *token; /* NULL: there is none */
  char *path;          /* for messages */
  char *json;          /* the metadata as libcryptsetup prints them */
};

/* The MAC of `token` in a header of this uuid and geometry. */
int header_mac (const struct token *token, const char *uuid, uint32_t sector_size,
                uint64_t data_offset_bytes, const struct secret *volume_key,
                uint8_t ret_mac[TOKEN_MAC_SIZE], struct error *err) MUST_CHECK;

/* ERROR_CORRUPT unless it has the right size and unequal halves. */
int header_check_key (const struct secret *volume_key, struct error *err) MUST_CHECK;

#endif
