/* Every damaged header of generate.py gives exactly its refusal: step, class and words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/checked.h"
#include "tests/headers/good-volume.h"

#define OTHER_UUID "66666666-7777-4888-9999-aaaaaaaaaaaa"
#define NAME "VOLUME"
#define DEFECTS_MAX 200
#define PATH_BYTES 512

struct defect {
  char folder[64], name[80], expected[20], class[20], words[300];
};

static struct defect defects[DEFECTS_MAX];
static char folder[] = "/tmp/keyfence-headers-XXXXXX";

static enum error_class
class_of (const char *name)
{
  static const char *const names[] = {[ERROR_FOREIGN] = "foreign", [ERROR_CORRUPT] = "corrupt"};

  for (size_t i = 0; i < ARRAY_SIZE (names); i++)
    if (names[i] && strcmp (names[i], name) == 0)
      return (enum error_class)i;
  fail_msg ("the list has the unknown class %s", name);
  return ERROR_NONE;
}

static void
assert_refusal (const struct defect *defect, const struct error *err)
{
  size_t length = strlen (defect->words);
  const char *words = err->text + strlen (NAME ": ");

  assert_int_equal (strncmp (err->text, NAME ": ", strlen (NAME ": ")), 0);
  if (length > 0 && defect->words[length - 1] == '*')
    assert_memory_equal (words, defect->words, length - 1);
  else
    assert_string_equal (words, defect->words);
  assert_int_equal (err->class, class_of (defect->class));
}

static void
check_loaded (const struct defect *defect, struct header *header)
{
  CLEANUP_SECRET struct secret key = {0};
  struct error err = {0};
  bool refuses = strcmp (defect->expected, "verify") == 0;

  assert_int_equal (good_key (1, &key), 0);
  if (header_verify (header, &key, &err) == 0)
    assert_false (refuses);
  else if (refuses)
    assert_refusal (defect, &err);
  else
    fail_msg ("header_verify refuses: %s", err.text);
  if (!refuses)
    assert_int_equal (header_info (header)->damaged_copy,
                      strcmp (defect->expected, "damaged_copy") == 0);
}

static void
gives_exactly_its_refusal (void **state)
{
  const struct defect *defect = *state;
  CLEANUP_HEADER struct header *header = NULL;
  CLEANUP_HEADER struct header *backup = NULL;
  char path[PATH_BYTES];
  CLEANUP_CLOSE int fd = -1;
  struct error err = {0};
  bool refuses = strcmp (defect->expected, "load") == 0;

  snprintf (path, sizeof path, "%s/%s.img", defect->folder, defect->name);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  assert_true (fd >= 0);
  if (header_load (fd, NAME, true, &header, &err) == 0) {
    assert_false (refuses);
    check_loaded (defect, header);
  }
  else if (refuses) {
    assert_null (header);
    assert_refusal (defect, &err);
  }
  else
    fail_msg ("header_load refuses: %s", err.text);
  /* The other readers meet the same bytes; what they say is theirs, but they must live. */
  header_is_luks2 (fd);
  if (header_load_backup (fd, NAME, false, &backup, NULL) == 0)
    assert_non_null (backup);
}

static void
run (const char *const argv[])
{
  int status;
  pid_t pid = fork ();

  if (pid == 0) {
    execvp (argv[0], (char **)(uintptr_t)argv);
    _exit (127);
  }
  if (pid < 0 || waitpid (pid, &status, 0) != pid || status != 0) {
    fprintf (stderr, "%s %s: failed\n", argv[0], argv[1]);
    exit (1);
  }
}

static void
generate (const char *python, const char *script)
{
  char good[PATH_BYTES], other[PATH_BYTES];
  struct error err = {0};

  snprintf (good, sizeof good, "%s/good", folder);
  snprintf (other, sizeof other, "%s/other", folder);
  if (good_volume (good, GOOD_UUID, 1, GOOD_BYTES, 4096, &err) < 0
      || good_volume (other, OTHER_UUID, 2, GOOD_BYTES, 4096, &err) < 0) {
    fprintf (stderr, "%s\n", err.text);
    exit (1);
  }
  run ((const char *const[]){python, script, good, other, folder, NULL});
}

static size_t
read_list (struct CMUnitTest *tests)
{
  char path[PATH_BYTES];
  size_t count = 0;
  FILE *list;

  snprintf (path, sizeof path, "%s/list", folder);
  list = fopen (path, "re");
  while (list && count < DEFECTS_MAX) {
    struct defect *defect = &defects[count];

    if (fscanf (list, "%79[^\t]\t%19[^\t]\t%19[^\t]\t%299[^\n]\n", defect->name, defect->expected,
                defect->class, defect->words)
        != 4)
      break;
    snprintf (defect->folder, sizeof defect->folder, "%s", folder);
    tests[count++] = (struct CMUnitTest){
        .name = defect->name, .test_func = gives_exactly_its_refusal, .initial_state = defect};
  }
  if (list)
    fclose (list);
  return count;
}

int
main (int argc, char **argv)
{
  struct CMUnitTest tests[DEFECTS_MAX];
  size_t count;
  int failed;

  if (argc != 3) {
    fprintf (stderr, "usage: test-damaged PYTHON GENERATE.PY\n");
    return 2;
  }
  if (!mkdtemp (folder))
    return 1;
  generate (argv[1], argv[2]);
  count = read_list (tests);
  if (count < 100 || count == DEFECTS_MAX) {
    fprintf (stderr, "the list has %zu defects: not what was expected\n", count);
    return 1;
  }
  failed = _cmocka_run_group_tests ("damaged headers", tests, count, NULL, NULL);
  run ((const char *const[]){"rm", "-r", folder, NULL});
  return failed != 0;
}
