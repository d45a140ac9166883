/* holds.c is the only file that knows libblkid. */
#include "tools/holds.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkid.h>

#define LOOKED_AT_BYTES 1048576

static void
cleanup_probe (blkid_probe *probe)
{
  blkid_free_probe (*probe);
}

#define PROBE_FOUND 0
#define PROBE_NOTHING 1
#define PROBE_SEVERAL -2

static int
probe_signatures (int fd, const char *path, bool *ret_holds, char ret_what[HOLDS_MAX],
                  struct error *err)
{
  CLEANUP (cleanup_probe)
  blkid_probe probe = blkid_new_probe ();
  const char *name;
  int r;

  if (!probe || blkid_probe_set_device (probe, fd, 0, 0) < 0
      || blkid_probe_enable_superblocks (probe, 1) < 0
      || blkid_probe_set_superblocks_flags (probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC) < 0
      || blkid_probe_enable_partitions (probe, 1) < 0)
    return error_set (err, ERROR_SYSTEM, "%s: libblkid can't look at what it holds", path);
  r = blkid_do_safeprobe (probe);
  if (r == PROBE_NOTHING)
    *ret_holds = false;
  else if (r == PROBE_SEVERAL || r == PROBE_FOUND) {
    *ret_holds = true;
    if (r == PROBE_SEVERAL)
      snprintf (ret_what, HOLDS_MAX, "several file systems' signatures");
    else if (blkid_probe_lookup_value (probe, "TYPE", &name, NULL) == 0)
      snprintf (ret_what, HOLDS_MAX, "%s", name);
    else if (blkid_probe_lookup_value (probe, "PTTYPE", &name, NULL) == 0)
      snprintf (ret_what, HOLDS_MAX, "a %s partition table", name);
    else
      snprintf (ret_what, HOLDS_MAX, "a known signature");
  }
  else
    return error_set (err, ERROR_SYSTEM, "%s: libblkid can't tell what it holds", path);
  return 0;
}

int
holds_file_system (int fd, const char *path, bool *ret_found, char ret_type[HOLDS_MAX],
                   struct error *err)
{
  CLEANUP (cleanup_probe)
  blkid_probe probe = blkid_new_probe ();
  const char *type, *usage;
  int r;

  if (!probe || blkid_probe_set_device (probe, fd, 0, 0) < 0
      || blkid_probe_enable_superblocks (probe, 1) < 0
      || blkid_probe_set_superblocks_flags (probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE) < 0)
    return error_set (err, ERROR_SYSTEM, "%s: libblkid can't look at what it holds", path);
  r = blkid_do_safeprobe (probe);
  if (r != PROBE_FOUND && r != PROBE_NOTHING && r != PROBE_SEVERAL)
    return error_set_errno (err, errno ? errno : EIO, "looking for a file system on %s", path);
  ret_type[0] = '\0';
  *ret_found = false;
  if (r == PROBE_SEVERAL)
    snprintf (ret_type, HOLDS_MAX, "several file systems' signatures");
  else if (r == PROBE_FOUND && blkid_probe_lookup_value (probe, "TYPE", &type, NULL) == 0) {
    snprintf (ret_type, HOLDS_MAX, "%s", type);
    *ret_found = blkid_probe_lookup_value (probe, "USAGE", &usage, NULL) == 0
                 && strcmp (usage, "filesystem") == 0;
  }
  return 0;
}

/* Whether the first MiB (or less, where it is shorter) is all zeros. */
static int
is_blank (int fd, const char *path, bool *ret_blank, struct error *err)
{
  CLEANUP_FREE uint8_t *buf = malloc (LOOKED_AT_BYTES);
  size_t used = 0;

  if (!buf)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  while (used < LOOKED_AT_BYTES) {
    ssize_t n = pread (fd, buf + used, LOOKED_AT_BYTES - used, (off_t)used);

    if (n == 0)
      break;
    if (n > 0)
      used += (size_t)n;
    else if (errno != EINTR)
      return error_set_errno (err, errno, "%s", path);
  }
  *ret_blank = true;
  for (size_t i = 0; i < used && *ret_blank; i++)
    *ret_blank = buf[i] == 0;
  return 0;
}

int
holds_something (int fd, const char *path, bool *ret_holds, char ret_what[HOLDS_MAX],
                 struct error *err)
{
  bool blank;

  if (probe_signatures (fd, path, ret_holds, ret_what, err) < 0)
    return -1;
  if (*ret_holds)
    return 0;
  if (is_blank (fd, path, &blank, err) < 0)
    return -1;
  if (!blank)
    snprintf (ret_what, HOLDS_MAX, "data of an unknown kind");
  *ret_holds = !blank;
  return 0;
}
