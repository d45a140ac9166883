/* The lock that keeps a volume to one user.
 *
 * Open-file-description locks on bytes far behind any data: byte 2^62 is the lock itself (exclusive
 * for who writes the volume, shared for who only reads it), and byte 2^62 + 1 + PID tells others
 * who holds it.  They stay with the open file over fork, unlike POSIX locks, and don't meet flock,
 * which libcryptsetup uses for its own short updates.  They go with the last descriptor, so nothing
 * is left behind after kill -9.
 */
#ifndef COMMON_LOCK_H
#define COMMON_LOCK_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Takes the lock on `fd` (open for writing when `exclusive`), at once or not at all (but for a
 * moment while a dead holder's last I/O is finished): ERROR_BUSY names the holder.  `path` is for
 * the message.
 */
int volume_lock (int fd, const char *path, bool exclusive, struct error *err) MUST_CHECK;

/* Whether another process uses the volume, be it for reading only; *ret_holder says which, for a
 * message ("another process" where it can't be told).  Takes nothing: what it says may be over.
 */
#define VOLUME_HOLDER_MAX 64
bool volume_is_in_use (int fd, char ret_holder[VOLUME_HOLDER_MAX]);

/* Tells others that this process holds the lock; again after a fork, in the process that stays. */
int volume_lock_name_holder (int fd, struct error *err) MUST_CHECK;

#endif
