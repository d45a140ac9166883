/* audit-log.c owns the audit log's file: lines of JSON, each appended by one write. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nbd-plugin/tell/teller.h"

#define RETRY_MS 1000 /* while it can't be written */

struct audit {
  char *path;
  int fd; /* -1: to be opened again */
  dev_t device;
  ino_t inode;
  bool failing; /* and that was told */
  bool cut;     /* the file ends in the middle of a line */
  size_t lost;  /* could not be written when all was to end */
};

/* ---- the file ---- */

/* A full disk, or the death of who wrote before us, leaves half a line.  Who may not read the file
 * can't tell.
 */
static bool
ends_within_a_line (const char *path, off_t size)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  char last;

  return size > 0 && fd >= 0 && pread (fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* Only regular files: what else could be named may block, or has its own idea of lines. */
static int
open_file (struct audit *audit, struct error *err)
{
  CLEANUP_CLOSE int fd =
      open (audit->path,
            O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  struct stat st;

  if (fd < 0 && errno == ELOOP)
    return error_set (err, ERROR_USAGE, "audit-log %s is a symbolic link: name the file itself",
                      audit->path);
  if (fd < 0 && errno == ENOENT)
    return error_set (err, ERROR_NOT_FOUND,
                      "can't open audit-log %s: its folder does not exist: make it first",
                      audit->path);
  if (fd < 0 && errno != ENXIO) /* of a FIFO or socket */
    return error_set_errno (err, errno, "can't open audit-log %s", audit->path);
  if (fd < 0 || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return error_set (err, ERROR_USAGE, "audit-log %s is not a regular file", audit->path);
  audit->fd = fd;
  audit->device = st.st_dev;
  audit->inode = st.st_ino;
  audit->cut = ends_within_a_line (audit->path, st.st_size);
  fd = -1;
  return 0;
}

/* Rotation needs no signal: the file that the path names is looked at before each line. */
static int
follow_rotation (struct audit *audit, struct error *err)
{
  struct stat st;

  if (audit->fd >= 0
      && (lstat (audit->path, &st) < 0 || st.st_dev != audit->device
          || st.st_ino != audit->inode)) {
    close (audit->fd);
    audit->fd = -1;
  }
  return audit->fd >= 0 ? 0 : open_file (audit, err);
}

/* A line that a full disk has cut is ended before the next one, and written again as a whole. */
static int
append (struct audit *audit, const char *line, struct error *err)
{
  const char *text = audit->cut ? line : line + 1;
  size_t size = strlen (text);
  ssize_t n;

  do
    n = write (audit->fd, text, size);
  while (n < 0 && errno == EINTR);
  if (n == (ssize_t)size) {
    audit->cut = false;
    return 0;
  }
  if (n > 0)
    audit->cut = true;
  return error_set_errno (err, n < 0 ? errno : ENOSPC, "can't write audit-log %s", audit->path);
}

/* ---- its lane ---- */

/* Between two newlines; the caller frees. */
static char *
print_line (const struct record *record, const struct about *about)
{
  CLEANUP_FREE char *json = record_print (record, about);
  char *line = NULL;

  if (json && asprintf (&line, "\n%s\n", json) < 0)
    return NULL;
  return line;
}

static void
tell_failure (struct lane *lane, struct audit *audit, const struct error *err)
{
  if (!audit->failing)
    teller_log (lane->teller, true,
                "%s; it is tried again, and what does not fit into the queue is "
                "dropped and counted",
                err->text);
  audit->failing = true;
}

static void
tell_success (struct lane *lane, struct audit *audit)
{
  if (audit->failing)
    teller_log (lane->teller, false, "audit-log %s is written again", audit->path);
  audit->failing = false;
}

static void
audit_deliver (struct lane *lane, const struct record *record)
{
  struct audit *audit = lane->self;
  CLEANUP_FREE char *line = print_line (record, &lane->teller->about);
  struct error err = {0};

  if (!line) {
    lane_put (lane, NULL); /* counted */
    lane_pause (lane, RETRY_MS, false);
    return;
  }
  while (follow_rotation (audit, &err) < 0 || append (audit, line, &err) < 0) {
    tell_failure (lane, audit, &err);
    if (lane_pause (lane, RETRY_MS, false) == LANE_PAUSE_STOPPING) {
      audit->lost++;
      return;
    }
  }
  tell_success (lane, audit);
}

static void
audit_finish (struct lane *lane)
{
  const struct audit *audit = lane->self;

  if (audit->lost > 0)
    teller_log (lane->teller, true, "audit-log %s: the server ends, and %zu records are lost",
                audit->path, audit->lost);
}

static void
audit_close (void *self)
{
  struct audit *audit = self;

  if (!audit)
    return;
  if (audit->fd >= 0)
    close (audit->fd);
  free (audit->path);
  free (audit);
}

static int
audit_open (const struct tell_params *params, void **ret_self, struct error *err)
{
  struct audit *audit;

  if (!params->audit_log)
    return 0;
  audit = calloc (1, sizeof *audit);
  if (!audit)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  audit->fd = -1;
  audit->path = strdup (params->audit_log);
  if (!audit->path) {
    audit_close (audit);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  if (open_file (audit, err) < 0) {
    audit_close (audit);
    return -1;
  }
  *ret_self = audit;
  return 0;
}

const struct lane_work work_audit = {
    .name = "audit-log",
    .kinds = RECORD_BIT (RECORD_CHANGE) | RECORD_BIT (RECORD_OPERATION) | RECORD_BIT (RECORD_EVENT)
             | RECORD_BIT (RECORD_RESULT) | RECORD_BIT (RECORD_DROPPED),
    .open = audit_open,
    .deliver = audit_deliver,
    .finish = audit_finish,
    .close = audit_close,
};
