/* The sums of times that fence.c counts with: they never wrap around. */
#ifndef NBD_PLUGIN_FENCE_TIMES_H
#define NBD_PLUGIN_FENCE_TIMES_H

#include "nbd-plugin/fence/fence.h"

#define NEVER UINT64_MAX

/* NEVER when it does not fit. */
uint64_t later_ms (uint64_t a, uint64_t b);

/* The check interval less up to a fifth, so that a host full of volumes spreads its calls. */
uint64_t fence_jittered_ms (const struct fence_config *config, uint32_t *random);

#endif
