/* Operations on keys, one a line, for the tests of key services:
 *
 *   kms-call AGENT|@SOCKET TIMEOUT_MS
 *
 * (SOCKET: where an agent listens) reads commands from standard input and answers each with one
 * line, "CLASS REASON MS REQUEST_ID TEXT" (an empty word is a "-").  One agent serves them all, so
 * that what it keeps is kept.
 *
 *   generate KEY FILE    a new volume key; its wrap goes into FILE
 *   wrap KEY FILE        the same for a volume key that is there (64 bytes, all 07)
 *   check FILE           the probe of that wrap
 *   unwrap FILE          its volume key, which must be the one of generate or wrap
 *   check-fresh FILE, unwrap-fresh FILE
 *                        the same with credentials fetched anew
 *   expiry FILE          TEXT is when its key expires, as Unix time; 0: never
 *   show FILE            TEXT is "KEY VERSION ALGORITHM BASE64", the wrap itself
 *   open KEY VERSION ALGORITHM BASE64
 *                        somebody else's wrap of 64 bytes; TEXT is their SHA-256
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/encode.h"
#include "common/io.h"
#include "kms/client.h"

#define VOLUME "01234567-89ab-cdef-0123-456789abcdef"
#define LINE_BYTES 2048

struct session {
  struct kms_client *client;
  uint32_t timeout_ms;
};

/* The wrap, and behind it the digest of its volume key. */
struct stored {
  struct wrap wrap;
  uint8_t digest[32];
};

static void
save (const char *path, const struct stored *stored)
{
  CLEANUP_FCLOSE FILE *f = fopen (path, "wb");

  if (!f || fwrite (stored, sizeof *stored, 1, f) != 1) {
    perror (path);
    exit (2);
  }
}

static void
load (const char *path, struct stored *stored)
{
  CLEANUP_FCLOSE FILE *f = fopen (path, "rb");

  if (!f || fread (stored, sizeof *stored, 1, f) != 1) {
    perror (path);
    exit (2);
  }
}

static int
make (const struct session *s, bool generate, const char *key, const char *path,
      struct kms_outcome *outcome)
{
  static struct stored stored;
  CLEANUP_SECRET struct secret volume_key = {0};
  struct error err;
  int r;

  if (generate)
    r = kms_client_generate (s->client, key, VOLUME, s->timeout_ms, &volume_key, &stored.wrap,
                             outcome);
  else if (secret_init (&volume_key, VOLUME_KEY_SIZE, &err) < 0)
    exit (2);
  else {
    memset (volume_key.bytes, 7, volume_key.size);
    r = kms_client_wrap (s->client, key, VOLUME, &volume_key, s->timeout_ms, &stored.wrap, outcome);
  }
  if (r < 0)
    return r;
  if (secret_sha256 (&volume_key, stored.digest) < 0)
    exit (2);
  save (path, &stored);
  return 0;
}

static int
unwrap (const struct session *s, bool fresh, const char *path, struct kms_outcome *outcome)
{
  static struct stored stored;
  CLEANUP_SECRET struct secret volume_key = {0};
  uint8_t digest[32];

  load (path, &stored);
  if (kms_client_unwrap (s->client, &stored.wrap, VOLUME, fresh, s->timeout_ms, &volume_key,
                         outcome)
      < 0)
    return -1;
  if (secret_sha256 (&volume_key, digest) < 0)
    exit (2);
  if (memcmp (digest, stored.digest, sizeof digest) != 0)
    return kms_outcome_set (outcome, KMS_CORRUPT, "other_key", "another key came back");
  return 0;
}

static int
check (const struct session *s, bool fresh, const char *path, struct kms_outcome *outcome)
{
  static struct stored stored;

  load (path, &stored);
  return kms_client_check (s->client, &stored.wrap, VOLUME, fresh, s->timeout_ms, outcome);
}

static int
expiry (const struct session *s, const char *path, struct kms_outcome *outcome)
{
  static struct stored stored;
  int64_t expires_s;

  load (path, &stored);
  if (kms_client_expiry (s->client, &stored.wrap, VOLUME, s->timeout_ms, &expires_s, outcome) < 0)
    return -1;
  return kms_outcome_set (outcome, KMS_OK, "", "%lld", (long long)expires_s);
}

