/* What changing a header promises: adoption, passphrases, backup, restore, destroying. */
#include <sys/stat.h>

#include "tests/unit/header-helpers.h"

#define FAST_LUKS2                                                                 \
  "cryptsetup luksFormat -q --type luks2 --cipher aes-xts-plain64 --key-size 512 " \
  "--sector-size 4096 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file pass "

static void
secret_of (const char *text, struct secret *ret)
{
  assert_int_equal (secret_init (ret, strlen (text), NULL), 0);
  for (size_t i = 0; text[i]; i++)
    ret->bytes[i] = (uint8_t)text[i];
}

/* ---- adoption: a volume that cryptsetup made
 * ---------------------------------------------------*/

static void
make_luks2 (const char *options)
{
  char command[512];

  write_text ("pass", "correct horse");
  write_text ("luks", "");
  assert_int_equal (truncate ("luks", 20 << 20), 0);
  snprintf (command, sizeof command, FAST_LUKS2 "%s luks", options);
  assert_runs (command);
}

static void
adopt (const char *path, struct secret *ret_key)
{
  CLEANUP_SECRET struct secret passphrase = {0};
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};

  secret_of ("correct horse", &passphrase);
  if (load (path, false, &header, &err) < 0 || header_unlock (path, &passphrase, ret_key, &err) < 0
      || header_verify_digest (header, ret_key, &err) < 0
      || header_set_token (path, header_info (header)->uuid, token, ret_key, &err) < 0)
    fail_msg ("%s", err.text);
}

static void
a_volume_of_luksformat_becomes_ours_and_stays_cryptsetups (void **state)
{
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};

  (void)state;
  make_luks2 ("--label theirs");
  assert_int_equal (load ("luks", true, &header, &err), -1);
  assert_string_equal (err.text,
                       "luks: a LUKS2 volume without a keyfence token: no key service has its key");
  adopt ("luks", &key);
  header = load_good ("luks");
  assert_int_equal (header_verify (header, &key, NULL), 0);
  assert_int_equal (header_info (header)->data_offset_bytes, 16 << 20);
  assert_int_equal (header_info (header)->keyslot_count, 1);
  assert_string_equal (header_info (header)->label, "theirs");
  assert_string_equal (header_info (header)->subsystem, "keyfence");
  assert_runs ("cryptsetup open --test-passphrase --key-file pass luks");
}

static void
the_digest_that_luksformat_benchmarked_is_within_the_profile (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};

  (void)state;
  write_text ("pass", "correct horse");
  write_text ("luks", "");
  assert_int_equal (truncate ("luks", 20 << 20), 0);
  assert_runs ("cryptsetup luksFormat -q --type luks2 --cipher aes-xts-plain64 --key-size 512 "
               "--sector-size 4096 --iter-time 10 --hash sha512 --key-file pass luks");
  if (load ("luks", false, &header, &err) < 0)
    fail_msg ("%s", err.text);
  assert_true (header_info (header)->digest_iterations >= 1000);
}

static void
setting_the_token_again_replaces_it_and_leaves_other_tokens (void **state)
{
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_HEADER struct header *before = NULL;
  CLEANUP_HEADER struct header *after = NULL;
  struct error err = {0};

  (void)state;
  make_luks2 ("");
  write_text ("foreign", "{\"type\":\"somebody-else\",\"keyslots\":[],\"x\":[1,2]}");
  assert_runs ("cryptsetup token import --json-file foreign luks");
  adopt ("luks", &key);
  before = load_good ("luks");
  token->wrap_count = 1;
  if (header_set_token ("luks", header_info (before)->uuid, token, &key, &err) < 0)
    fail_msg ("%s", err.text);
  after = load_good ("luks");
  assert_int_equal (header_token (before)->wrap_count, 2);
  assert_int_equal (header_token (after)->wrap_count, 1);
  assert_int_equal (header_verify (after, &key, NULL), 0);
  assert_runs ("cryptsetup token export --token-id 0 luks");
  assert_non_null (strstr (output (), "\"somebody-else\""));
}

static void
the_token_is_set_only_on_the_volume_meant_and_with_its_key (void **state)
{
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_SECRET struct secret other = {0};
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_runs ("cp v before");
  assert_int_equal (good_key (KEY_SEED, &key), 0);
  assert_int_equal (good_key (KEY_SEED + 1, &other), 0);
  assert_refused (header_set_token ("v", OTHER_UUID, token, &key, &err), &err, ERROR_FOREIGN,
                  "v: it holds volume " GOOD_UUID ", expected " OTHER_UUID);
  assert_refused (header_set_token ("v", GOOD_UUID, token, &other, &err), &err, ERROR_CORRUPT,
                  "v: the key is not volume " GOOD_UUID "'s: the LUKS2 digest does not match it");
  token->wraps[0].id = token->wraps[1].id;
  assert_int_equal (header_set_token ("v", GOOD_UUID, token, &key, &err), -1);
  assert_runs ("cmp v before");
}

