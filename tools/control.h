/* The control socket of a server, seen from the subcommands. */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

/* Sends one command and reads the one object that comes back, within ten seconds.  Errors:
 * ERROR_NOT_FOUND when nobody listens there, ERROR_UNAVAILABLE when no sensible answer comes, and
 * what the server itself refused.
 */
int control_ask (const char *socket_path, const char *command, struct json **ret_reply,
                 struct error *err) MUST_CHECK;

/* The control socket of the volume that the user calls `name`: a socket, a file or block device, a
 * uuid, or the label of a volume that is served.  What has a slash is a path.  A new string;
 * ERROR_NOT_FOUND when nothing of that name is served, ERROR_BUSY when it is but without a socket
 * that we can find.
 */
int control_find (const char *name, char **ret_socket_path, struct error *err) MUST_CHECK;

#endif
