/* Watches over the volume's access to its key: has it checked, tells the fence what came of it, and
 * does what the fence decides: opens and closes the gate, keys and wipes the contexts.
 *
 * A thread of its own drives the state machine (fence.h), at a real-time priority where the system
 * allows that, and waits for nobody: key services and the header are the asker's thread's business,
 * the disk is the settler's, logs and hooks are the teller's.
 */
#ifndef NBD_PLUGIN_KEYMON_H
#define NBD_PLUGIN_KEYMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"
#include "crypto/header.h"
#include "kms/outcome.h"
#include "nbd-plugin/fence/desk.h"
#include "nbd-plugin/fence/fence.h"
#include "nbd-plugin/tell.h"
#include "nbd-plugin/volume.h"

#define KEYMON_UNKNOWN INT64_C (-1)

struct key_snapshot {
  enum fence_state state;
  enum fence_latch latch;
  char reason[40];                 /* "ok", or why not, in one word */
  char detail[512];                /* the sentence for people; empty while all is well */
  char request_id[128];            /* the key service's, of what led here; or empty */
  bool by_secondary;               /* the lease comes from a secondary wrap */
  char key[WRAP_KEY_MAX];          /* the primary's */
  char key_created[WRAP_TIME_MAX]; /* when it wrapped the volume key */
  int64_t key_expires_unix_s;      /* 0: never; KEYMON_UNKNOWN */
  unsigned secondaries;            /* how many */
  int64_t since_unix_s;
  int64_t last_check_unix_s;  /* 0: none yet */
  int64_t next_check_unix_s;  /* 0: none is planned */
  int64_t lease_until_unix_s; /* 0: there is no lease */
  int64_t lease_left_ms;
  uint64_t bound_ms;
  uint64_t fences;      /* how often it was fenced, starting up not counted */
  int64_t last_wipe_us; /* how long the last wipe took; KEYMON_UNKNOWN: none yet */
  uint64_t checks[KMS_CLASS_COUNT];
  pid_t agent_pid; /* 0: not running */
};

struct keymon;

/* `header` is the one that volume_open read, and is taken.  `teller` must outlive the keymon. */
int keymon_start (struct volume *volume, struct header *header, struct teller *teller,
                  struct keymon **ret_keymon, struct error *err) MUST_CHECK;

/* Waits until the first round of asking is over, or the server is told to end.  Fails when the
 * volume can't be served at all (its header does not fit the key), or when require-key is set and
 * there is no access; the keymon is to be stopped then.
 */
int keymon_await (struct keymon *keymon, struct error *err) MUST_CHECK;

/* To be called when the server is told to end, from a signal handler too: who waits for the key is
 * let go, requests get five seconds to end, then the gate closes and the keys are wiped, also when
 * clients keep their connections.
 */
void keymon_quit (struct keymon *keymon);

/* Closes the gate, wipes the keys, ends the threads and the agent.  NULL is accepted. */
void keymon_stop (struct keymon *keymon);

/* From any thread. */
void keymon_snapshot (struct keymon *keymon, struct key_snapshot *ret);
void keymon_report_history (struct keymon *keymon, struct json *json);

/* The operator's commands.  keymon_command returns a ticket (0: too many are under way), and
 * keymon_result, true, the result of a ticket once it is there; it is forgotten then.  The
 * descriptor polls readable when a result has come, until it is read.
 */
uint64_t keymon_command (struct keymon *keymon, enum desk_command command, const char *text);
bool keymon_result (struct keymon *keymon, uint64_t ticket, struct desk_result *ret);
void keymon_forget (struct keymon *keymon, uint64_t ticket);
int keymon_result_fd (const struct keymon *keymon);

#endif
