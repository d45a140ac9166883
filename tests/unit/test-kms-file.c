/* What file keys promise: one frozen algorithm, one reason for each way to lose a key. */
#undef _FORTIFY_SOURCE /* which makes an inline function of pread, that is defined here */
#include "tests/unit/key-file.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* ---- faults: the linker takes this pread for all of the program's ---- */

static int pread_errno; /* given once, then cleared; -1: end of file */

ssize_t
pread (int fd, void *buf, size_t size, off_t offset)
{
  if (pread_errno != 0) {
    errno = pread_errno;
    pread_errno = 0;
    return errno < 0 ? 0 : -1;
  }
  return syscall (SYS_pread64, fd, buf, size, offset);
}

/* Unwraps the known wrap as it is now. */
static int
unwrap (struct fixture *f)
{
  CLEANUP_SECRET struct secret key = {0};
  int r = operation_unwrap (&f->request, &f->wrap, &key, &f->outcome);

  assert_true (r == 0 ? key.size == VOLUME_KEY_SIZE : key.bytes == NULL);
  return r;
}

static void
assert_lost (struct fixture *f, enum kms_class class, const char *reason)
{
  assert_int_equal (unwrap (f), -1);
  assert_outcome (&f->outcome, class, reason);
}

/* ---- the algorithm ---- */

static void
a_wrap_made_by_other_tools_opens_to_the_same_key (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0};

  assert_int_equal (operation_unwrap (&f->request, &f->wrap, &key, &f->outcome), 0);
  assert_outcome (&f->outcome, KMS_OK, "");
  assert_int_equal (key.size, 64);
  for (size_t i = 0; i < key.size; i++)
    assert_int_equal (key.bytes[i], (i * 3 + 1) & 255);
}

static void
wrapping_gives_the_frozen_bytes (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0};
  struct wrap wrap;
  char hex[145];

  assert_int_equal (secret_init (&key, 64, NULL), 0);
  for (size_t i = 0; i < 64; i++)
    key.bytes[i] = (uint8_t)(i * 3 + 1);
  assert_int_equal (operation_wrap (&f->request, &key, &wrap, &f->outcome), 0);
  assert_int_equal (wrap.wrapped.size, 72);
  hex_encode (wrap.wrapped.bytes, 72, hex);
  assert_string_equal (hex, KNOWN_WRAP);
  assert_string_equal (wrap.key_version, KNOWN_ID);
  assert_string_equal (wrap.algorithm, ALGORITHM);
  assert_string_equal (wrap.key, f->uri);
}

static void
a_generated_key_comes_with_a_wrap_that_opens_to_it_and_a_probe_that_checks (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0}, again = {0}, other = {0};
  struct wrap wrap, other_wrap;

  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), 0);
  assert_int_equal (key.size, VOLUME_KEY_SIZE);
  assert_int_equal (wrap.id, 0);
  assert_int_equal (strlen (wrap.created), strlen ("2026-01-01T00:00:00Z"));
  assert_int_equal (operation_check (&f->request, &wrap, &f->outcome), 0);
  assert_int_equal (operation_unwrap (&f->request, &wrap, &again, &f->outcome), 0);
  assert_true (secret_equal (&key, &again));
  assert_int_equal (operation_generate (&f->request, &other, &other_wrap, &f->outcome), 0);
  assert_false (secret_equal (&key, &other));
  assert_memory_not_equal (wrap.probe_digest, other_wrap.probe_digest, WRAP_DIGEST_SIZE);
}

/* Runs the commands of keyfence-volume(7) in the fixture's folder. */
static const char openssl_script[] =
    "cd \"$1\" && kek=$(od -An -tx1 -v kek | tr -d ' \\n') &&\n"
    "key=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:$kek -kdfopt salt:$2 \\\n"
    "  -kdfopt info:'keyfence file wrap v1' -binary HKDF | od -An -tx1 -v | tr -d ' \\n') &&\n"
    "openssl enc -d -id-aes256-wrap -K $key -iv A6A6A6A6A6A6A6A6 -in wrapped -out opened &&\n"
    "printf 'keyfence file kek id' |\n"
    "  openssl mac -digest SHA256 -macopt hexkey:$kek -out id HMAC\n";

