/* find-bytes.c owns the search for raw bytes: `find-bytes FILE BYTES SIZE` ends with 0 when any run
 * of SIZE bytes that starts at a multiple of SIZE in the file BYTES is anywhere in FILE, else
 * with 1.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct bytes {
  const uint8_t *start;
  size_t size;
};

static struct bytes
map (const char *path)
{
  struct bytes b;
  struct stat s;
  int fd = open (path, O_RDONLY);
  void *p;

  if (fd < 0 || fstat (fd, &s) < 0)
    err (2, "%s", path);
  b.size = (size_t)s.st_size;
  if (b.size == 0)
    return (struct bytes){NULL, 0};
  p = mmap (NULL, b.size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED)
    err (2, "%s", path);
  b.start = p;
  return b;
}

int
main (int argc, char **argv)
{
  struct bytes file, wanted;
  size_t size;

  if (argc != 4)
    errx (2, "usage: find-bytes FILE BYTES SIZE");
  file = map (argv[1]);
  wanted = map (argv[2]);
  size = strtoul (argv[3], NULL, 0);
  for (size_t at = 0; file.size > 0 && at + size <= wanted.size; at += size)
    if (memmem (file.start, file.size, wanted.start + at, size)) {
      printf ("%s holds bytes %zu to %zu of %s\n", argv[1], at, at + size - 1, argv[2]);
      return 0;
    }
  return 1;
}
