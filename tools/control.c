/* control.c owns which control socket a name means. */
#include "tools/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/lock.h"
#include "common/parse.h"
#include "common/paths.h"
#include "common/text.h"
#include "common/unix-socket.h"
#include "tools/volume-config.h"
#include "tools/volume.h"

/* A server that was killed leaves its socket behind. */
static bool
somebody_listens (const char *path)
{
  CLEANUP_CLOSE int fd = -1;
  int r = unix_socket_connect (path, SOCK_STREAM, &fd);

  return r != -ENOENT && r != -ECONNREFUSED;
}

/* The default control socket of a volume, where there is one. */
static int
find_by_uuid (const char *uuid, char **ret_socket_path, struct error *err)
{
  CLEANUP_FREE char *path = path_socket (uuid, "sock", false);

  if (!path || !somebody_listens (path))
    return error_set (err, ERROR_NOT_FOUND,
                      "volume %s is not served: keyfence serve starts it (if it is served by "
                      "another user or with control=PATH, name that socket)",
                      uuid);
  *ret_socket_path = path;
  path = NULL;
  return 0;
}

/* A copy of a volume has its uuid too: the server must serve this very file. */
static int
check_served_file (const struct volume *volume, const char *socket_path, struct error *err)
{
  CLEANUP_JSON struct json *status = NULL;
  const char *served;
  struct stat asked, found;

  if (control_ask (socket_path, "status", &status, err) < 0)
    return -1;
  served = json_get_string (status, "path");
  if (!served || stat (served, &found) < 0 || fstat (volume->fd, &asked) < 0
      || (found.st_dev == asked.st_dev && found.st_ino == asked.st_ino))
    return 0;
  return error_set (err, ERROR_NOT_FOUND,
                    "%s is not served at %s: another file with the same uuid is, %s", volume->path,
                    socket_path, served);
}

static int
find_by_file (const char *file, char **ret_socket_path, struct error *err)
{
  CLEANUP_VOLUME struct volume volume = VOLUME_INIT;
  CLEANUP_FREE char *path = NULL, *folder = path_rundir (false);
  char holder[VOLUME_HOLDER_MAX];

  if (volume_open (file, false, &volume, err) < 0 || volume_load (&volume, false, err) < 0)
    return -1;
  if (find_by_uuid (header_info (volume.header)->uuid, &path, err) == 0) {
    if (check_served_file (&volume, path, err) < 0)
      return -1;
    *ret_socket_path = path;
    path = NULL;
    return 0;
  }
  if (volume_is_in_use (volume.fd, holder))
    return error_set (
        err, ERROR_NOT_FOUND,
        "%s is in use by %s, which has no control socket in %s: name the socket that "
        "its control= gives it, if it has one, or set the KEYFENCE_RUNDIR that it has",
        file, holder, folder ? folder : "a folder of this user");
  return error_set (err, ERROR_NOT_FOUND, "%s is not served: start it with keyfence serve %s", file,
                    file);
}

/* Asks the server at folder/name for its label; true when that is it. */
static bool
has_label (const char *socket_path, const char *label)
{
  CLEANUP_JSON struct json *reply = NULL;
  const char *found;

  if (control_ask (socket_path, "status", &reply, NULL) < 0)
    return false;
  found = json_get_string (reply, "label");
  return found && strcmp (found, label) == 0;
}

/* Takes the path. */
static int
append (struct control_list *list, char *path, struct error *err)
{
  char **paths = reallocarray (list->paths, list->count + 1, sizeof (char *));

  if (!paths) {
    free (path);
    return error_set (err, ERROR_SYSTEM, "out of memory");
  }
  paths[list->count++] = path;
  list->paths = paths;
  return 0;
}

int
control_list (struct control_list *ret, struct error *err)
{
  CLEANUP_CONTROL_LIST struct control_list list = {0};
  CLEANUP_FREE char *folder = path_rundir (false);
  CLEANUP_CLOSEDIR DIR *dir = folder ? opendir (folder) : NULL;

  for (struct dirent *entry; dir && (entry = readdir (dir));) {
    char *path;

    if (!text_ends_with (entry->d_name, ".sock"))
      continue;
    if (asprintf (&path, "%s/%s", folder, entry->d_name) < 0)
      return error_set (err, ERROR_SYSTEM, "out of memory");
    if (!somebody_listens (path))
      free (path);
    else if (append (&list, path, err) < 0)
      return -1;
  }
  *ret = list;
  list = (struct control_list){0};
  return 0;
}

void
control_list_clear (struct control_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    free (list->paths[i]);
  free (list->paths);
  *list = (struct control_list){0};
}

static int
find_by_label (const char *label, char **ret_socket_path, struct error *err)
{
  CLEANUP_CONTROL_LIST struct control_list list = {0};
  CLEANUP_FREE char *path = NULL;

  if (control_list (&list, err) < 0)
    return -1;
  for (size_t i = 0; i < list.count; i++) {
    if (!has_label (list.paths[i], label))
      continue;
    if (path)
      return error_set (err, ERROR_USAGE,
                        "several volumes called \"%s\" are served: name one by its path or uuid",
                        label);
    path = list.paths[i];
    list.paths[i] = NULL;
  }
  if (!path)
    return error_set (err, ERROR_NOT_FOUND,
                      "nothing called \"%s\" is served, neither a file nor a uuid nor a label",
                      label);
  *ret_socket_path = path;
  path = NULL;
  return 0;
}

/* At the socket that it names, if it does, else at that of its volume. */
static int
find_by_config (const char *name, char **ret_socket_path, struct error *err)
{
  CLEANUP_CONFIG struct config config = {0};
  const char *control;

  if (config_load (name, &config, err) < 0)
    return -1;
  control = config_parameter (&config, "control");
  if (!control || strcmp (control, "none") == 0)
    return find_by_file (config.path, ret_socket_path, err);
  *ret_socket_path = strdup (control);
  return *ret_socket_path ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
}

int
control_find (const char *name, char **ret_socket_path, struct error *err)
{
  struct stat st;
  bool exists = stat (name, &st) == 0;

  if (config_is_meant (name))
    return find_by_config (name, ret_socket_path, err);
  if (exists && S_ISSOCK (st.st_mode)) {
    *ret_socket_path = strdup (name);
    return *ret_socket_path ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
  }
  if (exists || strchr (name, '/'))
    return find_by_file (name, ret_socket_path, err);
  if (is_uuid (name)) {
    char uuid[UUID_TEXT_MAX];

    uuid_lower (name, uuid);
    return find_by_uuid (uuid, ret_socket_path, err);
  }
  return find_by_label (name, ret_socket_path, err);
}
