/* block-pread: preloaded into the agent, makes a read of a key hang as on a dead network disk, as
 * long as the file that KEYFENCE_TEST_BLOCK names exists.
 */
#undef _FORTIFY_SOURCE /* which makes an inline function of pread */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__ ((visibility ("default"))) ssize_t
pread (int fd, void *buf, size_t size, off_t offset)
{
  const char *path = getenv ("KEYFENCE_TEST_BLOCK");

  while (path && access (path, F_OK) == 0)
    pause ();
  return syscall (SYS_pread64, fd, buf, size, offset);
}
