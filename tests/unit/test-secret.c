/* What crypto/secret.h promises: guarded, locked, undumpable, uninherited, wiped, move-only.
 *
 * Most tests run once for each kind of memory; where the kernel has no memfd_secret(2) both turns
 * are the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/encode.h"
#include "crypto/secret.h"
#include "tests/unit/secret-test.h"

/* In place of the C library's, for crypto/secret.c: looks at the watched bytes before they go. */
static const uint8_t *watched;
static size_t watched_size;
static int watched_nonzero = -1; /* -1: not unmapped so far */

int
munmap (void *start, size_t size)
{
  if (watched >= (uint8_t *)start && watched < (uint8_t *)start + size) {
    watched_nonzero = 0;
    for (size_t i = 0; i < watched_size; i++)
      watched_nonzero += watched[i] != 0;
    watched = NULL;
  }
  return (int)syscall (SYS_munmap, start, size);
}

/* The byte is used, because valgrind leaves out loads whose result is not. */
static volatile uint8_t used;

static int
read_byte (void *address)
{
  used = *(volatile uint8_t *)address;
  return 0;
}

static int
write_byte (void *address)
{
  *(volatile uint8_t *)address = 1;
  return 0;
}

static void
assert_faults (int (*fn) (void *arg), uint8_t *address)
{
  int status = run_child (fn, address);

  assert_true (WIFSIGNALED (status));
  assert_int_equal (WTERMSIG (status), SIGSEGV);
}

static void
a_secret_is_zeros_and_can_be_written_to_its_last_byte (void **state)
{
  static const size_t sizes[] = {1, 31, 64, 4095, 4096, 4097, 1 << 20};

  (void)state;
  FOR_BOTH_KINDS for (size_t i = 0; i < ARRAY_SIZE (sizes); i++)
  {
    CLEANUP_SECRET struct secret s = {0};

    assert_int_equal (secret_init (&s, sizes[i], NULL), 0);
    assert_int_equal (s.size, sizes[i]);
    for (size_t j = 0; j < s.size; j++) {
      assert_int_equal (s.bytes[j], 0);
      s.bytes[j] = (uint8_t)(j | 1);
    }
  }
}

static void
sizes_out_of_range_are_refused_and_nothing_is_touched (void **state)
{
  static const size_t sizes[] = {0, (1 << 20) + 1, SIZE_MAX};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (sizes); i++) {
    struct secret s = {NULL, 7};
    struct error err = {0};

    assert_int_equal (secret_init (&s, sizes[i], &err), -1);
    assert_int_equal (err.class, ERROR_USAGE);
    assert_null (s.bytes);
    assert_int_equal (s.size, 7);
  }
}

static void
reading_or_writing_past_either_end_faults (void **state)
{
  uintptr_t page = (uintptr_t)sysconf (_SC_PAGESIZE);

  (void)state;
  FOR_BOTH_KINDS
  {
    CLEANUP_SECRET struct secret s = {0};
    uint8_t *body;

    assert_int_equal (secret_init (&s, 64, NULL), 0);
    body = (uint8_t *)round_down ((uintptr_t)s.bytes, page);
    /* In a child the whole mapping is gone; this one shares the parent's memory instead. */
    assert_int_equal (madvise (body - page, 3 * page, MADV_DOFORK), 0);
    assert_child_succeeds (read_byte, s.bytes + s.size - 1);
    assert_faults (read_byte, s.bytes + s.size);
    assert_faults (write_byte, s.bytes + s.size);
    assert_faults (read_byte, body - 1);
    assert_faults (write_byte, body - 1);
  }
}

static void
the_bytes_are_wiped_before_the_pages_go_back (void **state)
{
  (void)state;
  FOR_BOTH_KINDS
  {
    struct secret s = {0};

    assert_int_equal (secret_random (&s, 5000, NULL), 0);
    watched = s.bytes;
    watched_size = s.size;
    watched_nonzero = -1;
    s.size = 10; /* a shorter answer arrived: all of it is wiped nevertheless */
    secret_clear (&s);
    assert_int_equal (watched_nonzero, 0);
    assert_null (s.bytes);
    assert_int_equal (s.size, 0);
    secret_clear (&s);
  }
}

