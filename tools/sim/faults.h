/* Faults that are switched on by command, for a number of requests or a time. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/json.h"

enum fault_kind {
  FAULT_OUTAGE,          /* the service's own "internal error", 500 or 503 */
  FAULT_THROTTLE,        /* the service's own "too many requests" */
  FAULT_DELAY,           /* value: milliseconds before the answer */
  FAULT_RESET,           /* the connection is broken before an answer */
  FAULT_TRUNCATE,        /* the connection is broken in the middle of the answer */
  FAULT_GARBAGE,         /* 200 with something that is not the protocol */
  FAULT_WRONG_PLAINTEXT, /* decrypting gives other bytes of the same size */
  FAULT_SKEW,            /* value: seconds that the service's clock is ahead */
  FAULT_EXPIRED,         /* every token or session is said to have expired */
  FAULT_FIREWALL,        /* the network path is refused by the service */
  FAULT_DENY,            /* the right to do it is refused */
  FAULT_STATUS,          /* value: that HTTP status with a proxy's page */
  FAULT_CLAIMS,          /* Key Vault: a claims challenge, until a token answers it */
};
#define FAULT_KINDS 13

struct fault {
  enum fault_kind kind;
  int64_t value;
  char operation[64]; /* an operation, a service, a cloud ("aws", "azure"), or "all" */
  char key[128];      /* requests for which this is part of the key's name; empty: any */
  int64_t left;       /* requests that it still applies to; -1: no limit */
  uint64_t until_ms;  /* on clock_ms (); 0: no limit */
};

#define FAULTS_MAX 64

struct faults {
  size_t count;
  struct fault list[FAULTS_MAX];
};

/* "outage", "throttle" … */
const char *fault_name (enum fault_kind kind);

/* Adds one from the words of `ctl fault` (see keyfence-kms-sim(1)): KIND [VALUE] [--op NAME]
 * [--key TEXT] [--count N] [--for DURATION].
 */
int faults_add (struct faults *faults, const struct json *words, struct error *err) MUST_CHECK;

/* Copies those that apply to the request into `ret` and counts them down; returns how many. */
size_t faults_match (struct faults *faults, const char *operation, const char *service,
                     const char *key, struct fault ret[FAULTS_MAX]);

/* Those that are on, as an array; and off with all of them (or those of one kind). */
struct json *faults_print (const struct faults *faults);
int faults_clear (struct faults *faults, const char *kind, struct error *err) MUST_CHECK;

#endif
