/* Which roles the simulated EC2 instance and container have.
 *
 * aws/machine/instance.json and container.json: {"role": NAME or null, "lifetime": seconds,
 * "token": the container's authorization token}.
 */
#ifndef SIM_AWS_MACHINE_H
#define SIM_AWS_MACHINE_H

#include "tools/sim/sim.h"

struct aws_machine {
  char role[80];      /* empty: none */
  int64_t lifetime_s; /* of its credentials */
  char token[72];
};

/* `which`: "instance" or "container". */
int aws_machine_load (struct sim *sim, const char *which, struct aws_machine *ret) MUST_CHECK;
void aws_machine_save (struct sim *sim, const char *which, const struct aws_machine *machine);

#endif
