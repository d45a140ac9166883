/* sanitizer-first.c owns the order of initialisation under a preloaded sanitizer.
 *
 * The runtime starts at the first malloc, and asks dlerror for a translated message then.  A
 * library that nbdkit links (p11-kit) makes that first call inside newlocale, which holds the lock
 * that the translation takes too, and leaves it broken: the next newlocale hangs.  Linked with -z
 * initfirst, this constructor calls malloc before any other library does.
 */
#include <stdlib.h>

static void *volatile first;

static void __attribute__ ((constructor)) allocate_first (void)
{
  first = malloc (1);
  free (first);
}
