/* The world of a seed: a clock, key services, who asks them, a scheduler and an operator, all with
 * their faults, around one fence and its watch.
 */
#ifndef TESTS_SIMULATION_WORLD_H
#define TESTS_SIMULATION_WORLD_H

#include <stdbool.h>

#include "tests/simulation/invariants.h"

/* Runs a seed; the same seed does the same always.  The first broken promise is in watch->broken.
 * With `trace`, every event is printed.
 */
void world_run (uint64_t seed, bool trace, struct watch *ret_watch);

#endif
