/* One small volume with known key, uuid and token, for tests and fuzzers of the header. */
#ifndef TESTS_GOOD_VOLUME_H
#define TESTS_GOOD_VOLUME_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/header.h"

#define GOOD_UUID "11111111-2222-4333-8444-555555555555"
#define GOOD_BYTES (HEADER_DATA_OFFSET_BYTES + 65536)

/* Bytes that differ by `seed`: a test's key, of no worth. */
static inline int
good_key (uint8_t seed, struct secret *ret_key)
{
  if (secret_init (ret_key, VOLUME_KEY_SIZE, NULL) < 0)
    return -1;
  for (size_t i = 0; i < VOLUME_KEY_SIZE; i++)
    ret_key->bytes[i] = (uint8_t)(i * 7 + seed);
  return 0;
}

static inline void
good_wrap (struct wrap *wrap, uint32_t id, enum wrap_role role)
{
  memset (wrap, 0, sizeof *wrap);
  wrap->id = id;
  wrap->role = role;
  snprintf (wrap->key, sizeof wrap->key, "file:///keys/kek-%u", id);
  snprintf (wrap->key_version, sizeof wrap->key_version, "0123456789abcdef");
  snprintf (wrap->algorithm, sizeof wrap->algorithm, "HKDF-SHA256+A256KW");
  snprintf (wrap->created, sizeof wrap->created, "2026-01-01T00:00:00Z");
  wrap->wrapped.size = 72;
  wrap->probe.size = 40;
  for (size_t i = 0; i < 72; i++)
    wrap->wrapped.bytes[i] = (uint8_t)(i + id);
  for (size_t i = 0; i < 40; i++)
    wrap->probe.bytes[i] = (uint8_t)(2 * i + id);
  for (size_t i = 0; i < WRAP_DIGEST_SIZE; i++)
    wrap->probe_digest[i] = (uint8_t)(3 * i + id);
}

/* A primary and a secondary wrap, and one past KEK.  free it. */
static inline struct token *
good_token (void)
{
  struct token *token = calloc (1, sizeof *token);

  if (!token)
    return NULL;
  token->wrap_count = 2;
  good_wrap (&token->wraps[0], 1, WRAP_PRIMARY);
  good_wrap (&token->wraps[1], 2, WRAP_SECONDARY);
  token->past_count = 1;
  snprintf (token->history[0].key, sizeof token->history[0].key, "file:///keys/old");
  snprintf (token->history[0].key_version, sizeof token->history[0].key_version, "old");
  snprintf (token->history[0].from, sizeof token->history[0].from, "2025-01-01T00:00:00Z");
  snprintf (token->history[0].until, sizeof token->history[0].until, "2026-01-01T00:00:00Z");
  return token;
}

static inline int
good_volume (const char *path, const char *uuid, uint8_t key_seed, uint64_t bytes,
             uint32_t sector_size, struct error *err)
{
  const struct header_params params = {.uuid = uuid, .label = "good", .sector_size = sector_size};
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_CLOSE
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  if (fd < 0 || ftruncate (fd, (off_t)bytes) < 0 || !token || good_key (key_seed, &key) < 0)
    return error_set (err, ERROR_SYSTEM, "can't prepare %s", path);
  return header_create (path, &params, token, &key, err);
}

#endif
