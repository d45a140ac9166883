/* activation.c owns the look at the sockets that a service manager has given us. */
#include "common/activation.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/parse.h"

static uint64_t
number_of (const char *variable)
{
  const char *text = getenv (variable);
  uint64_t number;

  return text && parse_uint (text, 1, INT32_MAX, &number, NULL) == 0 ? number : 0;
}

unsigned
activation_count (void)
{
  return number_of ("LISTEN_PID") == (uint64_t)getpid () ? (unsigned)number_of ("LISTEN_FDS") : 0;
}

char *
activation_path (void)
{
  struct sockaddr_un address = {0};
  socklen_t size = sizeof address - 1; /* so that the path ends */

  if (getsockname (ACTIVATION_FIRST_FD, (struct sockaddr *)&address, &size) < 0
      || address.sun_family != AF_UNIX || address.sun_path[0] != '/')
    return NULL;
  return strdup (address.sun_path);
}

void
activation_forget (void)
{
  unsetenv ("LISTEN_PID");
  unsetenv ("LISTEN_FDS");
  unsetenv ("LISTEN_FDNAMES");
}
