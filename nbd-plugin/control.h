/* The control socket: one command a line, one JSON object a line back; mode 0600.
 *
 * One thread serves all its clients and never waits for any of them: who sends too much without a
 * newline, or does not read its answers, is dropped.
 */
#ifndef NBD_PLUGIN_CONTROL_H
#define NBD_PLUGIN_CONTROL_H

#include "common/cleanup.h"
#include "common/error.h"
#include "nbd-plugin/fence/keymon.h"
#include "nbd-plugin/volume.h"

struct control;

/* Listens at volume->params.control, or at the default place; *ret_control is NULL (and it is no
 * error) when there is no default place or the parameter is "none".
 */
int control_start (struct volume *volume, struct keymon *keymon, struct control **ret_control,
                   struct error *err) MUST_CHECK;

/* Ends the thread and removes the socket.  NULL is accepted. */
void control_stop (struct control *control);

#endif