/* ---- passphrases
 * -------------------------------------------------------------------------------*/

static void
a_recovery_passphrase_opens_the_volume_for_us_and_for_cryptsetup (void **state)
{
  CLEANUP_SECRET struct secret key = {0};
  CLEANUP_SECRET struct secret passphrase = {0};
  CLEANUP_SECRET struct secret opened = {0};
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_int_equal (good_key (KEY_SEED, &key), 0);
  secret_of ("battery staple", &passphrase);
  if (header_add_passphrase ("v", &passphrase, &key, &err) < 0
      || header_unlock ("v", &passphrase, &opened, &err) < 0)
    fail_msg ("%s", err.text);
  assert_true (secret_equal (&key, &opened));
  write_text ("pass", "battery staple");
  assert_runs ("cryptsetup open --test-passphrase --key-file pass v");
  assert_verifies ("v", KEY_SEED);
}

static void
a_wrong_passphrase_is_denied (void **state)
{
  CLEANUP_SECRET struct secret passphrase = {0};
  CLEANUP_SECRET struct secret opened = {0};
  struct error err = {0};

  (void)state;
  make_luks2 ("");
  make_good ("v", GOOD_UUID);
  secret_of ("wrong horse", &passphrase);
  assert_refused (header_unlock ("luks", &passphrase, &opened, &err), &err, ERROR_DENIED,
                  "luks: the passphrase fits none of its keyslots");
  assert_refused (header_unlock ("v", &passphrase, &opened, &err), &err, ERROR_DENIED,
                  "v: it has no keyslot: no passphrase opens it");
  assert_null (opened.bytes);
}

static void
unlocking_a_damaged_volume_leaves_its_bytes_alone (void **state)
{
  CLEANUP_SECRET struct secret passphrase = {0};
  CLEANUP_SECRET struct secret opened = {0};
  struct error err = {0};

  (void)state;
  make_luks2 ("");
  assert_runs ("dd if=/dev/zero of=luks bs=4096 count=1 conv=notrunc && cp luks before");
  secret_of ("correct horse", &passphrase);
  if (header_unlock ("luks", &passphrase, &opened, &err) < 0)
    fail_msg ("%s", err.text);
  assert_runs ("cmp luks before");
}

/* ---- backup, restore, destroy
 * ------------------------------------------------------------------*/

static void
a_backup_is_cryptsetups_and_brings_a_destroyed_volume_back (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_CLOSE int fd = -1;
  struct error err = {0};
  struct stat st;

  (void)state;
  make_good ("v", GOOD_UUID);
  if (header_backup ("v", "backup", &err) < 0)
    fail_msg ("%s", err.text);
  assert_int_equal (stat ("backup", &st), 0);
  assert_int_equal (st.st_mode & 07777, 0400);
  assert_runs ("cryptsetup luksDump backup");
  fd = open ("backup", O_RDONLY | O_CLOEXEC);
  assert_int_equal (header_load_backup (fd, "backup", true, &header, NULL), 0);
  assert_runs ("cp v before");
  assert_int_equal (header_destroy ("v", HEADER_DATA_OFFSET_BYTES, NULL), 0);
  if (header_restore ("v", "backup", false, &err) < 0)
    fail_msg ("%s", err.text);
  assert_runs ("cmp v before");
  assert_verifies ("v", KEY_SEED);
}

static void
a_backup_overwrites_no_file (void **state)
{
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  write_text ("backup", "precious");
  assert_refused (header_backup ("v", "backup", &err), &err, ERROR_USAGE,
                  "backup: it exists already: name another file");
  assert_runs ("grep -qx precious backup");
}

static void
the_backup_of_another_volume_is_restored_by_force_only (void **state)
{
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  make_good ("w", OTHER_UUID);
  assert_int_equal (header_backup ("w", "backup", NULL), 0);
  assert_runs ("cp v before");
  assert_refused (header_restore ("v", "backup", false, &err), &err, ERROR_USAGE,
                  "v: it holds volume " GOOD_UUID ", the backup is of volume " OTHER_UUID
                  ": give --force only when all that is on it may be lost");
  assert_runs ("cmp v before");
  if (header_restore ("v", "backup", true, &err) < 0)
    fail_msg ("%s", err.text);
  assert_runs ("cmp v w");
}

static void
a_backup_of_another_geometry_is_restored_by_force_only (void **state)
{
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_int_equal (header_backup ("v", "backup", NULL), 0);
  assert_int_equal (good_volume ("w", GOOD_UUID, KEY_SEED, GOOD_BYTES, 512, NULL), 0);
  assert_runs ("cp w before");
  assert_refused (
      header_restore ("w", "backup", false, &err), &err, ERROR_USAGE,
      "w: its sector size or data offset is not the backup's: give --force only when its "
      "header is known to be wrong");
  assert_runs ("cmp w before");
  if (header_restore ("w", "backup", true, &err) < 0)
    fail_msg ("%s", err.text);
  assert_runs ("cmp w v");
}

