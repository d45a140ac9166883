/* undo.c owns the power loss: `undo FILE UNDO` puts back into FILE what was never made durable. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "undo.h"

int
main (int argc, char **argv)
{
  struct stat s;
  uint64_t size, put_back = 0;
  uint8_t *undo;
  int file, fd;

  if (argc != 3)
    errx (2, "usage: undo FILE UNDO");
  file = open (argv[1], O_WRONLY);
  fd = open (argv[2], O_RDONLY);
  if (file < 0 || fd < 0 || fstat (file, &s) < 0)
    err (1, "%s, %s", argv[1], argv[2]);
  size = (uint64_t)s.st_size;
  undo = mmap (NULL, undo_size (size), PROT_READ, MAP_SHARED, fd, 0);
  if (undo == MAP_FAILED)
    err (1, "mmap");
  for (uint64_t b = 0; b < undo_blocks (size); b++)
    if (undo[b]) {
      if (pwrite (file, undo + undo_contents (size) + b * UNDO_BLOCK, UNDO_BLOCK,
                  (off_t)(b * UNDO_BLOCK))
          != UNDO_BLOCK)
        err (1, "%s", argv[1]);
      put_back++;
    }
  printf ("%ju blocks put back\n", (uintmax_t)put_back);
  return 0;
}
