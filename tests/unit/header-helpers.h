/* What the tests of the header share: a folder for each test, shell commands, good volumes. */
#ifndef TESTS_HEADER_HELPERS_H
#define TESTS_HEADER_HELPERS_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/headers/good-volume.h"

#define OTHER_UUID "66666666-7777-4888-9999-aaaaaaaaaaaa"
#define KEY_SEED 1
#define OUTPUT_MAX 65536

/* Every test runs in a folder of its own, which it may fill as it likes. */
static char home[4096];

static inline int
enter_folder (void **state)
{
  char folder[] = "/tmp/keyfence-header-XXXXXX";

  if (!getcwd (home, sizeof home) || !mkdtemp (folder) || chdir (folder) < 0)
    return -1;
  *state = strdup (folder);
  return *state ? 0 : -1;
}

static inline int
run (const char *command)
{
  char line[1024];

  snprintf (line, sizeof line, "{ %s; } >out 2>&1", command);
  return system (line);
}

static inline int
leave_folder (void **state)
{
  char command[128];
  int r;

  snprintf (command, sizeof command, "rm -rf %s", (char *)*state);
  r = chdir (home) < 0 || system (command) != 0;
  free (*state);
  return r;
}

static inline const char *
output (void)
{
  static char text[OUTPUT_MAX];
  FILE *f = fopen ("out", "re");
  size_t got = f ? fread (text, 1, sizeof text - 1, f) : 0;

  if (f)
    fclose (f);
  text[got] = '\0';
  return text;
}

static inline void
assert_runs (const char *command)
{
  if (run (command) != 0)
    fail_msg ("%s: %s", command, output ());
}

static inline void
write_text (const char *path, const char *text)
{
  FILE *f = fopen (path, "we");

  assert_non_null (f);
  fputs (text, f);
  assert_int_equal (fclose (f), 0);
}

static inline void
make_good (const char *path, const char *uuid)
{
  struct error err = {0};

  if (good_volume (path, uuid, KEY_SEED, GOOD_BYTES, 4096, &err) < 0)
    fail_msg ("%s", err.text);
}

static inline int
load (const char *path, bool want_token, struct header **ret_header, struct error *err)
{
  CLEANUP_CLOSE
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  assert_true (fd >= 0);
  return header_load (fd, path, want_token, ret_header, err);
}

static inline struct header *
load_good (const char *path)
{
  struct header *header = NULL;
  struct error err = {0};

  if (load (path, true, &header, &err) < 0)
    fail_msg ("%s", err.text);
  return header;
}

static inline void
assert_refused (int r, const struct error *err, enum error_class class, const char *words)
{
  assert_int_equal (r, -1);
  assert_string_equal (err->text, words);
  assert_int_equal (err->class, class);
}

static inline void
assert_verifies (const char *path, uint8_t key_seed)
{
  CLEANUP_HEADER struct header *header = load_good (path);
  CLEANUP_SECRET struct secret key = {0};
  struct error err = {0};

  assert_int_equal (good_key (key_seed, &key), 0);
  if (header_verify (header, &key, &err) < 0)
    fail_msg ("%s", err.text);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown (f, enter_folder, leave_folder)

#endif