static void
by_force_a_header_of_another_layout_is_replaced_and_the_data_stay (void **state)
{
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_int_equal (header_backup ("v", "backup", NULL), 0);
  make_luks2 ("");
  assert_runs ("dd if=/dev/urandom of=luks bs=1M seek=1 count=19 conv=notrunc && cp luks before");
  assert_int_equal (header_restore ("luks", "backup", false, &err), -1);
  assert_int_equal (err.class, ERROR_USAGE);
  assert_runs ("cmp luks before");
  if (header_restore ("luks", "backup", true, &err) < 0)
    fail_msg ("%s", err.text);
  assert_verifies ("luks", KEY_SEED);
  assert_runs ("cmp -i 1048576 luks before");
}

static void
a_foreign_luks2_volume_is_not_replaced_without_force (void **state)
{
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_int_equal (header_backup ("v", "backup", NULL), 0);
  write_text ("pass", "x");
  write_text ("luks", "");
  assert_int_equal (truncate ("luks", 20 << 20), 0);
  assert_runs ("cryptsetup luksFormat -q --type luks2 --cipher aes-cbc-essiv:sha256 --pbkdf pbkdf2 "
               "--pbkdf-force-iterations 1000 --key-file pass luks && cp luks before");
  assert_refused (header_restore ("luks", "backup", false, &err), &err, ERROR_FOREIGN,
                  "the header there is somebody else's; --force replaces it: luks: outside "
                  "keyfence's profile: the cipher is \"aes-cbc-essiv:sha256\", expected "
                  "\"aes-xts-plain64\"");
  assert_runs ("cmp luks before");
}

static void
what_is_no_backup_is_not_restored (void **state)
{
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_runs ("cp v before && head -c 1M /dev/zero >zeroes");
  assert_int_equal (header_restore ("v", "zeroes", true, &err), -1);
  assert_int_equal (err.class, ERROR_FOREIGN);
  assert_int_equal (header_restore ("v", "missing", true, &err), -1);
  assert_int_equal (err.class, ERROR_NOT_FOUND);
  assert_int_equal (header_backup ("v", "backup", NULL), 0);
  assert_runs ("head -c 1048575 backup >short");
  assert_refused (
      header_restore ("v", "short", true, &err), &err, ERROR_CORRUPT,
      "short: it ends at byte 1048575, its header ends at byte 1048576: it was cut off");
  make_luks2 ("");
  assert_int_equal (header_restore ("v", "luks", true, &err), -1);
  assert_int_equal (err.class, ERROR_FOREIGN);
  assert_runs ("cmp v before");
  assert_int_equal (truncate ("v", (off_t)HEADER_DATA_OFFSET_BYTES), 0);
  assert_refused (header_restore ("v", "backup", true, &err), &err, ERROR_USAGE,
                  "v: it has 1048576 bytes, too few for the backup's volume");
}

static void
destroy_leaves_no_header_and_no_byte_of_the_data_changed (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_runs ("dd if=/dev/urandom of=v bs=1M seek=1 count=1 conv=notrunc && cp v before");
  assert_int_equal (header_destroy ("v", HEADER_DATA_OFFSET_BYTES, &err), 0);
  assert_int_equal (load ("v", false, &header, &err), -1);
  assert_int_equal (err.class, ERROR_FOREIGN);
  assert_runs ("cmp -i 1048576 v before");
  assert_true (run ("cryptsetup isLuks v") != 0);
  assert_true (run ("grep -aq keyfence v") != 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      IN_FOLDER (a_volume_of_luksformat_becomes_ours_and_stays_cryptsetups),
      IN_FOLDER (the_digest_that_luksformat_benchmarked_is_within_the_profile),
      IN_FOLDER (setting_the_token_again_replaces_it_and_leaves_other_tokens),
      IN_FOLDER (the_token_is_set_only_on_the_volume_meant_and_with_its_key),
      IN_FOLDER (a_recovery_passphrase_opens_the_volume_for_us_and_for_cryptsetup),
      IN_FOLDER (a_wrong_passphrase_is_denied),
      IN_FOLDER (unlocking_a_damaged_volume_leaves_its_bytes_alone),
      IN_FOLDER (a_backup_is_cryptsetups_and_brings_a_destroyed_volume_back),
      IN_FOLDER (a_backup_overwrites_no_file),
      IN_FOLDER (the_backup_of_another_volume_is_restored_by_force_only),
      IN_FOLDER (a_backup_of_another_geometry_is_restored_by_force_only),
      IN_FOLDER (by_force_a_header_of_another_layout_is_replaced_and_the_data_stay),
      IN_FOLDER (a_foreign_luks2_volume_is_not_replaced_without_force),
      IN_FOLDER (what_is_no_backup_is_not_restored),
      IN_FOLDER (destroy_leaves_no_header_and_no_byte_of_the_data_changed),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
