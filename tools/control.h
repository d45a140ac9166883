/* The control socket of a server, seen from the subcommands. */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

#define CONTROL_TIMEOUT_MS 10000

/* Sends one command (a line, without its newline) and reads the one object that comes back, within
 * CONTROL_TIMEOUT_MS or the time given.  Errors: ERROR_NOT_FOUND when nobody listens there,
 * ERROR_UNAVAILABLE when no sensible answer comes, and what the server itself refused.
 */
int control_ask (const char *socket_path, const char *command, struct json **ret_reply,
                 struct error *err) MUST_CHECK;
int control_ask_within (const char *socket_path, const char *command, uint64_t timeout_ms,
                        struct json **ret_reply, struct error *err) MUST_CHECK;

/* 0 when the server at this control socket serves the volume `uuid`; ERROR_FOREIGN when it serves
 * another, and the errors of control_ask.
 */
int control_check_volume (const char *socket_path, const char *uuid, uint64_t timeout_ms,
                          struct error *err) MUST_CHECK;

/* The control socket of the volume that the user calls `name`: a socket, a file or block device, a
 * uuid, a configuration (volume-config.h), or the label of a volume that is served.  What has a
 * slash is a path.  A new string; ERROR_NOT_FOUND when nothing of that name is served, ERROR_BUSY
 * when it is but without a socket that we can find.
 */
int control_find (const char *name, char **ret_socket_path, struct error *err) MUST_CHECK;

/* The control sockets at the usual place at which somebody listens, in no order. */
struct control_list {
  size_t count;
  char **paths;
};
int control_list (struct control_list *ret, struct error *err) MUST_CHECK;
void control_list_clear (struct control_list *list);
#define CLEANUP_CONTROL_LIST CLEANUP (control_list_clear)

#endif
