/* Telling: the audit log, the hook, the notification, the service manager and one log line for each
 * state change.
 *
 * None of it can delay the fence, nor one way of telling another: who has something to tell puts it
 * into bounded queues and goes on; each way has a queue and a thread of its own (tell/lane.h) that
 * writes, runs or posts.  When a queue is full, key operations are dropped before state changes,
 * the oldest first, and the number of what was dropped is told as soon as there is room (in the
 * audit log as {"event":"dropped","queue":Q,"count":N}).
 *
 *   log          one line a state change, by log.h
 *   audit-log    PATH of a regular file: JSON lines, appended; one line a write; reopened when the
 *                path no longer names the file (looked at before each line), tried again every
 *                second while it can't be written
 *   hook         PROGRAM run without a shell, with the facts in KEYFENCE_* variables and nothing of
 *                the server's environment but PATH; at most 30 s (then its process group is
 *                killed); tried 3 times when it fails, unless a newer change waits; one at a time,
 *                in order; {"event":"hook","status":…} in the audit log
 *   notify-url   https:// (or http:// to a loopback address), or + and the path of a file with it:
 *                POSTed as JSON by a child made of the agent's program (kms/notify.h), since this
 *                process has no network, or by the agent that listens elsewhere; tried as a hook
 *                is; {"event":"notify","status":…}
 *   NOTIFY_SOCKET  sd_notify's protocol: READY=1 once, STATUS=… at each state change, STOPPING=1
 */
#ifndef NBD_PLUGIN_TELL_H
#define NBD_PLUGIN_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "kms/outcome.h"

/* Strings are copied; NULL: not wanted. */
struct tell_params {
  const char *volume, *label, *path; /* uuid; label may be empty; the backing's path */
  const char *audit_log;
  const char *hook;
  const char *notify_url;
  const char *agent;        /* the agent's program, for notify-url; … */
  const char *agent_socket; /* … or where an agent listens, which then is taken */
};

/* A state change. */
struct tell_change {
  int64_t time_unix_ms;
  char from[16], state[16]; /* "active", "grace", "fenced"; from is "starting" at first */
  char reason[40];
  char detail[512];
  char request_id[128];
  char key[512]; /* the primary's */
  double bound_s;
};

/* Something done with a key. */
struct tell_operation {
  int64_t time_unix_ms; /* when it ended */
  char operation[16];   /* "check", "unwrap", "reload" */
  char role[16];        /* "primary", "secondary" */
  char key[512];
  enum kms_class class;
  char reason[40];
  char request_id[128];
  uint32_t duration_ms;
};

/* Anything else worth a line in the audit log: "opened", "flushed", "command" … */
struct tell_event {
  int64_t time_unix_ms;
  char event[24];
  char detail[640];
};

struct teller;

/* Fails when the audit log can't be opened, the hook is no program or the URL none that is allowed:
 * known before anything is served.  Starts its threads; so after nbdkit's fork.  It takes
 * NOTIFY_SOCKET out of the environment, which no other thread may be reading, and gives SIGCHLD its
 * default back where it was ignored; so before the agent and all other threads are started.
 */
int tell_start (const struct tell_params *params, struct teller **ret_teller, struct error *err)
    MUST_CHECK;

/* From any thread; they never wait.  NULL is accepted as a teller that tells nobody. */
void tell_change (struct teller *teller, const struct tell_change *change);
void tell_operation (struct teller *teller, const struct tell_operation *operation);
void tell_event (struct teller *teller, const struct tell_event *event);

/* Tells what is queued for at most two seconds, then kills children and ends the threads; one that
 * hangs in a system call is left behind and touches nothing but its own memory when it comes back.
 * Nobody may tell anything any more.  NULL is accepted.
 */
void tell_stop (struct teller *teller);

struct json;

/* The facts of a state change and of a key operation as members of `json`, the same in the audit
 * log and in the status.
 */
void tell_set_change (struct json *json, const struct tell_change *change);
void tell_set_operation (struct json *json, const struct tell_operation *operation);

#endif
