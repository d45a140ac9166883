/* cmd-header-restore.c owns `keyfence header-restore`. */
#include "tools/arguments.h"
#include "tools/print.h"
#include "tools/volume.h"

enum { FORCE };

static const struct option_spec options[] = {
    [FORCE] = {"force", NULL,
               "also where PATH has the header of another volume, whose data is lost by it"},
    {NULL},
};

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  const char *path = args->operands[0], *file = args->operands[1];
  const struct wrap *wrap;

  if (volume_open (path, true, &volume, err) < 0 || volume_check_same (&volume, err) < 0
      || header_restore (path, file, args->options[FORCE], err) < 0
      || volume_load (&volume, true, err) < 0)
    return -1;
  wrap = token_primary (header_token (volume.header));
  print_line ("restored the header of volume %s from %s", header_info (volume.header)->uuid, file);
  if (wrap)
    print_line ("it is wrapped by %s", wrap->key);
  return EXIT_DONE;
}

const struct command command_header_restore = {
    .name = "header-restore",
    .summary = "put a saved header back on its volume",
    .details = "FILE was made by header-backup. It must be a keyfence volume's header and, where "
               "PATH still has a header that "
               "can be read, of the same volume. PATH must not be served meanwhile.",
    .operands = {{"PATH", VALUE_VOLUME_FILE}, {"FILE", VALUE_FILE}},
    .options = options,
    .run = run,
};
