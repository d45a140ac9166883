/* program.c owns how programs are started. */
#include "common/program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define CLEANUP_ATTRIBUTES CLEANUP (cleanup_attributes)

static void
cleanup_attributes (posix_spawnattr_t *attributes)
{
  posix_spawnattr_destroy (attributes);
}

static int
set_attributes (posix_spawnattr_t *attributes)
{
  sigset_t none, all;
  int r;

  sigemptyset (&none);
  sigfillset (&all);
  r = posix_spawnattr_setflags (attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK
                                                | POSIX_SPAWN_SETSIGDEF);
  if (r == 0)
    r = posix_spawnattr_setpgroup (attributes, 0);
  if (r == 0)
    r = posix_spawnattr_setsigmask (attributes, &none);
  if (r == 0)
    r = posix_spawnattr_setsigdefault (attributes, &all);
  return r;
}

int
program_start (const char *path, char *const words[], char *const environment[],
               posix_spawn_file_actions_t *actions, int fd_count, pid_t *ret_pid)
{
  CLEANUP_ATTRIBUTES posix_spawnattr_t attributes;
  int r;

  /* It can't fail in glibc; musl and the BSDs are no target. */
  posix_spawnattr_init (&attributes);
  r = posix_spawn_file_actions_addclosefrom_np (actions, fd_count);
  if (r == 0)
    r = set_attributes (&attributes);
  return r == 0 ? posix_spawn (ret_pid, path, actions, &attributes, words, environment) : r;
}

int
program_start_with_output (const char *path, char *const words[], int output_fd, pid_t *ret_pid)
{
  CLEANUP_ACTIONS posix_spawn_file_actions_t actions;
  int r;

  posix_spawn_file_actions_init (&actions);
  r = posix_spawn_file_actions_addopen (&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (r == 0)
    r = posix_spawn_file_actions_adddup2 (&actions, output_fd, STDOUT_FILENO);
  if (r == 0)
    r = posix_spawn_file_actions_adddup2 (&actions, output_fd, STDERR_FILENO);
  return r == 0 ? program_start (path, words, environ, &actions, STDERR_FILENO + 1, ret_pid) : r;
}