static void
run_openssl (const struct fixture *f)
{
  char command[sizeof openssl_script + 256];

  if (system ("openssl version 2>/dev/null | grep -q 'OpenSSL 3'") != 0) {
    print_message ("skipped: there is no openssl 3 program\n");
    skip ();
  }
  snprintf (command, sizeof command, "set -- '%s' '%s'; %s", f->dir, f->request.volume,
            openssl_script);
  assert_int_equal (system (command), 0);
}

static void
the_openssl_program_opens_our_wrap (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0}, opened = {0};
  CLEANUP_FREE char *id = NULL;
  char path[160];
  struct wrap wrap;
  int fd;

  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), 0);
  snprintf (path, sizeof path, "%s/wrapped", f->dir);
  fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal (write_full (fd, wrap.wrapped.bytes, wrap.wrapped.size), 0);
  close (fd);
  run_openssl (f);
  snprintf (path, sizeof path, "%s/opened", f->dir);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  assert_int_equal (secret_init (&opened, 64, NULL), 0);
  assert_int_equal (pread_full (fd, opened.bytes, 64, 0), 0);
  close (fd);
  assert_true (secret_equal (&key, &opened));
  snprintf (path, sizeof path, "%s/id", f->dir);
  assert_int_equal (read_file (path, 100, &id, NULL), 0);
  assert_int_equal (strncasecmp (id, wrap.key_version, 16), 0);
}

/* ---- every way to lose a key ---- */

static void
a_missing_file_is_denied_and_the_advice_is_to_put_it_back (void **state)
{
  struct fixture *f = *state;

  unlink (f->path);
  assert_lost (f, KMS_DENIED, "not_found");
  assert_non_null (strstr (f->outcome.text, f->path));
  assert_non_null (strstr (f->outcome.text, "put back"));
  assert_null (strstr (f->outcome.text, "urandom"));
  f->request.key = "file:///dev/null/kek";
  assert_lost (f, KMS_DENIED, "not_found");
}

static void
a_missing_file_for_a_new_volume_comes_with_the_command_that_makes_one (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0};
  char command[256];
  struct wrap wrap;

  unlink (f->path);
  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_CONFIG, "not_found");
  snprintf (command, sizeof command, "(umask 077; head -c 32 /dev/urandom > %s)", f->path);
  assert_non_null (strstr (f->outcome.text, command));
  assert_int_equal (system (command), 0);
  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), 0);
}

static void
a_mode_that_lets_others_in_is_denied (void **state)
{
  static const mode_t open_modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666, 0777};
  struct fixture *f = *state;

  for (size_t i = 0; i < ARRAY_SIZE (open_modes); i++) {
    chmod (f->path, open_modes[i]);
    assert_lost (f, KMS_DENIED, "permission");
    assert_non_null (strstr (f->outcome.text, "chmod 600 "));
  }
  chmod (f->path, 0400);
  assert_int_equal (unwrap (f), 0);
}

static void
an_owner_that_is_neither_root_nor_us_is_denied (void **state)
{
  struct fixture *f = *state;

  if (geteuid () != 0) {
    print_message ("skipped: only root can give a file away\n");
    skip ();
  }
  assert_int_equal (chown (f->path, 65534, 65534), 0);
  assert_lost (f, KMS_DENIED, "permission");
  assert_non_null (strstr (f->outcome.text, "65534"));
}

static void
a_file_that_may_not_be_read_is_denied (void **state)
{
  struct fixture *f = *state;
  bool root = geteuid () == 0;

  assert_int_equal (chmod (f->dir, root ? 0755 : 0000), 0);
  assert_int_equal (root ? seteuid (65534) : 0, 0);
  assert_int_equal (unwrap (f), -1);
  assert_int_equal (root ? seteuid (0) : 0, 0);
  assert_int_equal (chmod (f->dir, 0700), 0);
  assert_outcome (&f->outcome, KMS_DENIED, "permission");
}

