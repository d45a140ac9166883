/* Socket activation (sd_listen_fds(3)): a service manager keeps the listening socket, so that
 * clients wait while the program that it starts there is exchanged.
 */
#ifndef COMMON_ACTIVATION_H
#define COMMON_ACTIVATION_H

#include "common/cleanup.h"

#define ACTIVATION_FIRST_FD 3

/* How many listening sockets this process was given, on the descriptors from ACTIVATION_FIRST_FD
 * on; 0: it was started otherwise.  They stay with it when it becomes another program.
 */
unsigned activation_count (void);

/* The path of the first of them, as a new string; NULL when it is none of a path. */
char *activation_path (void) MUST_CHECK;

/* Takes the announcement out of the environment, so that no child believes that it is meant. */
void activation_forget (void);

#endif
