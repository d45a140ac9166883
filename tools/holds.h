/* What a file or block device holds before we write over it. */
#ifndef TOOLS_HOLDS_H
#define TOOLS_HOLDS_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

#define HOLDS_MAX 64

/* Looks for known file systems, partition tables and the like (libblkid), then for anything but
 * zeros in the first MiB.  *ret_holds is false for a blank one; else `ret_what` is as "ext4" or
 * "a dos partition table".
 */
int holds_something (int fd, const char *path, bool *ret_holds, char ret_what[HOLDS_MAX],
                     struct error *err) MUST_CHECK;

/* The file system that fills it, as "ext4".  Without one *ret_found is false, and `ret_type` what
 * is there instead, or empty.
 */
int holds_file_system (int fd, const char *path, bool *ret_found, char ret_type[HOLDS_MAX],
                       struct error *err) MUST_CHECK;

#endif
