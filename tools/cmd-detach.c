/* cmd-detach.c owns `keyfence detach`. */
#include <stdio.h>

#include "tools/arguments.h"
#include "tools/attach/attach.h"

enum { FORCE };

static const struct option_spec options[] = {
    [FORCE] = {"force", NULL,
               "even when it is in use: all I/O fails from now on, and what is not synced IS LOST"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_ATTACHMENT struct attachment attachment = ATTACHMENT_INIT;

  if (attachment_find (args->operands[0], &attachment, err) < 0)
    return -1;
  return attach_end (&attachment, args->options[FORCE], err) < 0 ? -1 : EXIT_DONE;
}

const struct command command_detach = {
    .name = "detach",
    .summary = "unmount and take away what attach has made",
    .details = "Unmounts the file system, writes out what is left, and takes the device away. A "
               "file system or device that is in use is left as it is, and who uses it is named. "
               "A fenced volume can be detached, and so can one whose server is gone.",
    .operands = {{"VOLUME|DEVICE|MOUNTPOINT", VALUE_VOLUME}},
    .options = options,
    .run = run,
};
