/* snapshot.c owns the finding of volumes, and the making of facts from their servers' answers. */
#include "tools/exporter/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/io.h"
#include "common/paths.h"
#include "tools/exporter/ask.h"

/* Members and elements that an answer may have.  Looking for duplicates takes time by the square.
 */
#define COMMAS_MAX 8192

/* ---- finding ------------------------------------------------------------------------------------
 */

/* The length of NAME in "NAME.sock", or 0. */
static size_t
name_length (const char *file)
{
  static const char suffix[] = ".sock";
  size_t length = strlen (file), end = sizeof suffix - 1;

  return length > end && strcmp (file + length - end, suffix) == 0 ? length - end : 0;
}

/* A volume's name: what is not printable ASCII as %XX, so that different files have names that stay
 * different wherever they are shown.
 */
static char *
make_name (const char *file)
{
  size_t length = name_length (file), used = 0;
  char *name = malloc (3 * length + 1);

  if (!name)
    return NULL;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)file[i];

    if (c > ' ' && c <= '~' && c != '%')
      name[used++] = file[i];
    else
      used += (size_t)snprintf (name + used, 4, "%%%02X", c);
  }
  name[used] = '\0';
  return name;
}

static int
add (struct snapshot *snapshot, const char *file)
{
  struct volume *volume = &snapshot->volumes[snapshot->count];

  *volume = (struct volume){.name = make_name (file)};
  snapshot->count++;
  if (asprintf (&volume->path, "%s/%s", snapshot->folder, file) < 0)
    volume->path = NULL;
  return volume->name && volume->path ? 0 : -1;
}

static int
by_name (const void *a, const void *b)
{
  return strcmp (((const struct volume *)a)->name, ((const struct volume *)b)->name);
}

static int
say_unreadable (struct snapshot *snapshot, const char *why)
{
  snapshot->folder_error = strdup (why);
  return snapshot->folder_error ? 0 : -1;
}

static int
find_all (struct snapshot *snapshot)
{
  CLEANUP_CLOSEDIR DIR *dir = opendir (snapshot->folder);
  struct stat st;

  if (!dir)
    return say_unreadable (snapshot, strerror (errno));
  for (struct dirent *entry; (entry = readdir (dir));) {
    if (name_length (entry->d_name) == 0 || fstatat (dirfd (dir), entry->d_name, &st, 0) < 0
        || !S_ISSOCK (st.st_mode))
      continue;
    if (snapshot->count == SNAPSHOT_VOLUMES_MAX)
      snapshot->left_out++;
    else if (add (snapshot, entry->d_name) < 0)
      return -1;
  }
  if (snapshot->count > 0)
    qsort (snapshot->volumes, snapshot->count, sizeof snapshot->volumes[0], by_name);
  return 0;
}

/* ---- asking -------------------------------------------------------------------------------------
 */

struct json *
snapshot_parse (const char *answer, const char **ret_why)
{
  CLEANUP_JSON struct json *json = NULL;
  struct json *facts;
  size_t commas = 0;

  for (const char *p = answer; *p; p++)
    commas += *p == ',';
  json = commas <= COMMAS_MAX ? json_parse (answer, strlen (answer)) : NULL;
  if (!json_is_object (json)) {
    *ret_why = "its control socket speaks another language: is it another program's?";
    return NULL;
  }
  if (json_get (json, "error")) {
    *ret_why = SNAPSHOT_REFUSED;
    return NULL;
  }
  facts = json;
  json = NULL;
  return facts;
}

static int
take_answer (struct volume *volume, struct ask *ask)
{
  CLEANUP_FREE char *answer = ask->answer;
  const char *why = ask->error;

  ask->answer = NULL;
  if (answer)
    volume->facts = snapshot_parse (answer, &why);
  free (volume->error);
  volume->error = volume->facts ? NULL : strdup (why);
  return volume->facts || volume->error ? 0 : -1;
}

/* Sends `command` to the volumes without facts whose `error` is this one (NULL: none yet). */
static int
ask_those (struct snapshot *snapshot, const char *error, const char *command)
{
  CLEANUP_FREE struct ask *asks = calloc (snapshot->count + 1, sizeof *asks);
  CLEANUP_FREE size_t *of = calloc (snapshot->count + 1, sizeof *of);
  size_t count = 0;
  int r = 0;

  if (!asks || !of)
    return -1;
  for (size_t i = 0; i < snapshot->count; i++) {
    const struct volume *volume = &snapshot->volumes[i];

    if (volume->facts || !volume->error != !error || (error && strcmp (volume->error, error) != 0))
      continue;
    asks[count].path = volume->path;
    of[count++] = i;
  }
  ask_all (asks, count, command);
  for (size_t i = 0; i < count; i++)
    if (take_answer (&snapshot->volumes[of[i]], &asks[i]) < 0)
      r = -1;
  return r;
}

const char *
volume_title (const struct volume *volume)
{
  const char *label = json_get_string (volume->facts, "label");
  const char *path = json_get_string (volume->facts, "path");
  const char *slash = path ? strrchr (path, '/') : NULL;

  if (label && *label)
    return label;
  if (slash && slash[1])
    return slash + 1;
  return path && *path ? path : volume->name;
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

static int64_t
wall_clock_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Servers need a folder that can be written.  We don't: it may be mounted for reading only. */
static char *
usual_folder (void)
{
  const char *env = getenv ("KEYFENCE_RUNDIR");
  char *folder = path_rundir (false);

  return folder ? folder : strdup (env && env[0] == '/' ? env : "/run/keyfence");
}

int
snapshot_take (const char *folder, struct snapshot *ret)
{
  CLEANUP_SNAPSHOT struct snapshot snapshot = {0};
  uint64_t start_ms = clock_ms ();

  snapshot.volumes = calloc (SNAPSHOT_VOLUMES_MAX, sizeof *snapshot.volumes);
  snapshot.folder = folder ? strdup (folder) : usual_folder ();
  /* A server older than this program has no metrics, but it has a status. */
  if (!snapshot.volumes || !snapshot.folder || find_all (&snapshot) < 0
      || ask_those (&snapshot, NULL, "metrics") < 0
      || ask_those (&snapshot, SNAPSHOT_REFUSED, "status") < 0)
    return -1;
  snapshot.time_unix_ms = wall_clock_ms ();
  snapshot.duration_s = (double)(clock_ms () - start_ms) / 1000;
  *ret = snapshot;
  snapshot = (struct snapshot){0};
  return 0;
}

void
snapshot_clear (struct snapshot *snapshot)
{
  for (size_t i = 0; i < snapshot->count; i++) {
    free (snapshot->volumes[i].name);
    free (snapshot->volumes[i].path);
    free (snapshot->volumes[i].error);
    json_free (snapshot->volumes[i].facts);
  }
  free (snapshot->volumes);
  free (snapshot->folder);
  free (snapshot->folder_error);
  *snapshot = (struct snapshot){0};
}
