/* secret-file.c owns the reading of secrets from files. */
#include "tools/secret-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "tools/print.h"

static int
open_secret (const char *path, int *ret_fd, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  struct stat st;

  fd = strcmp (path, "-") == 0 ? fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                               : open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 || fstat (fd, &st) < 0)
    return error_set_errno (err, errno, "%s", path);
  if (isatty (fd))
    return error_set (err, ERROR_USAGE, "%s is a terminal: give the secret in a file or a pipe",
                      path);
  if (S_ISREG (st.st_mode) && (st.st_mode & 077) != 0)
    print_warning ("%s can be read by others (mode %03o): chmod 600 it", path,
                   (unsigned)st.st_mode & 0777);
  *ret_fd = fd;
  fd = -1;
  return 0;
}

/* Reads up to `max` + 1 bytes, so that the caller sees a file that is too long; into secret memory,
 * by read(2) alone, so that no library buffer keeps a copy. */
static int
read_secret (const char *path, size_t max, struct secret *ret, size_t *ret_size, struct error *err)
{
  CLEANUP_CLOSE int fd = -1;
  CLEANUP_SECRET struct secret s = {0};
  int r;

  if (open_secret (path, &fd, err) < 0 || secret_init (&s, max + 1, err) < 0)
    return -1;
  r = read_full (fd, s.bytes, s.size, ret_size);
  if (r < 0)
    return error_set_errno (err, -r, "%s", path);
  secret_take (ret, &s);
  return 0;
}

/* Moves the first `size` bytes into a secret of that size. */
static int
shorten (struct secret *s, size_t size, struct secret *ret, struct error *err)
{
  CLEANUP_SECRET struct secret exact = {0};

  if (secret_init (&exact, size, err) < 0)
    return -1;
  memcpy (exact.bytes, s->bytes, size);
  secret_take (ret, &exact);
  return 0;
}

int
secret_file_passphrase (const char *path, struct secret *ret, struct error *err)
{
  CLEANUP_SECRET struct secret s = {0};
  size_t size;

  if (read_secret (path, PASSPHRASE_MAX + 1, &s, &size, err) < 0)
    return -1;
  if (size > 0 && s.bytes[size - 1] == '\n')
    size--;
  if (size == 0)
    return error_set (err, ERROR_USAGE, "%s is empty: a passphrase is needed", path);
  if (size > PASSPHRASE_MAX)
    return error_set (err, ERROR_USAGE, "%s is longer than the %d bytes that a passphrase may have",
                      path, PASSPHRASE_MAX);
  return shorten (&s, size, ret, err);
}

int
secret_file_key (const char *path, size_t size, struct secret *ret, struct error *err)
{
  CLEANUP_SECRET struct secret s = {0};
  size_t found;

  if (read_secret (path, size, &s, &found, err) < 0)
    return -1;
  if (found != size)
    return error_set (err, ERROR_USAGE, "%s has %s than the %zu bytes of a volume key", path,
                      found < size ? "less" : "more", size);
  return shorten (&s, size, ret, err);
}
