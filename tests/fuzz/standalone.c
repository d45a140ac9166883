/* Runs a fuzz target over the files and folders named, so that any compiler's build runs the corpus
 * as an ordinary test.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/io.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1 << 20)
#define PATH_BYTES 4096

static size_t inputs;

static int
run_file (const char *path)
{
  CLEANUP_FREE char *text = NULL;
  size_t size;

  if (read_file (path, INPUT_MAX, &text, &size) < 0) {
    fprintf (stderr, "%s: can't be read\n", path);
    return -1;
  }
  LLVMFuzzerTestOneInput ((const uint8_t *)text, size);
  inputs++;
  return 0;
}

static int
run_folder (const char *path)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir (path);
  const struct dirent *entry;
  char file[PATH_BYTES];

  while (dir && (entry = readdir (dir))) {
    if (entry->d_name[0] == '.')
      continue;
    snprintf (file, sizeof file, "%s/%s", path, entry->d_name);
    if (run_file (file) < 0)
      return -1;
  }
  return dir ? 0 : -1;
}

int
main (int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    struct stat st;
    int r = stat (argv[i], &st);

    if (r == 0)
      r = S_ISDIR (st.st_mode) ? run_folder (argv[i]) : run_file (argv[i]);
    if (r < 0)
      return 1;
  }
  printf ("%zu inputs\n", inputs);
  return inputs == 0;
}
