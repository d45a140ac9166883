/* What keymon's files share; nobody else includes it.
 *
 * keymon.c drives the threads; keymon-step.c feeds the state machine and does what it says;
 * keymon-report.c answers questions.
 */
#ifndef NBD_PLUGIN_KEYMON_STATE_H
#define NBD_PLUGIN_KEYMON_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "nbd-plugin/fence/asker.h"
#include "nbd-plugin/fence/history.h"
#include "nbd-plugin/fence/keymon.h"
#include "nbd-plugin/fence/settle.h"

struct keymon {
  struct volume *volume;
  struct asker *asker;
  struct settler *settler;
  struct teller *teller;
  int wake_fd;   /* an answer or a command has come, or the thread shall end */
  int quit_fd;   /* the server was told to end */
  int timer_fd;  /* CLOCK_BOOTTIME, so that it fires after a suspend */
  int result_fd; /* a command's result has come */
  pthread_t thread;
  bool thread_runs;

  pthread_mutex_t mutex;  /* guards what follows */
  pthread_cond_t started; /* the first round of asking is over */
  bool first_round_over;
  bool ends;
  uint64_t quit_at_ms; /* when the keys go since the server was told to end; 0: it was not */
  bool quitted;

  struct fence fence;
  struct asker_answer answer; /* from the asker's thread, to be taken by ours */
  bool has_answer;
  bool asker_busy;
  bool round_just_ended; /* in this step */
  struct fence_ask held; /* waits for the asker to be free; kind NOTHING: none */
  struct asker_wraps wraps;
  struct kms_outcome last; /* of the last check or unlock */
  bool has_unwrapped;      /* the primary has given a good answer */
  int64_t last_check_unix_s;
  int64_t expires_unix_s; /* KEYMON_UNKNOWN until it is */
  bool expiry_asked_late; /* it was asked for again once the date had passed */
  uint64_t expiry_due_ms; /* when to ask for it again */
  uint64_t reload_ticket; /* at the desk, of the reload under way; 0: none */
  int64_t last_wipe_us;
  struct desk desk;
  struct history history;
};

/* All of these with the mutex held, by keymon's thread. */

/* Takes whatever has come: an answer, commands, the passing of time. */
void keymon_step (struct keymon *keymon);

/* When keymon_step is to be called next, should nothing come; UINT64_MAX: never. */
uint64_t keymon_next_ms (const struct keymon *keymon);

/* The gate closes and the keys go, for good: the server ends. */
void keymon_close_for_good (struct keymon *keymon);

/* Tells the world of a state change from `from` to the present state. */
void keymon_tell_state (struct keymon *keymon, const char *from);

int64_t wall_clock_ms (void);

#endif
