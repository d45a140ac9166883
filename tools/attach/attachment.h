/* What is attached: one volume, the block device that it has become, and where that is mounted.
 *
 * The facts are in the file state.json of the folder RUNDIR/UUID.attach (mode 0700), which is
 * written before and behind every step, so that whoever comes after a crash knows what may be
 * there. Beside it is a lock file with two locks (fcntl), which go with their process: one for who
 * changes something just now, one for the resident process, which stays while the volume is
 * attached.
 */
#ifndef ATTACH_ATTACHMENT_H
#define ATTACH_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

struct way;

/* Strings are owned; NULL: none. */
struct attachment {
  const struct way *way;
  char *folder;
  int lock_fd;
  char *volume; /* its uuid */
  char *name;   /* of its configuration file */
  char *label, *path, *control;
  char *socket; /* the server's, for NBD */
  char *device; /* /dev/loop0, /dev/nbd0; NULL until there is one */
  char *link, *mountpoint, *options;
  bool read_only;
  uint64_t size_bytes, sector_size, connections;
  uint64_t timeout_s;   /* a request without an answer is sent again behind this */
  uint64_t reconnect_s; /* how long requests wait for a server that is gone */
  uint64_t helper_pid;  /* a program that the way needs; 0: none */
};

#define ATTACHMENT_INIT \
  {                     \
    .lock_fd = -1       \
  }
#define CLEANUP_ATTACHMENT CLEANUP (attachment_clear)

/* Opens the folder of volume `uuid`, which is made where it is missing, and takes the lock of who
 * changes something: ERROR_BUSY names who has it.
 */
int attachment_open (const char *uuid, struct attachment *ret, struct error *err) MUST_CHECK;

/* The same for what is called `name` and attached: a volume's uuid, the name of its configuration,
 * label, path or control socket, a device or its name, a mount point.  The facts are loaded.
 * ERROR_NOT_FOUND.
 */
int attachment_find (const char *name, struct attachment *ret, struct error *err) MUST_CHECK;

/* Loads the facts: 1, or 0 when there are none. */
int attachment_load (struct attachment *a, struct error *err) MUST_CHECK;
int attachment_save (const struct attachment *a, struct error *err) MUST_CHECK;

/* Removes the folder. */
void attachment_remove (struct attachment *a);

/* This process is the resident one from now on. */
int attachment_stay (struct attachment *a, struct error *err) MUST_CHECK;
/* Lets go of the lock of who changes something; and takes it again. */
void attachment_settle (struct attachment *a);
int attachment_resume (struct attachment *a, struct error *err) MUST_CHECK;

/* The resident process, other than this one; 0: none. */
pid_t attachment_resident (const struct attachment *a);

/* The facts for people's and programs' eyes. */
struct json *attachment_facts (const struct attachment *a) MUST_CHECK;

/* "DEVICE, mounted at MOUNTPOINT" or so; a new string, NULL when out of memory. */
char *attachment_where (const struct attachment *a) MUST_CHECK;

/* A file in the folder; a new string, NULL when out of memory. */
char *attachment_file (const struct attachment *a, const char *name) MUST_CHECK;

void attachment_clear (struct attachment *a);

#endif
