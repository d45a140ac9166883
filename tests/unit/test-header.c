/* What creating, loading and verifying a header promise, with cryptsetup as the judge. */
#include <errno.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/checked.h"
#include "tests/unit/header-helpers.h"

/* ---- create -----------------------------------------------------------------------------------*/

static void
cryptsetup_reads_what_create_made_and_finds_the_documented_layout (void **state)
{
  static const char *const lines[] = {"Version:       \t2\n",
                                      "Metadata area: \t65536 [bytes]\n",
                                      "Keyslots area: \t917504 [bytes]\n",
                                      "UUID:          \t" GOOD_UUID "\n",
                                      "Label:         \tgood\n",
                                      "Subsystem:     \tkeyfence\n",
                                      "\toffset: 1048576 [bytes]\n",
                                      "\tlength: (whole device)\n",
                                      "\tcipher: aes-xts-plain64\n",
                                      "\tsector: 4096 [bytes]\n",
                                      "  0: keyfence\n",
                                      "\tIterations: 1000\n"};

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_runs ("cryptsetup isLuks --type luks2 v");
  assert_runs ("cryptsetup luksDump v");
  for (size_t i = 0; i < ARRAY_SIZE (lines); i++)
    if (!strstr (output (), lines[i]))
      fail_msg ("no \"%s\" in:\n%s", lines[i], output ());
}

static void
a_created_volume_loads_with_all_its_facts_and_verifies (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_TOKEN struct token *token = good_token ();
  const struct header_info *info;

  (void)state;
  make_good ("v", GOOD_UUID);
  header = load_good ("v");
  info = header_info (header);
  assert_string_equal (info->uuid, GOOD_UUID);
  assert_string_equal (info->label, "good");
  assert_string_equal (info->subsystem, "keyfence");
  assert_int_equal (info->sector_size, 4096);
  assert_int_equal (info->data_offset_bytes, 1048576);
  assert_int_equal (info->keyslot_count, 0);
  assert_int_equal (info->digest_iterations, 1000);
  assert_false (info->damaged_copy);
  assert_int_equal (header_token (header)->wrap_count, 2);
  assert_memory_equal (header_token (header)->wraps, token->wraps, sizeof token->wraps);
  assert_memory_equal (header_token (header)->history, token->history, sizeof token->history);
  assert_verifies ("v", KEY_SEED);
}

/* Computed by another program from the words of keyfence-volume(7) alone. */
static void
the_mac_is_the_documented_one (void **state)
{
  static const uint8_t expected[TOKEN_MAC_SIZE] = {0xb8, 0x26, 0x84, 0x5e, 0xde, 0x63, 0x1b, 0xec,
                                                   0xe8, 0x5b, 0xfe, 0x4e, 0xff, 0xbe, 0xca, 0x4b,
                                                   0x5a, 0xf8, 0xcc, 0x57, 0x09, 0x38, 0xd1, 0x18,
                                                   0xfe, 0x69, 0x24, 0xa4, 0x08, 0x5c, 0x2a, 0x2d};
  CLEANUP_HEADER struct header *header = NULL;

  (void)state;
  make_good ("v", GOOD_UUID);
  header = load_good ("v");
  assert_memory_equal (header_token (header)->mac, expected, sizeof expected);
}

static void
sectors_of_512_bytes_and_no_label_can_be_asked_for (void **state)
{
  const struct header_params params = {.uuid = GOOD_UUID, .sector_size = 512};
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_SECRET struct secret key = {0};

  (void)state;
  assert_int_equal (good_key (KEY_SEED, &key), 0);
  write_text ("v", "");
  assert_int_equal (truncate ("v", (off_t)HEADER_DATA_OFFSET_BYTES + 512), 0);
  assert_int_equal (header_create ("v", &params, token, &key, NULL), 0);
  header = load_good ("v");
  assert_int_equal (header_info (header)->sector_size, 512);
  assert_string_equal (header_info (header)->label, "");
  assert_verifies ("v", KEY_SEED);
}

