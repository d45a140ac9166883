/* The desk: the operator's commands that are under way, and what came of them.
 *
 * No locks inside: keymon holds its own.
 */
#ifndef NBD_PLUGIN_DESK_H
#define NBD_PLUGIN_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kms/outcome.h"

#define DESK_PLACES 16

enum desk_command { DESK_CHECK, DESK_FENCE, DESK_UNFENCE, DESK_RELOAD };
#define DESK_COMMANDS 4

struct desk_result {
  enum desk_command command;
  char class[16]; /* a class of kms/outcome.h, or "not_fenced" */
  char reason[40];
  char detail[512];
  char request_id[128];
};

enum desk_stage { DESK_FREE, DESK_NEW, DESK_RUNS, DESK_DONE };

struct desk_place {
  enum desk_stage stage;
  bool forgotten; /* nobody waits for the result: it is free when it is done */
  unsigned tries; /* of a reload, that had no answer */
  uint64_t ticket;
  char text[512];
  struct desk_result result;
};

struct desk {
  struct desk_place places[DESK_PLACES];
  uint64_t last_ticket;
};

const char *desk_command_name (enum desk_command command);

/* A new command; 0 when all places are taken. */
uint64_t desk_add (struct desk *desk, enum desk_command command, const char *text);

/* A place in that stage, the oldest first; NULL when there is none. */
struct desk_place *desk_find (struct desk *desk, enum desk_stage stage);

struct desk_place *desk_by_ticket (struct desk *desk, uint64_t ticket);

/* Ends a command. */
void desk_done (struct desk_place *place, const char *class, const char *reason, const char *detail,
                const char *request_id);

/* Whether the ticket's command is done; its place is free then. */
bool desk_collect (struct desk *desk, uint64_t ticket, struct desk_result *ret);

/* Nobody waits for that ticket's result any more.  The command is carried out all the same, but one
 * that runs gives its place to another where all are taken.
 */
void desk_forget (struct desk *desk, uint64_t ticket);

#endif
