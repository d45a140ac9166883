/* paths.c owns where programs, sockets and the plugin are. */
#include "common/paths.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

/* printf into a new string; NULL when out of memory. */
static char *format (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

static char *
format (const char *fmt, ...)
{
  char *text = NULL;
  va_list args;
  int n;

  va_start (args, fmt);
  n = vasprintf (&text, fmt, args);
  va_end (args);
  return n < 0 ? NULL : text;
}

/* The top of the build tree that `self` lies in (as TOP/folder/self), or NULL when it is installed.
 */
static char *
build_tree (const char *self)
{
  CLEANUP_FREE char *path = NULL, *mark = NULL;
  char *slash;

  path = realpath (self ? self : "/proc/self/exe", NULL);
  for (int up = 0; path && up < 2; up++) {
    slash = strrchr (path, '/');
    if (!slash || slash == path)
      return NULL;
    *slash = '\0';
  }
  mark = path ? format ("%s/meson-private", path) : NULL;
  return mark && access (mark, F_OK) == 0 ? strdup (path) : NULL;
}

char *
path_agent (const char *self)
{
  CLEANUP_FREE char *top = build_tree (self);

  return top ? format ("%s/kms/keyfence-agent", top)
             : strdup (KEYFENCE_LIBEXECDIR "/keyfence-agent");
}

char *
path_disk_file (const char *self)
{
  CLEANUP_FREE char *top = build_tree (self);

  return top ? format ("%s/tools/attach/keyfence-disk-file", top)
             : strdup (KEYFENCE_LIBEXECDIR "/keyfence-disk-file");
}

char *
path_plugin (const char *self)
{
  CLEANUP_FREE char *top = build_tree (self);

  return top ? format ("%s/nbd-plugin/nbdkit-keyfence-plugin.so", top) : strdup ("keyfence");
}

/* Makes the folder unless it is there; true when we can put sockets into it. */
static bool
usable (const char *folder, bool create, mode_t mode)
{
  if (create && mkdir (folder, mode) < 0 && errno != EEXIST)
    return false;
  return access (folder, W_OK | X_OK) == 0;
}

char *
path_rundir (bool create)
{
  const char *env = getenv ("KEYFENCE_RUNDIR"), *xdg = getenv ("XDG_RUNTIME_DIR");
  CLEANUP_FREE char *folder = NULL;

  if (env && env[0] == '/')
    return usable (env, create, 0700) ? strdup (env) : NULL;
  if (usable ("/run/keyfence", create, 0755))
    return strdup ("/run/keyfence");
  if (!xdg || xdg[0] != '/')
    return NULL;
  folder = format ("%s/keyfence", xdg);
  return folder && usable (folder, create, 0700) ? strdup (folder) : NULL;
}

char *
path_socket (const char *name, const char *which, bool create)
{
  CLEANUP_FREE char *folder = path_rundir (create);

  return folder ? format ("%s/%s.%s", folder, name, which) : NULL;
}

char *
path_config (const char *name)
{
  const char *env = getenv ("KEYFENCE_CONFDIR");

  return format ("%s/%s.conf", env && env[0] == '/' ? env : "/etc/keyfence", name);
}
