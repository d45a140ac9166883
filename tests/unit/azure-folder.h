/* A folder for files with credentials. */
#ifndef TESTS_AZURE_FOLDER_H
#define TESTS_AZURE_FOLDER_H

#include "tests/unit/azure-test.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/io.h"

static char dir[] = "/tmp/keyfence-test-XXXXXX";

/* The path is valid until the next call. */
static inline const char *
write_file (const char *name, const void *bytes, size_t size)
{
  static char path[100];
  int fd;

  snprintf (path, sizeof path, "%s/%s", dir, name);
  fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true (fd >= 0);
  assert_int_equal (write_full (fd, bytes, size), 0);
  close (fd);
  return path;
}

static inline int
make_dir (void **state)
{
  (void)state;
  return mkdtemp (dir) ? 0 : -1;
}

static inline int
remove_dir (void **state)
{
  char command[100];

  (void)state;
  snprintf (command, sizeof command, "rm -rf '%s'", dir);
  return system (command);
}

#endif