static void
another_key_is_told_from_a_damaged_wrap (void **state)
{
  struct fixture *f = *state;

  write_key (f->path, 1, 1, 32);
  assert_lost (f, KMS_DENIED, "wrong_key");
  write_key (f->path, 0, 1, 32);
  assert_int_equal (unwrap (f), 0);
}

static void
another_size_is_no_key (void **state)
{
  static const size_t sizes[] = {0, 31, 33, 64};
  struct fixture *f = *state;

  for (size_t i = 0; i < ARRAY_SIZE (sizes); i++) {
    write_key (f->path, 0, 1, sizes[i]);
    assert_lost (f, KMS_DENIED, "bad_key");
  }
}

static void
what_is_not_a_regular_file_is_no_key_and_never_blocks (void **state)
{
  struct fixture *f = *state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  unlink (f->path);
  assert_int_equal (mkdir (f->path, 0700), 0);
  assert_lost (f, KMS_DENIED, "bad_key");
  rmdir (f->path);
  assert_int_equal (mkfifo (f->path, 0600), 0);
  assert_lost (f, KMS_DENIED, "bad_key");
  unlink (f->path);
  snprintf (address.sun_path, sizeof address.sun_path, "%s", f->path);
  assert_int_equal (bind (fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_lost (f, KMS_DENIED, "bad_key");
  close (fd);
  f->request.key = "file:///dev/zero";
  assert_lost (f, KMS_DENIED, "bad_key");
}

static void
a_symbolic_link_is_followed_and_what_it_leads_to_is_judged (void **state)
{
  struct fixture *f = *state;
  char target[160];

  snprintf (target, sizeof target, "%s/target", f->dir);
  assert_int_equal (rename (f->path, target), 0);
  assert_int_equal (symlink ("target", f->path), 0);
  assert_int_equal (unwrap (f), 0);
  chmod (target, 0644);
  assert_lost (f, KMS_DENIED, "permission");
  unlink (f->path);
  assert_int_equal (symlink (f->path, f->path), 0);
  assert_lost (f, KMS_DENIED, "not_found");
}

static void
a_disk_that_fails_is_an_outage (void **state)
{
  static const int errors[] = {EIO, ESTALE, ETIMEDOUT, ENOMEM};
  struct fixture *f = *state;

  for (size_t i = 0; i < ARRAY_SIZE (errors); i++) {
    pread_errno = errors[i];
    assert_lost (f, KMS_OUTAGE, "read_error");
    assert_non_null (strstr (f->outcome.text, strerrordesc_np (errors[i])));
  }
  assert_int_equal (unwrap (f), 0);
}

static void
a_file_that_shrinks_while_it_is_read_is_no_key (void **state)
{
  struct fixture *f = *state;

  pread_errno = -1;
  assert_lost (f, KMS_DENIED, "bad_key");
}

static void
a_process_without_descriptors_is_an_outage (void **state)
{
  struct fixture *f = *state;
  struct rlimit old, none;

  getrlimit (RLIMIT_NOFILE, &old);
  none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
  setrlimit (RLIMIT_NOFILE, &none);
  assert_int_equal (unwrap (f), -1);
  setrlimit (RLIMIT_NOFILE, &old);
  assert_outcome (&f->outcome, KMS_OUTAGE, "read_error");
}

static void
every_flipped_bit_of_a_wrap_is_refused_as_corrupt (void **state)
{
  struct fixture *f = *state;

  for (size_t bit = 0; bit < 8 * f->wrap.wrapped.size; bit++) {
    f->wrap.wrapped.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_lost (f, KMS_CORRUPT, "bad_wrap");
    f->wrap.wrapped.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  assert_int_equal (unwrap (f), 0);
}

static void
a_wrap_of_another_length_is_refused_as_corrupt (void **state)
{
  static const size_t sizes[] = {0, 1, 8, 40, 64, 71, 73, 80, WRAP_BLOB_MAX};
  struct fixture *f = *state;

  for (size_t i = 0; i < ARRAY_SIZE (sizes); i++) {
    f->wrap.wrapped.size = sizes[i];
    assert_lost (f, KMS_CORRUPT, "bad_wrap");
  }
}

static void
a_wrap_opens_for_its_own_volume_only (void **state)
{
  struct fixture *f = *state;

  f->request.volume = OTHER_UUID;
  assert_lost (f, KMS_CORRUPT, "bad_wrap");
}

static void
an_algorithm_that_we_do_not_have_is_named (void **state)
{
  struct fixture *f = *state;

  snprintf (f->wrap.algorithm, sizeof f->wrap.algorithm, "ROT13");
  assert_lost (f, KMS_CONFIG, "bad_algorithm");
  assert_non_null (strstr (f->outcome.text, "ROT13"));
}

static void
a_check_fails_when_probe_or_digest_was_changed (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0}, other_key = {0};
  struct wrap wrap, other;

  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), 0);
  assert_int_equal (operation_generate (&f->request, &other_key, &other, &f->outcome), 0);
  for (size_t i = 0; i < WRAP_DIGEST_SIZE; i++) {
    wrap.probe_digest[i] ^= 1;
    assert_int_equal (operation_check (&f->request, &wrap, &f->outcome), -1);
    assert_outcome (&f->outcome, KMS_CORRUPT, "bad_wrap");
    wrap.probe_digest[i] ^= 1;
  }
  wrap.probe.bytes[5] ^= 1;
  assert_int_equal (operation_check (&f->request, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_CORRUPT, "bad_wrap");
  wrap.probe = other.probe; /* a good one, of another wrap */
  assert_int_equal (operation_check (&f->request, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_CORRUPT, "bad_wrap");
}

static void
a_check_is_denied_for_the_same_reasons_as_an_unwrap (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0};
  struct wrap wrap;

  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), 0);
  write_key (f->path, 1, 1, 32);
  assert_int_equal (operation_check (&f->request, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_DENIED, "wrong_key");
  unlink (f->path);
  assert_int_equal (operation_check (&f->request, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_DENIED, "not_found");
}

static void
a_key_of_one_byte_repeated_wraps_nothing_new (void **state)
{
  struct fixture *f = *state;
  CLEANUP_SECRET struct secret key = {0};
  struct wrap wrap;

  write_key (f->path, 0x41, 0, 32);
  assert_int_equal (operation_generate (&f->request, &key, &wrap, &f->outcome), -1);
  assert_outcome (&f->outcome, KMS_DENIED, "bad_key");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_wrap_made_by_other_tools_opens_to_the_same_key),
      TEST (wrapping_gives_the_frozen_bytes),
      TEST (a_generated_key_comes_with_a_wrap_that_opens_to_it_and_a_probe_that_checks),
      TEST (the_openssl_program_opens_our_wrap),
      TEST (a_missing_file_is_denied_and_the_advice_is_to_put_it_back),
      TEST (a_missing_file_for_a_new_volume_comes_with_the_command_that_makes_one),
      TEST (a_mode_that_lets_others_in_is_denied),
      TEST (an_owner_that_is_neither_root_nor_us_is_denied),
      TEST (a_file_that_may_not_be_read_is_denied),
      TEST (another_key_is_told_from_a_damaged_wrap),
      TEST (another_size_is_no_key),
      TEST (what_is_not_a_regular_file_is_no_key_and_never_blocks),
      TEST (a_symbolic_link_is_followed_and_what_it_leads_to_is_judged),
      TEST (a_disk_that_fails_is_an_outage),
      TEST (a_file_that_shrinks_while_it_is_read_is_no_key),
      TEST (a_process_without_descriptors_is_an_outage),
      TEST (every_flipped_bit_of_a_wrap_is_refused_as_corrupt),
      TEST (a_wrap_of_another_length_is_refused_as_corrupt),
      TEST (a_wrap_opens_for_its_own_volume_only),
      TEST (an_algorithm_that_we_do_not_have_is_named),
      TEST (a_check_fails_when_probe_or_digest_was_changed),
      TEST (a_check_is_denied_for_the_same_reasons_as_an_unwrap),
      TEST (a_key_of_one_byte_repeated_wraps_nothing_new),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