static void
a_cleared_secret_leaves_no_mapping (void **state)
{
  uintptr_t page = (uintptr_t)sysconf (_SC_PAGESIZE);

  (void)state;
  FOR_BOTH_KINDS
  {
    struct secret s = {0};
    uint8_t *body;
    unsigned char resident;

    assert_int_equal (secret_init (&s, 64, NULL), 0);
    body = (uint8_t *)round_down ((uintptr_t)s.bytes, page);
    secret_clear (&s);
    for (int i = -1; i <= 1; i++) {
      errno = 0;
      assert_int_equal (mincore (body + i * (ptrdiff_t)page, page, &resident), -1);
      assert_int_equal (errno, ENOMEM); /* not mapped, mincore(2) */
    }
  }
}

/* The child clears its copy of the struct after something else took the address. */
static int
clear_after_reuse (void *arg)
{
  uintptr_t page = (uintptr_t)sysconf (_SC_PAGESIZE);
  struct secret *s = arg;
  void *where = (void *)round_down ((uintptr_t)s->bytes, page);
  uint8_t *other =
      mmap (where, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

  EXPECT (other == where);
  other[page - 1] = 55;
  secret_clear (s);
  EXPECT (s->bytes == NULL);
  EXPECT (other[page - 1] == 55);
  return 0;
}

static void
a_forked_child_has_no_secret_and_can_do_it_no_harm (void **state)
{
  (void)state;
  FOR_BOTH_KINDS
  {
    CLEANUP_SECRET struct secret s = {0};

    assert_int_equal (secret_init (&s, 64, NULL), 0);
    s.bytes[63] = 77;
    assert_faults (read_byte, s.bytes + 63);
    assert_child_succeeds (clear_after_reuse, &s);
    assert_int_equal (s.bytes[63], 77);
  }
}

static int
count_descriptors (void)
{
  int count = 0;

  for (int fd = 0; fd < 1024; fd++)
    count += fcntl (fd, F_GETFD) >= 0;
  return count;
}

static void
a_secret_keeps_no_file_descriptor_that_a_child_could_inherit (void **state)
{
  (void)state;
  FOR_BOTH_KINDS
  {
    CLEANUP_SECRET struct secret s = {0};
    int before = count_descriptors ();

    assert_int_equal (secret_init (&s, 64, NULL), 0);
    assert_int_equal (count_descriptors (), before);
  }
}

/* The VmFlags line (proc(5)) of the mapping around `address`. */
static void
read_vm_flags (const uint8_t *address, char ret_flags[512])
{
  CLEANUP_FCLOSE FILE *smaps = fopen ("/proc/self/smaps", "re");
  char line[512];
  bool inside = false;

  assert_non_null (smaps);
  while (fgets (line, sizeof line, smaps)) {
    uintptr_t start, end;

    if (sscanf (line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
      inside = (uintptr_t)address >= start && (uintptr_t)address < end;
    else if (inside && strncmp (line, "VmFlags:", 8) == 0) {
      snprintf (ret_flags, 512, "%s", line + 8);
      return;
    }
  }
  fail_msg ("no mapping found");
}

static void
the_pages_are_kept_out_of_core_files_and_children_and_are_locked (void **state)
{
  (void)state;
  FOR_BOTH_KINDS
  {
    CLEANUP_SECRET struct secret s = {0};
    char flags[512];

    assert_int_equal (secret_init (&s, 64, NULL), 0);
    read_vm_flags (s.bytes, flags);
    assert_non_null (strstr (flags, " dd")); /* not in dumps */
    assert_non_null (strstr (flags, " dc")); /* not copied to children */
    if (secret_all_locked ())
      assert_non_null (strstr (flags, " lo"));
  }
}

static void
pipes_can_be_read_into_and_written_from_a_secret (void **state)
{
  (void)state;
  FOR_BOTH_KINDS
  {
    CLEANUP_SECRET struct secret a = {0}, b = {0};
    int fds[2];

    assert_int_equal (pipe (fds), 0);
    assert_int_equal (secret_random (&a, 64, NULL), 0);
    assert_int_equal (secret_init (&b, 64, NULL), 0);
    assert_int_equal (write (fds[1], a.bytes, 64), 64);
    assert_int_equal (read (fds[0], b.bytes, 64), 64);
    assert_true (secret_equal (&a, &b));
    close (fds[0]);
    close (fds[1]);
  }
}

static void
taking_a_secret_moves_it_and_empties_its_source (void **state)
{
  CLEANUP_SECRET struct secret a = {0}, b = {0};
  uint8_t *bytes;

  (void)state;
  assert_int_equal (secret_random (&a, 64, NULL), 0);
  bytes = a.bytes;
  secret_take (&b, &a);
  assert_null (a.bytes);
  assert_int_equal (a.size, 0);
  assert_ptr_equal (b.bytes, bytes);
  assert_int_equal (b.size, 64);
  secret_clear (&a);
  b.bytes[0] = 1;
}

static void
secrets_are_equal_when_size_and_every_byte_are (void **state)
{
  CLEANUP_SECRET struct secret a = {0}, b = {0}, shorter = {0}, empty = {0};

  (void)state;
  assert_int_equal (secret_init (&a, 64, NULL), 0);
  assert_int_equal (secret_init (&b, 64, NULL), 0);
  assert_int_equal (secret_init (&shorter, 63, NULL), 0);
  assert_true (secret_equal (&a, &b));
  assert_true (secret_equal (&empty, &empty));
  assert_false (secret_equal (&a, &shorter));
  assert_false (secret_equal (&a, &empty));
  for (size_t i = 0; i < 64; i++) {
    b.bytes[i] = 1;
    assert_false (secret_equal (&a, &b));
    b.bytes[i] = 0;
  }
}

static void
random_secrets_differ (void **state)
{
  CLEANUP_SECRET struct secret a = {0}, b = {0};

  (void)state;
  assert_int_equal (secret_random (&a, 64, NULL), 0);
  assert_int_equal (secret_random (&b, 64, NULL), 0);
  assert_false (secret_equal (&a, &b));
  assert_int_equal (secret_random (&(struct secret){0}, 0, NULL), -1);
}

static void
the_digest_is_sha_256 (void **state)
{
  CLEANUP_SECRET struct secret s = {0};
  uint8_t digest[32];
  char text[65];

  (void)state;
  assert_int_equal (secret_init (&s, 3, NULL), 0);
  memcpy (s.bytes, "abc", 3);
  assert_int_equal (secret_sha256 (&s, digest), 0);
  hex_encode (digest, sizeof digest, text);
  /* FIPS 180-2, appendix B.1 */
  assert_string_equal (text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
wiping_leaves_zeros (void **state)
{
  uint8_t bytes[16];

  (void)state;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i + 1);
  secret_wipe (bytes + 1, 14);
  assert_int_equal (bytes[0], 1);
  assert_int_equal (bytes[15], 16);
  for (size_t i = 1; i < 15; i++)
    assert_int_equal (bytes[i], 0);
}

#define TEST(name) cmocka_unit_test_setup (name, default_kind)

int
main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_secret_is_zeros_and_can_be_written_to_its_last_byte),
      TEST (sizes_out_of_range_are_refused_and_nothing_is_touched),
      TEST (reading_or_writing_past_either_end_faults),
      TEST (the_bytes_are_wiped_before_the_pages_go_back),
      TEST (a_cleared_secret_leaves_no_mapping),
      TEST (a_forked_child_has_no_secret_and_can_do_it_no_harm),
      TEST (a_secret_keeps_no_file_descriptor_that_a_child_could_inherit),
      TEST (the_pages_are_kept_out_of_core_files_and_children_and_are_locked),
      TEST (pipes_can_be_read_into_and_written_from_a_secret),
      TEST (taking_a_secret_moves_it_and_empties_its_source),
      TEST (secrets_are_equal_when_size_and_every_byte_are),
      TEST (random_secrets_differ),
      TEST (the_digest_is_sha_256),
      TEST (wiping_leaves_zeros),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
