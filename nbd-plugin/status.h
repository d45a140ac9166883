/* What is told about the volume: the object of `status --json`, as keyfence(1) describes it. */
#ifndef NBD_PLUGIN_STATUS_H
#define NBD_PLUGIN_STATUS_H

#include "common/json.h"
#include "nbd-plugin/fence/keymon.h"
#include "nbd-plugin/volume.h"

/* A new object; from any thread. */
struct json *status_new (struct volume *volume, struct keymon *keymon);

/* The same and more: how long checks take, the last state changes and key operations. */
struct json *status_metrics_new (struct volume *volume, struct keymon *keymon);

#endif
