/* What crypto/xts.h promises about the choice: no trust in a broken back end, and the names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wrap.h"
#include "crypto/xts-backend.h"
#include "crypto/xts.h"

/* ---- a broken library, as a double around the first back end ------------------------------- */

static enum fault {
  NO_FAULT,
  FLIPS_ENCRYPTED_BYTE,
  FLIPS_DECRYPTED_BYTE,
  FLIPS_LAST_BYTE_OF_RUN,
  DROPS_HIGH_TWEAK_BITS,
  COUNTS_SECTORS_NOT_UNITS,
  NEVER_ADVANCES,
  KEEPS_FIRST_TWEAK,
  FAILS,
  KNOWN_ANSWERS_FIND, /* all of the above */
  FORGETS_AFTER_64_SECTORS = KNOWN_ANSWERS_FIND,
  FAULTS
} fault;
static bool have_first;
static uint64_t first_seen;

static struct xts_context *
double_context_new (const struct secret *key, struct error *err)
{
  have_first = false;
  return xts_backends[0]->context_new (key, err);
}

static void
double_context_free (struct xts_context *context)
{
  xts_backends[0]->context_free (context);
}

static uint64_t
broken_tweak (uint64_t tweak, size_t sector_size, size_t i)
{
  if (!have_first) {
    first_seen = tweak;
    have_first = true;
  }
  if (fault == KEEPS_FIRST_TWEAK)
    tweak = first_seen;
  if (fault == DROPS_HIGH_TWEAK_BITS)
    tweak = (uint32_t)tweak;
  if (fault == NEVER_ADVANCES)
    return tweak;
  return tweak + i * (fault == COUNTS_SECTORS_NOT_UNITS ? 1 : sector_size / 512);
}

static int
double_crypt (bool encrypt, struct xts_context *context, uint64_t tweak, size_t sector_size,
              const uint8_t *in, uint8_t *out, size_t count)
{
  const struct xts_backend *real = xts_backends[0];
  size_t size = sector_size * count;

  for (size_t i = 0; i < count; i++)
    if ((encrypt ? real->encrypt : real->decrypt) (context, broken_tweak (tweak, sector_size, i),
                                                   sector_size, in + i * sector_size,
                                                   out + i * sector_size, 1)
        != 0)
      return -1;
  if (fault == (encrypt ? FLIPS_ENCRYPTED_BYTE : FLIPS_DECRYPTED_BYTE))
    out[size / 2] ^= 1;
  if (fault == FLIPS_LAST_BYTE_OF_RUN && count > 1)
    out[size - 1] ^= 0x80;
  if (fault == FORGETS_AFTER_64_SECTORS && count > 64)
    out[64 * sector_size] ^= 1;
  return fault == FAILS ? -1 : 0;
}

static int
double_encrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                const uint8_t *in, uint8_t *out, size_t count)
{
  return double_crypt (true, context, first_tweak, sector_size, in, out, count);
}

static int
double_decrypt (struct xts_context *context, uint64_t first_tweak, size_t sector_size,
                const uint8_t *in, uint8_t *out, size_t count)
{
  return double_crypt (false, context, first_tweak, sector_size, in, out, count);
}

static const struct xts_backend broken = {.name = "broken",
                                          .context_new = double_context_new,
                                          .context_free = double_context_free,
                                          .encrypt = double_encrypt,
                                          .decrypt = double_decrypt};

static void
a_back_end_with_any_fault_is_refused_and_named (void **state)
{
  (void)state;
  fault = NO_FAULT;
  assert_int_equal (xts_known_answers (&broken, NULL), 0);
  for (fault = NO_FAULT + 1; fault < KNOWN_ANSWERS_FIND; fault++) {
    struct error err = {0};

    assert_int_equal (xts_known_answers (&broken, &err), -1);
    assert_int_equal (err.class, ERROR_SYSTEM);
    assert_non_null (strstr (err.text, "crypto=broken"));
    assert_non_null (
        strstr (err.text, fault == FLIPS_DECRYPTED_BYTE ? "decryption" : "encryption"));
  }
}

static void
a_cross_check_finds_any_fault_and_names_the_back_end (void **state)
{
  (void)state;
  fault = NO_FAULT;
  assert_int_equal (xts_cross_check (&broken, &xts_openssl, NULL), 0);
  for (fault = NO_FAULT + 1; fault < FAULTS; fault++) {
    struct error err = {0};

    assert_int_equal (xts_cross_check (&broken, &xts_openssl, &err), -1);
    assert_int_equal (err.class, ERROR_SYSTEM);
    assert_non_null (strstr (err.text, "crypto=broken"));
  }
}

