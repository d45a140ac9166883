/* The end of a server whose clients are still there.
 *
 * nbdkit that is told to end answers what still comes with ESHUTDOWN, and waits for as long as a
 * client asks nothing.  To a file system or a machine that is an error of its disk.  So here nobody
 * is refused once the end has begun: requests are answered with success or not at all, the keys are
 * wiped, and the process ends, and with it the connections.  Clients that connect again (QEMU's
 * reconnect-delay, kernel nbd) then ask the next server, and nobody behind them notices.  What was
 * acknowledged is in the kernel's hands or on the disk, as it is when the process is killed.
 */
#ifndef NBD_PLUGIN_ENDING_H
#define NBD_PLUGIN_ENDING_H

#include "common/cleanup.h"
#include "common/error.h"

/* From now on the first signal that ends nbdkit calls `told` (in its handler), and where there are
 * clients then `stop`, in a thread made for that, which wipes the keys and ends what else runs;
 * then the process ends.  Where there are none, nbdkit ends in its own way; but since it waits for
 * who has connected and says nothing, it is not waited for long.
 */
int ending_prepare (void (*told) (void), void (*stop) (void), struct error *err) MUST_CHECK;

/* From .cleanup on, where all clients have gone: returns when nbdkit may unload the plugin.  May be
 * called more than once.
 */
void ending_leave_to_nbdkit (void);

/* For each connection.  One that is opened when nbdkit has been told to end would be refused all it
 * asks, so that it does not return then.
 */
void ending_add_client (void);
void ending_remove_client (void);

/* To be called by each request that has failed: does not return once the end has begun. */
void ending_hold (void);

#endif
