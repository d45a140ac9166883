/* QMP, the protocol by which QEMU is managed, on a Unix socket: short conversations with machines
 * that may be hung, or taken over by their guests.
 *
 * Nothing that comes back is believed to be more than JSON objects of QMP_MESSAGE_MAX bytes.
 */
#ifndef TOOLS_MACHINES_QMP_H
#define TOOLS_MACHINES_QMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

#define QMP_MESSAGE_MAX 262144

struct qmp;

/* Connects and negotiates; all of the conversation has to be over by `deadline_ms` on clock_ms ().
 * `socket_path` must stay.  ERROR_NOT_FOUND when nobody listens there, ERROR_UNAVAILABLE when no
 * sensible answer comes.
 */
int qmp_open (const char *socket_path, uint64_t deadline_ms, struct qmp **ret, struct error *err)
    MUST_CHECK;
void qmp_close (struct qmp *qmp);
void cleanup_qmp (struct qmp **qmp);
#define CLEANUP_QMP CLEANUP (cleanup_qmp)

/* Runs a command (`arguments`: a JSON object, or NULL); *ret_reply has its "return".  Events that
 * come meanwhile are dropped.  ERROR_UNAVAILABLE with QEMU's own words when it refuses.
 */
int qmp_ask (struct qmp *qmp, const char *command, const char *arguments, struct json **ret_reply,
             struct error *err) MUST_CHECK;

/* The part that finds messages in a stream, for tests.  Looks at bytes `*scanned` to `used` of
 * `text`, keeping its place in *scanner (zeroed at first); returns the length of the first whole
 * object, white space before it included, 0 when it is not whole yet, or -1 when it can't become
 * one.
 */
struct qmp_scanner {
  size_t scanned;
  unsigned depth;
  bool in_string, escaped;
};
ssize_t qmp_scan (struct qmp_scanner *scanner, const char *text, size_t used) MUST_CHECK;

#endif
