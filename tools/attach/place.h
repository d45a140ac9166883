/* Paths that root acts on: names of devices, mount points.  Nobody else may be able to put another
 * thing there meanwhile.
 */
#ifndef ATTACH_PLACE_H
#define ATTACH_PLACE_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

/* The real path of an existing folder, of which no part but the last can be replaced by others than
 * root and us; a new string.  ERROR_USAGE, and ERROR_NOT_FOUND when there is none.
 */
int place_folder (const char *path, char **ret_path, struct error *err) MUST_CHECK;

/* The real path of a name that a symlink is to get: its folder exists (the one in /dev is made) and
 * belongs to us alone, and there is nothing, or a symlink, of that name.  A new string.
 */
int place_name (const char *path, char **ret_path, struct error *err) MUST_CHECK;

/* Makes the symlink, instead of one that is there; removes it if it still leads to `device`. */
int place_link (const char *name, const char *device, struct error *err) MUST_CHECK;
void place_unlink (const char *name, const char *device);

#endif
