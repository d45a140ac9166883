/* A key file in a folder of its own, and the outcome that is expected; for tests of file keys. */
#ifndef TESTS_KEY_FILE_H
#define TESTS_KEY_FILE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/io.h"
#include "kms/operations.h"

#define UUID "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER_UUID "01234567-89ab-cdef-0123-456789abcdee"
#define TIMEOUT_MS 60000

/* The KEK 00 01 … 1f wraps the volume key 01 04 07 … for UUID: made by `openssl kdf` and `openssl
 * enc`, and again by Python's hmac and cryptography, never by our code.
 */
#define KNOWN_WRAP                                                                           \
  "474d9285ce43452d98741e954e0b54fbb0c7883b8a4be5f2af9726b246086edb991b9c7c40632d05af635a26" \
  "ea8e8f372fa1cacdf693dd829eee4a48ba7413cb0cf1855c1d308d3b"
#define KNOWN_ID "8a3f8a68d1a7cbfc"
#define ALGORITHM "HKDF-SHA256+A256KW"

/* ---- a folder with a key file ---- */

struct fixture {
  char dir[40], path[60], uri[80];
  struct kms_request request;
  struct wrap wrap;
  struct kms_outcome outcome;
};

static inline void
write_key (const char *path, uint8_t first, uint8_t step, size_t size)
{
  uint8_t bytes[64];
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  assert_true (fd >= 0);
  assert_true (size <= sizeof bytes);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(first + step * i);
  assert_int_equal (write_full (fd, bytes, size), 0);
  assert_int_equal (fchmod (fd, 0600), 0);
  close (fd);
}

/* The frozen wrap, with a probe of no meaning. */
static inline void
fill_known_wrap (struct wrap *wrap, const char *uri)
{
  *wrap = (struct wrap){.key_version = KNOWN_ID, .algorithm = ALGORITHM};
  snprintf (wrap->key, sizeof wrap->key, "%s", uri);
  wrap->wrapped.size = 72;
  assert_int_equal (hex_decode (KNOWN_WRAP, wrap->wrapped.bytes, 72), 0);
}

static inline int
set_up (void **state)
{
  struct fixture *f = calloc (1, sizeof *f);

  snprintf (f->dir, sizeof f->dir, "/tmp/keyfence-test-XXXXXX");
  if (!mkdtemp (f->dir))
    return -1;
  snprintf (f->path, sizeof f->path, "%s/kek", f->dir);
  snprintf (f->uri, sizeof f->uri, "file://%s", f->path);
  write_key (f->path, 0, 1, 32);
  f->request = (struct kms_request){.key = f->uri, .volume = UUID, .timeout_ms = TIMEOUT_MS};
  fill_known_wrap (&f->wrap, f->uri);
  *state = f;
  return 0;
}

static inline int
tear_down (void **state)
{
  struct fixture *f = *state;
  char command[128];

  snprintf (command, sizeof command, "rm -rf '%s'", f->dir);
  (void)!system (command);
  free (f);
  return 0;
}

static inline void
assert_outcome (const struct kms_outcome *outcome, enum kms_class class, const char *reason)
{
  if (outcome->class != class || strcmp (outcome->reason, reason) != 0)
    fail_msg ("%s/%s instead of %s/%s: %s", kms_class_name (outcome->class), outcome->reason,
              kms_class_name (class), reason, outcome->text);
  if (class != KMS_OK)
    assert_true (strlen (outcome->text) > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

#endif