static void
create_refuses_what_would_be_no_volume_and_touches_nothing (void **state)
{
  static const char long_label[] = "123456789 123456789 123456789 123456789 12345678";
  static const struct {
    struct header_params params;
    uint64_t bytes;
    const char *words;
  } bad[] = {
      {{GOOD_UUID, NULL, 4096},
       HEADER_DATA_OFFSET_BYTES,
       "v: it has 1048576 bytes, of which the header needs 1048576: make it larger"},
      {{GOOD_UUID, NULL, 4096},
       HEADER_DATA_OFFSET_BYTES + 4608,
       "v: it has 1053184 bytes, which is not a multiple of the sector size 4096"},
      {{GOOD_UUID, NULL, 1024}, GOOD_BYTES, "sector size 1024: expected 512 or 4096"},
      {{GOOD_UUID, long_label, 4096}, GOOD_BYTES, "the label has 48 bytes: expected at most 47"},
      {{GOOD_UUID, "a\nb", 4096}, GOOD_BYTES, "the label holds control characters"},
      {{"AAAAAAAA-2222-4333-8444-555555555555", NULL, 4096},
       GOOD_BYTES,
       "uuid: expected 36 lower-case characters as 01234567-89ab-cdef-0123-456789abcdef"},
  };
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_SECRET struct secret key = {0};
  struct stat st;

  (void)state;
  assert_int_equal (good_key (KEY_SEED, &key), 0);
  write_text ("v", "");
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    struct error err = {0};

    assert_int_equal (truncate ("v", (off_t)bad[i].bytes), 0);
    assert_refused (header_create ("v", &bad[i].params, token, &key, &err), &err, ERROR_USAGE,
                    bad[i].words);
    assert_int_equal (stat ("v", &st), 0);
    assert_int_equal (st.st_blocks, 0);
  }
}

static void
create_refuses_a_key_with_equal_halves (void **state)
{
  const struct header_params params = {.uuid = GOOD_UUID, .sector_size = 4096};
  CLEANUP_TOKEN struct token *token = good_token ();
  CLEANUP_SECRET struct secret key = {0};
  struct error err = {0};

  (void)state;
  assert_int_equal (secret_init (&key, VOLUME_KEY_SIZE, NULL), 0);
  write_text ("v", "");
  assert_int_equal (truncate ("v", (off_t)GOOD_BYTES), 0);
  assert_refused (header_create ("v", &params, token, &key, &err), &err, ERROR_CORRUPT,
                  "the volume key's halves are equal: AES-XTS must not be used with it");
}

static void
new_uuids_are_random_and_of_version_4 (void **state)
{
  char a[HEADER_UUID_MAX], b[HEADER_UUID_MAX];

  (void)state;
  assert_int_equal (header_new_uuid (a, NULL), 0);
  assert_int_equal (header_new_uuid (b, NULL), 0);
  assert_int_equal (strlen (a), 36);
  assert_int_equal (a[14], '4');
  assert_non_null (strchr ("89ab", a[19]));
  assert_string_not_equal (a, b);
}

/* In a memfd: some file systems hold no file of 16 TiB, even a sparse one. */
static void
a_volume_of_16_tib_is_created_sparse_and_loaded_from_its_first_bytes (void **state)
{
  CLEANUP_CLOSE int fd = memfd_create ("16 TiB", MFD_CLOEXEC);
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_SECRET struct secret key = {0};
  struct error err = {0};
  struct stat st;
  char path[40];

  (void)state;
  assert_true (fd >= 0);
  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  if (good_volume (path, GOOD_UUID, KEY_SEED, UINT64_C (1) << 44, 4096, &err) < 0
      || header_load (fd, path, true, &header, &err) < 0)
    fail_msg ("%s", err.text);
  assert_int_equal (good_key (KEY_SEED, &key), 0);
  assert_int_equal (header_verify (header, &key, NULL), 0);
  assert_int_equal (fstat (fd, &st), 0);
  assert_true (st.st_size == (off_t)1 << 44);
  assert_true ((uint64_t)st.st_blocks * 512 < 4 * HEADER_DATA_OFFSET_BYTES);
}

static void
a_block_device_is_created_and_loaded_like_a_file (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};
  char device[64], command[128];

  (void)state;
  write_text ("disk", "");
  assert_int_equal (truncate ("disk", (off_t)GOOD_BYTES), 0);
  if (geteuid () != 0 || run ("losetup --find --show disk") != 0) {
    print_message ("skipped: no loop device can be made here\n");
    skip ();
  }
  snprintf (device, sizeof device, "%.*s", (int)strcspn (output (), "\n"), output ());
  snprintf (command, sizeof command, "losetup --detach %s", device);
  {
    const struct header_params params = {.uuid = GOOD_UUID, .sector_size = 4096};
    CLEANUP_TOKEN struct token *token = good_token ();
    CLEANUP_SECRET struct secret key = {0};
    int r = good_key (KEY_SEED, &key);

    if (r == 0)
      r = header_create (device, &params, token, &key, &err);
    if (r == 0)
      r = load (device, true, &header, &err);
    assert_runs (command);
    if (r < 0)
      fail_msg ("%s", err.text);
  }
  assert_verifies ("disk", KEY_SEED);
}

