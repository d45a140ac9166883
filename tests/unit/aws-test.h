/* What the tests of AWS share: a home of its own, a clean environment, outcomes. */
#ifndef TESTS_AWS_TEST_H
#define TESTS_AWS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "kms/outcome.h"

#define AWS_KEY "arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
#define AWS_VOLUME "00000000-1111-2222-3333-444444444444"

static char aws_home[64];

static inline void
assert_outcome (const struct kms_outcome *outcome, enum kms_class class, const char *reason)
{
  if (outcome->class != class || strcmp (outcome->reason, reason) != 0)
    fail_msg ("%s/%s instead of %s/%s: %s", kms_class_name (outcome->class), outcome->reason,
              kms_class_name (class), reason, outcome->text);
  if (class != KMS_OK)
    assert_true (strlen (outcome->text) > 10);
}

static inline void
write_file (const char *name, const char *text)
{
  char path[256];
  FILE *f;

  snprintf (path, sizeof path, "%s/%s", aws_home, name);
  f = fopen (path, "w");
  assert_non_null (f);
  fputs (text, f);
  assert_int_equal (fclose (f), 0);
}

static inline void
remove_home (void)
{
  static const char *const names[] = {
      "/.aws/config", "/.aws/credentials", "/token", "/tool", "/config", "/out", "/.aws", ""};

  for (size_t i = 0; aws_home[0] && i < ARRAY_SIZE (names); i++) {
    char path[128];

    snprintf (path, sizeof path, "%s%s", aws_home, names[i]);
    if (unlink (path) < 0)
      rmdir (path);
  }
  aws_home[0] = '\0';
}

/* No variable and no file of this machine takes part in a test; $HOME is an empty folder. */
static inline int
make_home (void **state)
{
  extern char **environ;
  char path[128];

  (void)state;
  remove_home ();
  for (char **e = environ; *e;) {
    char name[128];

    if (strncmp (*e, "AWS_", 4) != 0) {
      e++;
      continue;
    }
    snprintf (name, sizeof name, "%.*s", (int)strcspn (*e, "="), *e);
    unsetenv (name);
    e = environ;
  }
  snprintf (aws_home, sizeof aws_home, "/tmp/keyfence-test-XXXXXX");
  assert_non_null (mkdtemp (aws_home));
  snprintf (path, sizeof path, "%s/.aws", aws_home);
  assert_int_equal (mkdir (path, 0700), 0);
  setenv ("HOME", aws_home, 1);
  return 0;
}

static inline int
drop_home (void **state)
{
  (void)state;
  remove_home ();
  return 0;
}

#endif
