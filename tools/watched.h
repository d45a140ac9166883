/* What a live view knows of the volumes that it shows: the last answer of each one's server, what
 * its counters made per second since the one before, and whether it still answers.
 */
#ifndef TOOLS_WATCHED_H
#define TOOLS_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/json.h"

/* Per second; all of them 0 until there are two answers of the same process. */
struct rates {
  bool known;
  double reads, writes, read_bytes, written_bytes, refused;
};

struct watched {
  char *socket_path;
  struct json *answer;   /* the last one, of "metrics" or (older servers) "status"; may be NULL */
  uint64_t answered_ms;  /* when it came, on clock_ms () */
  bool lost;             /* the last time there was none */
  char trouble[256];     /* why */
  struct rates rates;    /* of the last two answers */
  double lease_length_s; /* the most that was seen left of it */
};

struct watched_set {
  bool all; /* every volume that is served on this host, those that come later included */
  size_t count;
  struct watched **volumes; /* by the name of their sockets */
};

/* The volume of that name (which must be served now), or all of them when `name` is NULL. */
int watched_start (const char *name, struct watched_set *ret, struct error *err) MUST_CHECK;

/* Asks every server; one that gave no answer the last time is given little time. */
void watched_update (struct watched_set *set);

void watched_clear (struct watched_set *set);
#define CLEANUP_WATCHED CLEANUP (watched_clear)

/* The label, or the uuid where there is none, or the socket's path while nothing is known. */
const char *watched_name (const struct watched *watched);

/* Seconds that are left of the lease by now; negative when it has none. */
double watched_lease_left_s (const struct watched *watched, uint64_t now_ms);

#endif
