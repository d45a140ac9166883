/* cmd-header-backup.c owns `keyfence header-backup`. */
#include <string.h>
#include <unistd.h>

#include "tools/arguments.h"
#include "tools/print.h"
#include "tools/volume.h"

static const struct option_spec options[] = {{NULL}};

/* A backup is worth what can be read back from it. */
static int
check_backup (const char *path, const char *uuid, struct error *err)
{
  CLEANUP_VOLUME struct volume backup = VOLUME_INIT;

  if (volume_open (path, false, &backup, err) < 0 || volume_load_copy (&backup, err) < 0)
    return error_prefix (err, "reading back the backup");
  if (strcmp (header_info (backup.header)->uuid, uuid) != 0)
    return error_set (err, ERROR_CORRUPT, "%s: reading it back found the header of another volume",
                      path);
  return 0;
}

static int
run (const struct arguments *args, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  const char *path = args->operands[0], *file = args->operands[1], *uuid;

  if (volume_open (path, false, &volume, err) < 0 || volume_load (&volume, false, err) < 0)
    return -1;
  uuid = header_info (volume.header)->uuid;
  if (access (file, F_OK) == 0)
    return error_set (err, ERROR_FOREIGN, "%s exists: choose another name or remove it", file);
  if (header_backup (path, file, err) < 0)
    return -1;
  if (check_backup (file, uuid, err) < 0) {
    unlink (file);
    return -1;
  }
  print_line ("saved the header of volume %s in %s", uuid, file);
  print_line ("keep it away from the volume; it opens the data to whoever has the key or a "
              "passphrase of it");
  return EXIT_DONE;
}

const struct command command_header_backup = {
    .name = "header-backup",
    .summary = "save a volume's header in a new file",
    .details = "The header holds the wraps and the passphrase keyslots: without it a volume is "
               "lost. PATH may be served meanwhile; no key is "
               "needed.",
    .operands = {{"PATH", VALUE_VOLUME_FILE}, {"FILE", VALUE_FILE}},
    .options = options,
    .run = run,
};
