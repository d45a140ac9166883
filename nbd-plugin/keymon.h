/* Watches over the volume's access to its key: gets the key, keeps the agent alive, opens the gate.
 *
 * keymon_start asks for the key once, in the caller's thread, bounded by check-timeout, so that the
 * first client already finds an open volume; its own thread goes on from there.  What it knows is
 * read by keymon_snapshot from any thread.
 */
#ifndef NBD_PLUGIN_KEYMON_H
#define NBD_PLUGIN_KEYMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/header.h"
#include "kms/outcome.h"
#include "nbd-plugin/volume.h"

enum key_state { KEY_ACTIVE, KEY_FENCED };

struct key_snapshot {
  enum key_state state;
  char reason[40];  /* "ok", or why not, in one word */
  char detail[512]; /* the sentence for people; empty while active */
  int64_t since_unix_s;
  int64_t last_check_unix_s; /* 0: none yet */
  int64_t next_check_unix_s; /* 0: none is planned */
  uint64_t checks[KMS_CLASS_COUNT];
  pid_t agent_pid; /* 0: not running */
};

struct keymon;

/* `header` is the one that volume_open read, and is taken.  Fails when the volume can't be served
 * at all (its header does not fit the key), or when require-key is set and there is no access.
 */
int keymon_start (struct volume *volume, struct header *header, struct keymon **ret_keymon,
                  struct error *err) MUST_CHECK;

/* To be called when the server is told to end, from a signal handler too: requests get five seconds
 * to end, then the gate closes and the keys are wiped, also when clients keep their connections.
 */
void keymon_quit (struct keymon *keymon);

/* Closes the gate, wipes the keys, ends thread and agent.  NULL is accepted. */
void keymon_stop (struct keymon *keymon);

void keymon_snapshot (struct keymon *keymon, struct key_snapshot *ret);

const char *key_state_name (enum key_state state);

#endif
