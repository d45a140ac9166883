/* What is known of all volumes of the host at one moment.
 *
 * A volume is a control socket, FOLDER/NAME.sock (NAME is its uuid unless control= says otherwise),
 * whether a server answers there or not.  Names, and so the volumes of a snapshot, are unique.
 */
#ifndef EXPORTER_SNAPSHOT_H
#define EXPORTER_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/json.h"

#define SNAPSHOT_VOLUMES_MAX 1000

/* The error of a volume whose server answered that it doesn't know the command. */
#define SNAPSHOT_REFUSED "the server does not tell its facts: is it of another version?"

struct volume {
  char *name;         /* of the socket, without ".sock"; printable ASCII (others as %XX) */
  char *path;         /* of the socket */
  struct json *facts; /* what the server told (every member may be missing); NULL: nothing */
  char *error;        /* why there are no facts; NULL when there are */
};

struct snapshot {
  int64_t time_unix_ms;
  double duration_s;      /* that it took */
  char *folder;           /* of the sockets */
  char *folder_error;     /* why it could not be read; NULL when it could */
  struct volume *volumes; /* by name */
  size_t count;
  size_t left_out; /* sockets beyond SNAPSHOT_VOLUMES_MAX */
};

/* Looks into `folder` (NULL: the usual one) and asks everyone there.  Takes no longer than
 * 2 * ASK_TOTAL_MS.  Returns 0, or -1 when out of memory (then *ret is untouched).
 */
int snapshot_take (const char *folder, struct snapshot *ret) MUST_CHECK;

/* The facts in a server's answer; NULL, and a sentence in *ret_why, when it is none. */
struct json *snapshot_parse (const char *answer, const char **ret_why) MUST_CHECK;

/* What people call the volume: its label, else its file's name, else its socket's.  Foreign. */
const char *volume_title (const struct volume *volume);

void snapshot_clear (struct snapshot *snapshot);
#define CLEANUP_SNAPSHOT CLEANUP (snapshot_clear)

#endif
