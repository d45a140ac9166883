/* cmd-destroy.c owns `keyfence destroy`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/parse.h"
#include "tools/arguments.h"
#include "tools/print.h"
#include "tools/volume.h"

enum { YES, KEEP_FILE };

static const struct option_spec options[] = {
    [YES] = {"yes", NULL, "don't ask"},
    [KEEP_FILE] = {"keep-file", NULL, "leave the file, whose data nobody can read any more"},
    {NULL},
};

/* Only the whole word counts. */
static int
ask (const struct volume *volume, struct error *err)
{
  const struct header_info *info = header_info (volume->header);
  char size[FORMAT_SIZE_MAX], answer[16];

  if (!isatty (STDIN_FILENO))
    return error_set (err, ERROR_USAGE,
                      "this makes the data on %s unreadable for ever, and there is no terminal to "
                      "ask: --yes says that you mean it",
                      volume->path);
  format_size (volume_data_bytes (volume), size);
  fflush (stdout);
  fprintf (stderr,
           "This destroys the header of %s\n"
           "  volume %s, label \"%s\", %s\n"
           "Nobody can read its data again, with any key. Type yes to do it: ",
           volume->path, info->uuid, info->label, size);
  if (fgets (answer, sizeof answer, stdin) && strcmp (answer, "yes\n") == 0)
    return 0;
  return error_set (err, ERROR_SYSTEM, "the answer was not yes: nothing was done");
}

/* Through symbolic links, so that the data goes and not only a name for it. */
static int
remove_file (const char *path, struct error *err)
{
  CLEANUP_FREE char *real = realpath (path, NULL);

  if (!real || unlink (real) < 0)
    return error_set_errno (err, errno, "the header is destroyed, but removing %s", path);
  return 0;
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  const char *path = args->operands[0];
  const struct header_info *info;
  bool remove;

  if (volume_open (path, true, &volume, err) < 0 || volume_load_copy (&volume, err) < 0)
    return -1;
  info = header_info (volume.header);
  remove = !volume.block_device && !args->options[KEEP_FILE];
  if (!args->options[YES] && ask (&volume, err) < 0)
    return -1;
  if (volume_check_same (&volume, err) < 0)
    return -1;
  if (header_destroy (path, info->data_offset_bytes, err) < 0)
    return -1;
  if (remove && (volume_check_same (&volume, err) < 0 || remove_file (path, err) < 0))
    return -1;
  print_line ("destroyed volume %s%s%s", info->uuid, remove ? " and removed " : "",
              remove ? path : "");
  print_line ("header backups and copies of the volume, if there are any, can still be opened");
  return EXIT_DONE;
}

const struct command command_destroy = {
    .name = "destroy",
    .summary = "make a volume unreadable for ever",
    .details = "Overwrites the header, then removes the file. Asks for confirmation on a terminal; "
               "without one it needs --yes. PATH must not be "
               "served. No key is needed.",
    .operands = {{"PATH", VALUE_VOLUME_FILE}},
    .options = options,
    .run = run,
};
