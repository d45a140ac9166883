/* The asker: one thread that asks for the key and about it.
 *
 * Asking a key service takes a while, and so does reading the header; who decides about the fence
 * must wait for neither, and neither may take longer than the job's time-out (reread.h).  So keymon
 * hands a job over and gets an answer later.  There is one job at a time.  Between jobs the asker
 * keeps the agent alive.
 *
 * It owns the header as it was last verified: the wraps that are asked.
 */
#ifndef NBD_PLUGIN_ASKER_H
#define NBD_PLUGIN_ASKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "crypto/header.h"
#include "crypto/secret.h"
#include "kms/outcome.h"
#include "nbd-plugin/volume.h"

enum asker_kind {
  ASKER_CHECK,  /* unwrap the probe */
  ASKER_UNLOCK, /* read the header again, unwrap the volume key, verify digest and MAC */
  ASKER_RELOAD, /* the same, for a changed header; the key is not handed on */
  ASKER_EXPIRY, /* the primary key's expiry date */
};

struct asker_job {
  enum asker_kind kind;
  unsigned wrap;       /* its number in the token, 0: the primary */
  bool fresh;          /* with credentials fetched anew */
  uint64_t ticket;     /* given back with the answer */
  uint32_t timeout_ms; /* of the header and the key service's answer together */
};

/* What is told of the wraps. */
struct asker_wraps {
  unsigned count; /* the primary and its secondaries */
  char keys[TOKEN_WRAPS_MAX][WRAP_KEY_MAX];
  char created[WRAP_TIME_MAX]; /* the primary's */
};

struct asker_answer {
  struct asker_job job;
  char key[WRAP_KEY_MAX]; /* that was asked */
  bool secondary;
  struct kms_outcome outcome;
  struct secret volume_key; /* of a good UNLOCK */
  bool has_wraps;           /* of a good UNLOCK or RELOAD: */
  struct asker_wraps wraps; /* … these are the wraps from now on */
  int64_t expires_unix_s;   /* of a good EXPIRY; 0: never */
};

struct asker;

/* `header` is the one that volume_open read, and is taken, also on failure.  `answered` is called
 * by the asker's thread, for each job once; it takes what it wants out of the answer (the secret by
 * secret_take); the rest is cleared behind it.  It must not wait.
 */
int asker_start (struct volume *volume, struct header *header,
                 void (*answered) (void *opaque, struct asker_answer *answer), void *opaque,
                 struct asker **ret_asker, struct error *err) MUST_CHECK;

/* The wraps of the header that volume_open read; before the first job. */
void asker_wraps (const struct asker *asker, struct asker_wraps *ret);

/* Hands a job over.  The one before must have been answered. */
void asker_submit (struct asker *asker, const struct asker_job *job);

/* The agent's process id, or 0. */
pid_t asker_agent_pid (const struct asker *asker);

/* Ends a job under way (by killing the agent) and the thread.  NULL is accepted. */
void asker_stop (struct asker *asker);

#endif
