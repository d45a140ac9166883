/* slow-exit.c owns a process that is slow to leave: an LD_PRELOAD library that holds up exit () in
 * nbdkit, whose first process exits when the server is in the background.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__ ((visibility ("default"), noreturn)) void
exit (int status)
{
  void (*real_exit) (int) __attribute__ ((noreturn)) = dlsym (RTLD_NEXT, "exit");

  if (strcmp (program_invocation_short_name, "nbdkit") == 0)
    usleep (500 * 1000);
  real_exit (status);
}
