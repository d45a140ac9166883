/* What key services and the way to them put on the wire, judged by the tables that judge it in
 * earnest (kms/aws-errors.h, kms/azure-error.h): each answer once, at the start.
 */
#ifndef TESTS_SIMULATION_WIRE_H
#define TESTS_SIMULATION_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "kms/outcome.h"

/* What the one who answers wants to say, whatever the tables make of it. */
enum wire_meaning {
  WIRE_GOOD,
  WIRE_DENIED,  /* the owner said no */
  WIRE_OUTAGE,  /* throttled, failing, not reached */
  WIRE_UNCLEAR, /* the service's name does not exist, or something unheard of answers */
  WIRE_CREDENTIALS,
  WIRE_CLOCK,
  WIRE_CONFIG,
  WIRE_CORRUPT,
  WIRE_MEANINGS
};

struct wire_answer {
  enum wire_meaning meaning;
  const char *what; /* for the trace */
  struct kms_outcome outcome;
  bool may_fail_over; /* as the key's monitor has it */
};

/* Judges everything; a process calls it once, before the rest. */
void wire_init (void);

/* One of the answers with a meaning; `random` picks.  `azure`: of Key Vault, else of KMS. */
const struct wire_answer *wire_pick (bool azure, enum wire_meaning meaning, uint32_t random);

/* What the client makes of a service from which nothing comes. */
const struct wire_answer *wire_timeout (bool azure);

const char *wire_meaning_name (enum wire_meaning meaning);

#endif