static void
show (const char *path, struct kms_outcome *outcome)
{
  static struct stored stored;
  CLEANUP_FREE char *text = NULL;

  load (path, &stored);
  text = base64_encode (stored.wrap.wrapped.bytes, stored.wrap.wrapped.size);
  if (!text)
    exit (2);
  /* Longer than an outcome's text may be, so it is printed here. */
  printf ("ok - 0 - %s %s %s %s\n", stored.wrap.key,
          *stored.wrap.key_version ? stored.wrap.key_version : "-", stored.wrap.algorithm, text);
  fflush (stdout);
  outcome->class = KMS_OK;
}

static int
open_foreign (const struct session *s, const char *line, struct kms_outcome *outcome)
{
  static struct wrap wrap;
  static char text[LINE_BYTES];
  CLEANUP_SECRET struct secret volume_key = {0};
  uint8_t digest[32];
  char hex[65];

  memset (&wrap, 0, sizeof wrap);
  if (sscanf (line, "%*s %511s %255s %63s %2047s", wrap.key, wrap.key_version, wrap.algorithm, text)
          != 4
      || base64_decode (text, wrap.wrapped.bytes, WRAP_BLOB_MAX, &wrap.wrapped.size) < 0)
    exit (2);
  if (strcmp (wrap.key_version, "-") == 0)
    wrap.key_version[0] = '\0';
  if (kms_client_unwrap (s->client, &wrap, VOLUME, false, s->timeout_ms, &volume_key, outcome) < 0)
    return -1;
  if (secret_sha256 (&volume_key, digest) < 0)
    exit (2);
  hex_encode (digest, sizeof digest, hex);
  return kms_outcome_set (outcome, KMS_OK, "", "%s", hex);
}

static void
run (const struct session *s, const char *line)
{
  struct kms_outcome outcome = {0};
  char command[20] = "", first[600] = "", second[600] = "";
  uint64_t start_ms = clock_ms ();

  if (sscanf (line, "%19s %599s %599s", command, first, second) < 2)
    exit (2);
  if (strcmp (command, "show") == 0) {
    show (first, &outcome);
    return;
  }
  if (strcmp (command, "open") == 0)
    (void)!open_foreign (s, line, &outcome);
  else if (strcmp (command, "check") == 0)
    (void)!check (s, false, first, &outcome);
  else if (strcmp (command, "check-fresh") == 0)
    (void)!check (s, true, first, &outcome);
  else if (strcmp (command, "unwrap") == 0)
    (void)!unwrap (s, false, first, &outcome);
  else if (strcmp (command, "unwrap-fresh") == 0)
    (void)!unwrap (s, true, first, &outcome);
  else if (strcmp (command, "expiry") == 0)
    (void)!expiry (s, first, &outcome);
  else
    (void)!make (s, strcmp (command, "generate") == 0, first, second, &outcome);
  printf ("%s %s %u %s %s\n", kms_class_name (outcome.class),
          *outcome.reason ? outcome.reason : "-", (unsigned)(clock_ms () - start_ms),
          *outcome.request_id ? outcome.request_id : "-", outcome.text);
  fflush (stdout);
}

static int
reach (const char *agent, struct kms_client **ret_client)
{
  struct error err;

  return agent[0] == '@' ? kms_client_new_at (agent + 1, ret_client, &err)
                         : kms_client_new (agent, ret_client, &err);
}

int
main (int argc, char *argv[])
{
  CLEANUP_KMS_CLIENT struct kms_client *client = NULL;
  struct session s;
  char line[LINE_BYTES];

  if (argc != 3 || reach (argv[1], &client) < 0) {
    fprintf (stderr, "usage: kms-call AGENT TIMEOUT_MS\n");
    return 2;
  }
  s = (struct session){client, (uint32_t)atoi (argv[2])};
  while (fgets (line, sizeof line, stdin))
    run (&s, line);
  return 0;
}
