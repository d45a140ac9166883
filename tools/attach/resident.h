/* The process that stays with an attached volume. */
#ifndef ATTACH_RESIDENT_H
#define ATTACH_RESIDENT_H

#include "tools/attach/attach.h"

/* Attaches and stays, until the volume is detached, or a signal asks for that (0), or the device is
 * broken (-1).  `ready` is told once it is attached; `log` what happens afterwards.
 */
struct resident_face {
  void (*ready) (void *opaque, const struct attachment *a, bool fenced);
  void (*log) (bool trouble, const char *text);
  void *opaque;
};
int resident_run (const struct attach_plan *plan, const struct resident_face *face,
                  struct error *err) MUST_CHECK;

/* The same in a new process in the background: returns when it is attached.  *ret_facts are
 * attachment_facts with the members "pid" and "fenced".
 */
int resident_start (const struct attach_plan *plan, struct json **ret_facts, struct error *err)
    MUST_CHECK;

/* For those who look after a device: what they have to say, wherever it goes. */
void resident_log (bool trouble, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

#endif
