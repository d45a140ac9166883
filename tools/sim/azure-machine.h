/* The secret that the App Service endpoint wants in X-IDENTITY-HEADER. */
#ifndef SIM_AZURE_MACHINE_H
#define SIM_AZURE_MACHINE_H

#include "tools/sim/sim.h"

#define AZURE_MACHINE_HEADER_SIZE 41

void azure_machine_header (struct sim *sim, char ret[AZURE_MACHINE_HEADER_SIZE]);

#endif