/* ---- load -------------------------------------------------------------------------------------*/

static void
loading_a_damaged_volume_says_so_and_leaves_its_bytes_alone (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;

  (void)state;
  make_good ("v", GOOD_UUID);
  assert_runs ("dd if=/dev/zero of=v bs=4096 count=1 conv=notrunc && cp v before");
  header = load_good ("v");
  assert_true (header_info (header)->damaged_copy);
  assert_runs ("cmp v before");
  assert_verifies ("v", KEY_SEED);
}

static void
a_descriptor_open_for_direct_io_can_be_loaded (void **state)
{
  CLEANUP_CLOSE int fd = -1;
  CLEANUP_HEADER struct header *header = NULL;
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  fd = open ("v", O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0) {
    print_message ("skipped: no direct I/O in this folder\n");
    skip ();
  }
  if (header_load (fd, "v", true, &header, &err) < 0)
    fail_msg ("%s", err.text);
}

static void
what_is_no_file_is_refused (void **state)
{
  CLEANUP_CLOSE int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  struct header *header = NULL;
  struct error err = {0};

  (void)state;
  assert_refused (header_load (fd, "/dev/null", true, &header, &err), &err, ERROR_USAGE,
                  "/dev/null: neither a regular file nor a block device: no volume can be in it");
}

/* What the plugin is after nbdkit has changed the user: no access to /proc/PID/fd from outside. */
static void
an_unprivileged_undumpable_process_can_load (void **state)
{
  pid_t pid;
  int status;

  (void)state;
  if (geteuid () != 0) {
    print_message ("skipped: needs root to become somebody else\n");
    skip ();
  }
  make_good ("v", GOOD_UUID);
  pid = fork ();
  if (pid == 0) {
    CLEANUP_HEADER struct header *header = NULL;
    int fd = open ("v", O_RDONLY | O_CLOEXEC);

    if (setgroups (0, NULL) < 0 || setgid (65534) < 0 || setuid (65534) < 0
        || prctl (PR_SET_DUMPABLE, 0) < 0)
      _exit (2);
    _exit (header_load (fd, "v", true, &header, NULL) == 0 ? 0 : 1);
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

static void
a_key_that_is_not_the_volumes_does_not_verify (void **state)
{
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_SECRET struct secret other = {0};
  CLEANUP_SECRET struct secret half = {0};
  struct error err = {0};

  (void)state;
  make_good ("v", GOOD_UUID);
  header = load_good ("v");
  assert_int_equal (good_key (KEY_SEED + 1, &other), 0);
  assert_int_equal (secret_init (&half, VOLUME_KEY_SIZE / 2, NULL), 0);
  assert_refused (header_verify (header, &other, &err), &err, ERROR_CORRUPT,
                  "v: the key is not volume " GOOD_UUID "'s: the LUKS2 digest does not match it");
  assert_refused (header_verify (header, &half, &err), &err, ERROR_CORRUPT,
                  "v: the volume key has 32 bytes, expected 64");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      IN_FOLDER (cryptsetup_reads_what_create_made_and_finds_the_documented_layout),
      IN_FOLDER (a_created_volume_loads_with_all_its_facts_and_verifies),
      IN_FOLDER (the_mac_is_the_documented_one),
      IN_FOLDER (sectors_of_512_bytes_and_no_label_can_be_asked_for),
      IN_FOLDER (create_refuses_what_would_be_no_volume_and_touches_nothing),
      IN_FOLDER (create_refuses_a_key_with_equal_halves),
      IN_FOLDER (new_uuids_are_random_and_of_version_4),
      IN_FOLDER (a_volume_of_16_tib_is_created_sparse_and_loaded_from_its_first_bytes),
      IN_FOLDER (a_block_device_is_created_and_loaded_like_a_file),
      IN_FOLDER (loading_a_damaged_volume_says_so_and_leaves_its_bytes_alone),
      IN_FOLDER (a_descriptor_open_for_direct_io_can_be_loaded),
      IN_FOLDER (what_is_no_file_is_refused),
      IN_FOLDER (an_unprivileged_undumpable_process_can_load),
      IN_FOLDER (a_key_that_is_not_the_volumes_does_not_verify),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
