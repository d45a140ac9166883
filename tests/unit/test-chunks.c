/* What chunks promise: apart from each other, aligned, no memory before they are used, huge pages
 * only where they are wanted, and nothing left at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "nbd-plugin/chunks.h"

#define CHUNK ((size_t)512 * 1024)
#define COUNT 11

/* How many of the chunk's pages have memory behind them; -1: it is not mapped. */
static int
pages_of (uint8_t *chunk)
{
  unsigned char in_memory[CHUNK / 4096];
  int count = 0;

  if (mincore (chunk, CHUNK, in_memory) < 0)
    return -1;
  for (size_t i = 0; i < sizeof in_memory; i++)
    count += in_memory[i] & 1;
  return count;
}

/* The flags that the kernel keeps of the mapping in which `chunk` lies. */
static void
flags_of (const uint8_t *chunk, char ret[512])
{
  FILE *smaps = fopen ("/proc/self/smaps", "r");
  unsigned long start, end;
  bool here = false;
  char line[512];

  assert_non_null (smaps);
  ret[0] = '\0';
  while (fgets (line, sizeof line, smaps)) {
    if (sscanf (line, "%lx-%lx ", &start, &end) == 2)
      here = (uintptr_t)chunk >= start && (uintptr_t)chunk < end;
    else if (here && strncmp (line, "VmFlags:", 8) == 0)
      snprintf (ret, 512, "%s", line);
  }
  fclose (smaps);
  assert_string_not_equal (ret, "");
}

static void
chunks_lie_apart_and_are_untouched (void **state)
{
  struct chunks chunks = {0};
  uint8_t *taken[COUNT];

  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    taken[i] = chunks_take (&chunks, CHUNK, false);
    assert_non_null (taken[i]);
    assert_true (is_aligned ((uintptr_t)taken[i], CHUNK));
    assert_int_equal (pages_of (taken[i]), 0);
    for (size_t k = 0; k < i; k++)
      assert_true (taken[i] + CHUNK <= taken[k] || taken[k] + CHUNK <= taken[i]);
  }
  for (size_t i = 0; i < COUNT; i++)
    memset (taken[i], (int)i + 1, CHUNK);
  for (size_t i = 0; i < COUNT; i++) {
    assert_int_equal (taken[i][0], i + 1);
    assert_int_equal (taken[i][CHUNK - 1], i + 1);
  }
  chunks_free (&chunks);
  for (size_t i = 0; i < COUNT; i++)
    assert_int_equal (pages_of (taken[i]), -1);
}

static void
huge_pages_are_wished_for_or_refused (void **state)
{
  struct chunks huge = {0}, plain = {0};
  char huge_flags[512], plain_flags[512];

  (void)state;
  if (access ("/sys/kernel/mm/transparent_hugepage", F_OK) < 0)
    skip ();
  flags_of (chunks_take (&huge, CHUNK, true), huge_flags);
  flags_of (chunks_take (&plain, CHUNK, false), plain_flags);
  assert_non_null (strstr (huge_flags, " hg"));
  assert_null (strstr (huge_flags, " nh"));
  assert_non_null (strstr (plain_flags, " nh"));
  chunks_free (&huge);
  chunks_free (&plain);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (chunks_lie_apart_and_are_untouched),
      cmocka_unit_test (huge_pages_are_wished_for_or_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