/* ---- the choice ---------------------------------------------------------------------------- */

static void
a_back_end_is_selected_by_name (void **state)
{
  const struct xts_backend *selected;

  (void)state;
  for (size_t i = 0; xts_backends[i]; i++) {
    if (xts_backends[i]->load (NULL) < 0)
      continue;
    selected = NULL;
    assert_int_equal (xts_select (xts_backends[i]->name, &selected, NULL), 0);
    assert_ptr_equal (selected, xts_backends[i]);
  }
}

/* ---- the cross check, which can be made to fail --------------------------------------------- */

int __real_xts_cross_check (const struct xts_backend *backend, const struct xts_backend *reference,
                            struct error *err);
int __wrap_xts_cross_check (const struct xts_backend *backend, const struct xts_backend *reference,
                            struct error *err);
static bool cross_checks_fail;

int
__wrap_xts_cross_check (const struct xts_backend *backend, const struct xts_backend *reference,
                        struct error *err)
{
  if (cross_checks_fail)
    return error_set (err, ERROR_SYSTEM, "made to fail");
  return __real_xts_cross_check (backend, reference, err);
}

static void
only_openssl_is_selected_where_the_others_disagree_with_it (void **state)
{
  const struct xts_backend *selected = NULL;

  (void)state;
  cross_checks_fail = true;
  for (size_t i = 1; xts_backends[i]; i++) {
    struct error err = {0};

    if (xts_backends[i]->load (NULL) < 0)
      continue;
    assert_int_equal (xts_select (xts_backends[i]->name, &selected, &err), -1);
    assert_string_equal (err.text, "made to fail");
  }
  assert_null (selected);
  assert_int_equal (xts_select ("auto", &selected, NULL), 0);
  assert_ptr_equal (selected, &xts_openssl);
  cross_checks_fail = false;
}

/* Under valgrind there are no vector AES instructions. */
static void
a_back_end_that_cannot_run_here_is_refused_with_the_reason (void **state)
{
  size_t missing = 0;

  (void)state;
  for (size_t i = 0; xts_backends[i]; i++) {
    const struct xts_backend *selected = NULL;
    CLEANUP_SECRET struct secret key = {0};
    struct error err = {0};

    if (xts_backends[i]->load (NULL) == 0)
      continue;
    missing++;
    assert_int_equal (xts_select (xts_backends[i]->name, &selected, &err), -1);
    assert_null (selected);
    assert_non_null (strstr (err.text, xts_backends[i]->name));
    assert_non_null (strstr (err.text, "crypto=auto"));
    assert_int_equal (secret_random (&key, VOLUME_KEY_SIZE, NULL), 0);
    assert_null (xts_backends[i]->context_new (&key, &err));
  }
  if (missing == 0) {
    print_message ("skipped: all back ends run on this machine\n");
    skip ();
  }
}

static void
auto_selects_a_back_end_that_has_been_proven (void **state)
{
  const struct xts_backend *selected = NULL;

  (void)state;
  assert_int_equal (xts_select ("auto", &selected, NULL), 0);
  assert_non_null (selected);
  assert_int_equal (xts_known_answers (selected, NULL), 0);
}

static void
an_unknown_name_is_refused_with_the_list_of_known_ones (void **state)
{
  const struct xts_backend *selected = NULL;
  struct error err = {0};

  (void)state;
  assert_int_equal (xts_select ("rot13", &selected, &err), -1);
  assert_int_equal (err.class, ERROR_USAGE);
  assert_null (selected);
  assert_non_null (strstr (err.text, "rot13"));
  assert_non_null (strstr (err.text, "auto"));
  for (size_t i = 0; xts_backends[i]; i++)
    assert_non_null (strstr (err.text, xts_backends[i]->name));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_back_end_with_any_fault_is_refused_and_named),
      cmocka_unit_test (a_cross_check_finds_any_fault_and_names_the_back_end),
      cmocka_unit_test (a_back_end_is_selected_by_name),
      cmocka_unit_test (a_back_end_that_cannot_run_here_is_refused_with_the_reason),
      cmocka_unit_test (only_openssl_is_selected_where_the_others_disagree_with_it),
      cmocka_unit_test (auto_selects_a_back_end_that_has_been_proven),
      cmocka_unit_test (an_unknown_name_is_refused_with_the_list_of_known_ones),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
